"""The packages that dsr is made of, and the sentence about one that is not installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from dsr.models.errors import UserError

CORE = (
    "numpy", "pillow", "av", "simplejpeg", "isal", "google-crc32c", "protobuf", "etils", "click", "dacite",
    *(["tomli"] if sys.version_info < (3, 11) else []),
)  # fmt: skip
"""What `requirements-core.in` names: enough to convert, verify and look."""

BEYOND_CORE = (
    "tensorflow", "tensorflow-compression", "tensorflow-addons", "keras-cv", "tensorflow-datasets",
    "tensorflow-metadata", "scipy", "jinja2", "markupsafe", "setuptools",
)  # fmt: skip
"""What training, restoring, the learned codec and reports need on top."""

IMPORTED_AS = {"PIL": "pillow", "google": "protobuf", "pkg_resources": "setuptools"}
"""Modules that are not called like their package."""

INSTALL = f"{sys.executable} -m pip install dsr"
"""Installs what is missing, of an installed dsr too."""


class PackageError(UserError):
    """A package is not installed."""


@contextmanager
def required() -> Iterator[None]:
    """Turn the failed import of a package of dsr's into a sentence.

    Raises:
      PackageError: says which package is not installed, and what to do.
    """
    try:
        yield
    except ModuleNotFoundError as error:  # also importlib.metadata's, when asked for a version
        module = (error.name or "").partition(".")[0]
        package = IMPORTED_AS.get(module, module.replace("_", "-"))
        if package not in (*CORE, *BEYOND_CORE):
            raise
        raise PackageError(
            f"this needs {package}, which is not installed here: run {INSTALL}, which adds what is missing"
        ) from None
