"""The operating point that was converted last: what commands take that are not told one."""

from __future__ import annotations

import json
from dataclasses import asdict

from dsr.data_pipelines.codecs import CODECS
from dsr.experiments.config.overrides import ConfigError
from dsr.experiments.config.schema import ROLES, OperatingPoint
from dsr.experiments.stored_json import from_json, load
from dsr.experiments.stored_study import claim_folder, located
from dsr.experiments.study import ORIGINAL, Study
from dsr.models.errors import UserError
from dsr.tfrecords import files
from dsr.tfrecords.errors import ArtefactError
from dsr.tfrecords.files import write_atomically
from dsr.tfrecords.layout import MANIFEST
from dsr.tfrecords.manifest import Manifest

LAST = "last-conversion.json"


def remember_conversion(study: Study) -> None:
    """Write down that the study's one operating point was converted last."""
    (point,) = study.config.points
    if files.is_url(study.work):
        return  # where whoever comes next is told
    write_atomically(claim_folder(study) / LAST, json.dumps(asdict(located(point))).encode())


def last_conversion(study: Study) -> OperatingPoint:
    """The operating point that was converted last under the study's name; its first point if nothing was converted.

    Where it is not written down, the only one that the work folder has of the study's images. Clocks decide nothing:
    those of hosts that share a work folder differ.

    Raises:
      ConfigError: it is not written down, and there are several; or what is written down is damaged.
    """
    path = study.folder / LAST
    try:
        if files.is_url(study.work):
            raise FileNotFoundError
        return from_json(OperatingPoint, load(path))
    except FileNotFoundError:
        pass
    except (UserError, ValueError) as error:
        raise ConfigError(f"{path} is damaged ({error}); remove it, or name --codec and --quality") from None
    if study.source.received:
        return study.config.points[0]  # the study is at what came, whatever is named
    found = converted(study)
    if len(found) > 1:
        raise ConfigError(
            f"{study.work} has {', '.join(sorted(found))} of {study.source.name}: say which with --codec and --quality"
        )
    return next(iter(found.values()), study.config.points[0])


def converted(study: Study) -> dict[str, OperatingPoint]:
    """The operating points of which the work folder has compressed shards of the study's images, by name in order.

    The model of a learned codec is named by its fingerprint there, which only the model that comes with dsr is found
    by: of another one the point cannot be made.
    """
    originals = {study.shards(ORIGINAL, role).fingerprint for role in ROLES}
    found = {}
    for path in (study.work / "shards" / study.source.name).glob(f"*/*/{MANIFEST}"):
        try:
            manifest = Manifest.load(path.parent)
        except ArtefactError:
            continue  # damaged, or of another version of dsr: whoever needs it hears of it
        codec = manifest.config.get("codec", {})
        if manifest.inputs.get("original") in originals and codec.get("name") in CODECS:
            name = manifest.name.rpartition("/")[2]
            found[name] = OperatingPoint(codec["name"], codec["quality"], codec["options"])
    return dict(sorted(found.items()))  # not as a file system lists them
