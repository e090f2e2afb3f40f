"""Who asks: ``--as ROLE[:NAME]`` on every command that changes an airspace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

_ROLES = ("operator", "city", "rescue")


def actor_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """In what capacity somebody asks; None when it was not said."""
    return click.option(
        "--as",
        "actor",
        metavar="ROLE[:NAME]",
        envvar="UTM_AS",
        callback=_actor,
        help="Who asks: operator, city or rescue, and a name, for example rescue:fire-brigade. Or $UTM_AS.",
    )(command)


def _actor(_ctx: click.Context, _parameter: click.Parameter, value: str | None):  # type: ignore[no-untyped-def]
    if value is None:
        return None
    from utm.model import Actor, Role

    role, _, name = value.partition(":")
    if role not in _ROLES:
        raise click.BadParameter(f"{role!r} is no role; known: {', '.join(_ROLES)}.")
    return Actor(name or role, Role(role))
