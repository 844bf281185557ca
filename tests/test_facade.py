"""The first import of a library user: `from dsr import make_codec`."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

import dsr


def test_importing_dsr_imports_nothing_else() -> None:
    code = "import sys, dsr; print([name for name in sys.modules if name.startswith(('dsr.', 'numpy', 'tensorflow'))])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.tensorflow
def test_every_name_is_what_type_checkers_are_told_it_is() -> None:
    """The imports under TYPE_CHECKING, which no program runs, against the lazy ones."""
    told = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(ast.parse(Path(dsr.__file__).read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dsr.")
        for alias in node.names
    }
    assert set(told) == set(dsr.__all__)
    for name, (module, attribute) in told.items():
        assert getattr(dsr, name) is getattr(importlib.import_module(module or ""), attribute)


def test_every_name_is_explained_in_the_docstring() -> None:
    assert dsr.__doc__ is not None
    assert [name for name in dsr.__all__ if f"`{name}`" not in dsr.__doc__] == []


def test_the_examples_of_the_docstring_run() -> None:
    """The first, that is: the second is `dsr run`, which takes minutes."""
    one_image, study = map(dedent, re.findall(r"(?:^    .*\n|^\n(?=    ))+", dsr.__doc__ or "", re.MULTILINE))
    done = subprocess.run([sys.executable, "-c", one_image], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"\d\.\d+ bits per pixel\n\d\d\.\d+ dB\n", done.stdout)
    compile(study, "docstring", "exec")


def test_a_name_that_there_is_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such"):
        _ = dsr.no_such


def test_the_version_is_that_of_the_installed_package() -> None:
    assert dsr.__version__ == importlib.import_module("importlib.metadata").version("dsr")
    assert set(dsr.__all__) <= set(dir(dsr))
