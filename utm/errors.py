"""Every error that this package raises on purpose, in one tree.

UtmError
├── InputError            what was handed in cannot be used; says file, field, value and mend   (exit 2)
│   ├── SurveyError       a survey file: no CRS, truncated, empty, not what it claims to be
│   ├── MapError          a map that cannot be opened, or a place that is not on it
│   ├── PlanError         a flight plan: off the map, in the past, inside a building, NaN
│   ├── ZoneError         a geo-zone file
│   └── DatumError        a height whose datum is unstated, or a geoid that is not at hand
├── NoPath                the search proved that there is no way                                (exit 1)
├── CannotFly             a way exists, but this aircraft cannot fly it; says which limit       (exit 1)
├── StateError            the airspace does not allow this in the present state                 (exit 1)
└── OutsideError          the outside world failed                                              (exit 3)
    ├── LinkError         no vehicle, or it went silent
    ├── VehicleRefused    the vehicle said no, or said yes and did not do it; carries its words
    └── StoreError        the database is gone or is not ours
"""

from __future__ import annotations


class UtmError(Exception):
    """The root. Catch this to catch everything that the package raises on purpose."""


#: Of what stood in a file no more is shown.
_LONGEST = 120


def _short(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


class InputError(UtmError):
    """What was handed in cannot be used.

    The message is one line for a person: where it is (file and field), what stood there, and how to mend it.
    ``contradicts`` is set where a file and the caller say different things, and nothing else is wrong.
    """

    def __init__(
        self,
        problem: str,
        *,
        mend: str = "",
        file: object = None,
        field: str | None = None,
        value: object = None,
        contradicts: bool = False,
    ):
        self.problem, self.mend, self.file, self.field, self.value = problem, mend, file, field, value
        self.contradicts = contradicts
        super().__init__(problem)

    def __str__(self) -> str:
        field = None if self.field is None else _short(str(self.field))
        place = ": ".join(str(part) for part in (self.file, field) if part is not None)
        shown = "" if self.value is None else f" (got {_short(repr(self.value))})"
        problem = _short(self.problem, 2 * _LONGEST)
        text = f"{place}: {problem}{shown}" if place else f"{problem}{shown}"
        text = f"{text}. {self.mend}" if self.mend else text
        # A damaged file may bring any character into a message, and a terminal obeys some of them
        return "".join(sign if sign.isprintable() else "\ufffd" for sign in " ".join(text.split()))

    def at(self, file: object) -> InputError:
        """Name the file, where the place that raised did not know it; returns self."""
        self.file = file if self.file is None else self.file
        return self


class SurveyError(InputError):
    """A survey file that cannot become part of a map."""


class MapError(InputError):
    """A map that cannot be opened, or a place that is not on it."""


class PlanError(InputError):
    """A flight plan that cannot be judged as it stands."""


class ZoneError(InputError):
    """A geo-zone that cannot be entered."""


class DatumError(InputError):
    """A height whose datum is unstated or whose geoid is not at hand."""


class NoPath(UtmError):
    """The search proved that no way exists between start and goal.

    ``limit`` is ``wind`` where there would be one in calm air.
    """

    def __init__(self, message: str, *, limit: str | None = None):
        self.limit = limit
        super().__init__(message)


class CannotFly(UtmError):
    """A way exists, but the aircraft cannot fly it; the message says which limit is missed and by how much.

    Attributes:
        limit: ``endurance`` (seconds), ``energy`` (watt-hours), ``wind`` (metres per second); None for a limit that
            has no figures.
        needed: what the flight asks for, in the limit's unit; None without figures.
        allowed: what the aircraft has.
    """

    def __init__(
        self, message: str, *, limit: str | None = None, needed: float | None = None, allowed: float | None = None
    ):
        self.limit, self.needed, self.allowed = limit, needed, allowed
        super().__init__(message)

    @property
    def excess_share(self) -> float | None:
        """How much more than allowed is needed, as a share of what is allowed; None without figures."""
        return None if self.needed is None or not self.allowed else self.needed / self.allowed - 1.0


class StateError(UtmError):
    """The airspace does not allow this in the present state of the intent."""


class OutsideError(UtmError):
    """The world outside failed: a link, a vehicle, a database."""


class LinkError(OutsideError):
    """No vehicle answered, or it went silent."""


class VehicleRefused(OutsideError):
    """The vehicle said no, or acknowledged and then did not do it.

    ``said`` holds the vehicle's own words (its STATUSTEXTs), oldest first.
    """

    def __init__(self, message: str, said: tuple[str, ...] = ()):
        self.said = tuple(said)
        super().__init__(message + (f" (the vehicle said: {'; '.join(self.said)})" if self.said else ""))


class StoreError(OutsideError):
    """The database is gone, locked for too long, or does not hold an airspace of this version."""
