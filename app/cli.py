"""Entry point of `dsr`.

Commands are imported when called, so that `dsr --help` needs neither TensorFlow nor a second.
"""

from __future__ import annotations

import os
import sys

import click

from dsr.app.help import LazyGroup
from dsr.app.packages import required
from dsr.models.errors import UserError

GROUPS = {
    "Study": {
        "run": "A whole study: the six configurations at each operating point, and the report.",
        "train": "Train and evaluate one configuration (OO CO RO CC OC OR), making what it needs.",
        "evaluate": "Evaluate configurations whose networks are trained, or train what is missing.",
        "scaling": "More images compressed harder, or fewer compressed less: a law from a few trainings.",
        "restorer-images": "Draw accuracy against the number of images the restorer learned from.",
        "config": "All settings of a study, with types and meanings, as a file for --config.",
        "report": "Write the report page of a study from what exists.",
    },
    "Convert": {
        "convert": "Compress a dataset: original shards, compressed shards, on request restored ones.",
        "check": "Tell all that is wrong with a dataset, its sizes and classes, with a contact sheet.",
        "verify": "Read artefacts again and report every file that is not what was written.",
        "rate-distortion": "Draw fidelity against rate for several codecs.",
        "bpg": "Encode, decode or inspect a single BPG file.",
    },
    "Fleet": {
        "encode": "Encode images, as a device sends them.",
        "decode": "Decode bitstreams to images.",
        "restore": "Restore a folder of received bitstreams to images.",
        "plan": "Which codec, rate, repair and number of images, for a budget.",
        "watch": "Whether what arrives still is what the plan was made for, by sizes and headers.",
        "export": "Write shards as files that any trainer reads.",
    },
    "Models": {
        "train-restorer": "Train the network that restores compressed images.",
        "train-codec": "Train the learned codec msh on photographs, or tune it to a dataset.",
        "score": "Score label maps of any program, or a network of any framework, on the test images.",
        "predict": "Label a folder of images with a trained segmenter.",
        "export-model": "Write a trained network as SavedModel, ONNX or TFLite, checked against Keras.",
        "inference-times": "What each configuration costs an image where images are analysed.",
    },
    "Look": {
        "status": "What exists in the work folder: size, age, configuration.",
        "tensorboard": "Open TensorBoard on the trainings of the work folder.",
        "clean": "Remove what no study needs, with sizes, asking first.",
        "doctor": "Check versions, devices, codecs and disk.",
    },
}
"""Title -> command -> what it does, as `dsr --help` lists them: a command is a line here and a file in app/commands."""

COMMANDS = {name: says for group in GROUPS.values() for name, says in group.items()}


@click.group(
    cls=LazyGroup,
    groups=GROUPS,
    package="dsr.app.commands",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="dsr")
def cli() -> None:
    """Dataset restoration: measure what compression costs a segmentation network, and win it back.

    \b
    Start here:
      dsr run --preset demo                    the whole study on the built-in dataset, about 10 minutes
      dsr convert --codec bpg --qp 40          compress the built-in dataset
      dsr train --config RO                    train on restored images, test on originals
      dsr COMMAND --help                       options and examples of a command
    """


def main() -> None:
    """Run the command line; a UserError is printed as one sentence, exit status 1; Ctrl-C exits with 130."""
    # TensorFlow's start-up logs what it could not find (CUDA, TensorRT) as errors; what fails in earnest raises.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _open_streams()
    try:
        with required():
            sys.exit(cli(standalone_mode=False))
    except UserError as error:
        click.secho(f"dsr: {error}", fg="red", err=True)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("\ndsr: stopped; what is finished stays, run the same command again to go on.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        click.secho(f"dsr: {place}{error.strerror or error}", fg="red", err=True)
        sys.exit(1)
    except MemoryError:
        click.secho("dsr: there is not enough memory; fewer workers or smaller batches need less", fg="red", err=True)
        sys.exit(1)


def _open_streams() -> None:
    """See to it that the three standard streams are open, as daemons close them, and take all characters.

    The next file that is opened would else get the number of a closed one, and what a library logs would be written
    into it.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    main()
