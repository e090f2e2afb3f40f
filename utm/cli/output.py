"""How the command line speaks: one JSON document on stdout with ``--json``, tables for people otherwise.

Everything that is not the answer (progress, notes, errors) goes to stderr, and progress only to a terminal.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from utm.errors import UtmError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


class JsonError:
    """Whether ``--json`` was asked for, so that an error, too, leaves one JSON document on stdout."""

    wanted = False

    @classmethod
    def emit(cls, error: UtmError | click.ClickException) -> None:
        """Print the error as a JSON document, when JSON was asked for."""
        if cls.wanted:
            write_json({"error": error_document(error)})


def error_document(error: UtmError | click.ClickException) -> dict[str, str]:
    """What went wrong, for programs."""
    parts = {name: getattr(error, name, None) for name in ("file", "field", "mend", "code")}
    message = error.format_message() if isinstance(error, click.ClickException) else str(error)
    return {"kind": type(error).__name__, "message": message} | {
        name: str(value) for name, value in parts.items() if value
    }


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The ``--json`` switch."""

    def remember(_ctx: click.Context, _parameter: click.Parameter, value: bool) -> bool:
        JsonError.wanted = value
        return value

    return click.option(
        "--json", "as_json", is_flag=True, callback=remember, help="Print exactly one JSON document on stdout."
    )(command)


def airspace_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where the airspace is."""
    return click.option(
        "--airspace",
        "-A",
        "airspace_path",
        envvar="UTM_AIRSPACE",
        default="airspace",
        show_default="$UTM_AIRSPACE or ./airspace",
        help="Directory of the airspace.",
    )(command)


def clock(moment: str) -> str:
    """A moment of a document (ISO 8601 in UTC, to the millisecond) as people read it."""
    return f"{moment[:10]} {moment[11:19]}Z"


def write_json(document: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


#: The console of the bars that hold the terminal just now. Whatever wrote past it would be drawn over.
_held: Console | None = None


def say(text: str, *, style: str | None = None, label: str | None = None) -> None:
    """A line for a person, on stderr; above the progress bars while there are any."""
    prefix = click.style(f"{label}: ", fg=style, bold=True) if label else ""
    if _held is None:
        click.echo(prefix + text, err=True)
        return
    from rich.text import Text

    _held.print(Text.from_ansi(prefix + text), soft_wrap=True)


def console() -> Console:
    """Rich's console on stdout, without colour when piped."""
    from rich.console import Console

    # A pipe has no width; a table squeezed into 80 columns would cut what a program wants to read.
    width = None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "160"))
    return Console(width=width, highlight=False, soft_wrap=False)


def drawn(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table for a console."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(
        title=title or None, box=box.SIMPLE_HEAD, title_justify="left", header_style="bold", pad_edge=False,
        show_header=any(columns),
    )  # fmt: skip
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    return made


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on stdout."""
    console().print(drawn(title, columns, rows))


@contextlib.contextmanager
def progress(title: str) -> Iterator[Callable[[str, int, int], None] | None]:
    """Progress bars on stderr with rate and time left, or None where nobody would see them.

    Yields:
        ``update(stage, done, total)``, for any thread. The last word of a stage says what is counted: "read points".
    """
    if not sys.stderr.isatty():
        yield None
        return
    global _held
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Counted(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{si(task.completed)}/{si(task.total or 0)}", style="progress.download")

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{si(speed)} {task.fields['unit']}/s", style="progress.data.speed")

    with Progress(
        TextColumn("{task.description:<24}"),
        BarColumn(bar_width=None),
        Counted(),
        Rate(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=Console(stderr=True),
    ) as bars:
        tasks: dict[str, Any] = {}
        furthest: dict[str, int] = {}
        lock = threading.Lock()

        def update(stage: str, done: int, total: int) -> None:
            with lock:  # two threads must neither make two bars of one stage nor move one back
                if stage not in tasks:
                    tasks[stage] = bars.add_task(f"{title}: {stage}", total=total, unit=unit_of(stage))
                furthest[stage] = max(done, furthest.get(stage, 0))
                bars.update(tasks[stage], completed=furthest[stage], total=total)

        _held = bars.console
        try:
            yield update
        finally:
            _held = None


def unit_of(stage: str) -> str:
    """What a stage counts: "points" of "read points", "tiles" of "finish tiles"; else parts of it."""
    last = stage.split()[-1]
    return last if last in ("points", "tiles", "rows", "files", "models", "cells", "features") else "parts"


def si(number: float) -> str:
    """A number in three or four digits with its SI prefix: 950, 12.3k, 4.56M."""
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= max(9_999.5, 0.9995 * factor):
            return f"{number / factor:.3g}{prefix}"
    return f"{number:.0f}" if number >= 10 or number == int(number) else f"{number:.1f}"
