"""How pages are made from templates."""

from __future__ import annotations

import jinja2


def template_environment() -> jinja2.Environment:
    """Of the templates in this folder: everything is escaped, and a name that is missing is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("utm.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
