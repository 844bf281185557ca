"""What all pages share: templates beside this module, escaped by default, and one style sheet."""

from __future__ import annotations

from pathlib import Path

import jinja2
from markupsafe import Markup

HERE = Path(__file__).parent


def environment() -> jinja2.Environment:
    """Where a page's template comes from; an undefined name in one is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def inlined(name: str) -> Markup:
    """A style sheet or script beside this module, as it is."""
    return Markup((HERE / name).read_text(encoding="utf-8"))
