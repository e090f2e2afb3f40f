"""What a vehicle says in words: its STATUSTEXTs, put together and passed on to whoever listens."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

#: Characters in one message; a longer text comes in pieces.
_PIECE = 50
_MOST_TEXTS = 1000


class Words:
    """``said`` holds the last thousand texts, oldest first."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self._listeners: list[list[str]] = []
        self._pending: tuple[int, str] | None = None

    def hear(self, fields: Mapping[str, Any]) -> None:
        """One STATUSTEXT. The pieces of one text share an id that is not 0, and all but the last are 50 long."""
        number, piece = int(fields.get("id", 0)), str(fields["text"])
        pending, self._pending = self._pending, None
        text = piece
        if pending and pending[0] == number:
            text = pending[1] + piece
        elif pending:
            self._say(pending[1])  # its last piece was lost
        if number and len(piece) == _PIECE:
            self._pending = number, text
        else:
            self._say(text)

    def _say(self, text: str) -> None:
        # PX4 ends a text with a tab when it says the same by an event as well.
        text = text.strip("\0\t\r\n ")
        for words in (self.said, *self._listeners):
            words.append(text)
        del self.said[:-_MOST_TEXTS]

    @contextlib.contextmanager
    def listening(self) -> Iterator[list[str]]:
        """The texts from now on."""
        words: list[str] = []
        self._listeners.append(words)
        try:
            yield words
        finally:
            self._listeners[:] = [each for each in self._listeners if each is not words]
