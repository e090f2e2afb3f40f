"""Moments on the command line."""

from __future__ import annotations

import datetime

from utm.errors import InputError


def moment(text: str, field: str) -> float:
    """ISO 8601 with a time zone as Unix seconds. Raises InputError naming ``field``."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(str(error), field=field, mend="Write it like 2026-10-20T10:00:00+09:00.") from error
    if moment.tzinfo is None:
        raise InputError("has no time zone", field=field, value=text, mend="Write it like 2026-10-20T10:00:00+09:00.")
    if not 1970 <= moment.year < 3000:  # time zones are known for these, and clocks of vehicles hold them
        raise InputError("is not of our time", field=field, value=text, mend="Name a year from 1970 to 2999.")
    return moment.timestamp()
