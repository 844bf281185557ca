"""`dsr export-model`: trained networks for other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import click

from dsr.app.console import Console, show, size
from dsr.app.help import Command, json_option
from dsr.app.options import LOCAL, work_option
from dsr.experiments.deploy.bounds import BOUNDS
from dsr.models.restorers.folder import SHIPPED

_SHARDS = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("export-model", cls=Command)
@click.argument("target", metavar="OUT", type=LOCAL)
@click.option("--segmenter", metavar="FOLDER | NAME", help="A trained segmenter, as dsr status lists it.")
@click.option("--restorer", metavar="FOLDER | NAME", help=f"A trained restorer; or {SHIPPED}.")
@click.option("--format", "written", type=click.Choice(list(BOUNDS)), required=True, help="What is written.")
@click.option(
    "--check",
    "shards",
    type=_SHARDS,
    required=True,
    metavar="SHARDS",
    help="Folder of shards to compare on: test images, for a restorer compressed ones.",
)
@click.option(
    "--calibrate", type=_SHARDS, metavar="SHARDS", help="For tflite-int8: training images, for the ranges of values."
)
@work_option
@json_option
def command(
    target: Path,
    segmenter: Optional[str],
    restorer: Optional[str],
    written: str,
    shards: Path,
    calibrate: Optional[Path],
    work: Path,
) -> None:
    """Write a trained network as SavedModel, ONNX (opset 17) or TFLite, into a new folder.

    The network takes an image as float32 RGB in [-1, 1], (1, H, W, 3). It is then run on every image of --check beside
    Keras's: what differs more than docs/your-model.md says for the format is refused, and nothing is left. ONNX needs
    pip install 'dsr[onnx]'.

    \b
    Examples:
      dsr export-model seg/ --segmenter camvid/deeplab-mobilenet_v2-original --format onnx \\
          --check dsr-work/shards/camvid/test/original-f4e4ad9a/
      dsr export-model seg8/ --segmenter camvid/deeplab-mobilenet_v2-original --format tflite-int8 \\
          --check dsr-work/shards/camvid/test/original-f4e4ad9a/ \\
          --calibrate dsr-work/shards/camvid/train/original-7b9c117f/
      dsr export-model restorer/ --restorer shipped --format savedmodel \\
          --check dsr-work/shards/camvid/test/bpg-qp36-d26476a7/
    """
    if (segmenter is None) == (restorer is None):
        raise click.UsageError("give either --segmenter or --restorer")
    from dsr.experiments.deploy.exporting import RestorerSubject, SegmenterSubject, export_model
    from dsr.experiments.deploy.segmenters import find_trained
    from dsr.experiments.fleet.restorers import check_restorer, find_restorer
    from dsr.tfrecords import files

    subject: SegmenterSubject | RestorerSubject
    if segmenter is not None:
        subject = SegmenterSubject(find_trained(segmenter, "segmenter", work))
    else:
        assert restorer is not None
        named = restorer == SHIPPED or Path(restorer).is_dir()
        folder = find_restorer(restorer) if named else find_trained(restorer, "restorer", work)
        check_restorer(folder)
        subject = RestorerSubject(folder)
    manifest = export_model(subject, written, target, shards, calibrate, Console())
    total = sum(files.size(target / name) for name in manifest.files)
    value = {"folder": target, "format": written, "bytes": total, **manifest.summary}
    show(value, lambda: _print_found(target, written, total, manifest.summary))


def _print_found(target: Path, written: str, total: int, found: dict[str, Any]) -> None:
    click.echo(f"{target}: {written}, {size(total)}; on {found['images']} images beside Keras:")
    if "agreement" in found:
        click.echo(f"  {100 * found['agreement']:.3f} % of the pixels have the same class")
        if found["miou"] is not None:
            click.echo(f"  mIoU {100 * found['miou']:.2f} %, Keras {100 * found['keras_miou']:.2f} %")
    else:
        click.echo(f"  {'equal' if found['psnr'] is None else format(found['psnr'], '.2f') + ' dB'} between the images")
