"""The command tree, and how errors leave it.

Commands live in modules of their own that are imported when they are called, so that ``utm --help`` stays instant:
numba, rasterio and SQLAlchemy together take more than half a second to import.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from utm import __version__
from utm.cli.output import JsonError, say
from utm.errors import InputError, OutsideError, UtmError

#: Every command: where it lives, and the line that a list of commands shows (so that listing imports nothing).
_TOP = {
    "map": ("utm.cli.map:group", "Build and look at city maps."),
    "init": ("utm.cli.airspace:init", "Make an airspace over a map."),
    "zone": ("utm.cli.airspace:zone", "Enter, list and remove geo-zones."),
    "wind": ("utm.cli.conditions:wind", "The forecast wind."),
    "layer": ("utm.cli.conditions:layer", "Cost layers: what makes some air dearer."),
    "route": ("utm.cli.route:route", "Find a way; asks nobody, changes nothing."),
    "plan": ("utm.cli.plan:group", "Submit flight plans and follow what became of them."),
    "emergency": ("utm.cli.emergency:emergency", "Close a volume at once, and lead everybody out of its way."),
    "verify": ("utm.cli.audit:verify_plan", "Prove an approval again, by other means."),
    "audit": ("utm.cli.audit:audit", "The log of all decisions: look, verify, decide again."),
    "airspace": ("utm.cli.airspace:airspace", "Another map version; what the clock asks for."),
    "fly": ("utm.cli.fly:fly", "Send approved sky roads to drones and follow them."),
    "monitor": ("utm.cli.fly:monitor", "Watch the flights of an airspace."),
    "sim": ("utm.cli.sim:group", "Simulated vehicles (needs the checkout)."),
    "demo": ("utm.cli.sim:demo", "From a drone survey to two flown sky roads."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def __init__(self, *args: Any, lazy: dict[str, tuple[str, str]], **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._lazy)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self._lazy:
            return None
        module, _, attribute = self._lazy[name][0].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self._lazy.items()])


@click.group(
    cls=LazyGroup,
    lazy=_TOP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 done, 1 refused or not conforming, 2 bad input or usage, 3 the outside world failed.",
)
@click.version_option(__version__, prog_name="skyroad")
def app() -> None:
    """Roads in the sky: from a drone survey to flown, conflict-free flights.

    \b
    Example:
      utm map build survey.tif --terrain ground.tif --out city
      utm init --map city
      utm plan submit medicine.json
      utm fly medicine --link udpin://127.0.0.1:14540
    """


def exit_code(error: UtmError) -> int:
    """1 refused or not conforming, 2 bad input, 3 the outside world failed."""
    if isinstance(error, InputError):
        return 2
    return 3 if isinstance(error, OutsideError) else 1


def run() -> None:
    """Run the command line and leave the process with its exit code."""
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        JsonError.wanted = "--json" in sys.argv[1:]  # the command line was not read to its end
        JsonError.emit(error)
        sys.exit(error.exit_code)
    except click.Abort:
        say("stopped")
        sys.exit(130)
    except UtmError as error:
        say(str(error), style="red", label="error")
        JsonError.emit(error)
        sys.exit(exit_code(error))
    except BrokenPipeError:  # `utm plan list | head`: nobody listens any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            raise
        failed = InputError(f"cannot be used: {error.strerror}", file=error.filename, mend="Check the path.")
        say(str(failed), style="red", label="error")
        JsonError.emit(failed)
        sys.exit(2)
    sys.exit(code if isinstance(code, int) else 0)
