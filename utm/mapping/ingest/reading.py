"""Turning what readers raise on a bad file into one clear error."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lazrs
from laspy.errors import LaspyException
from rasterio._err import CPLE_BaseError  # GDAL's own words where rasterio has no class for them
from rasterio.errors import RasterioError

from utm.errors import SurveyError

MEND = "Copy it again from the survey, or leave it out."


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn what the readers raise on a bad file, headers or body, into a SurveyError that names the file.

    Args:
        what: the kind of file, as the message says it: "GeoTIFF", "LAS or LAZ file".
    """
    try:
        yield
    except SurveyError:
        raise
    except (
        RasterioError, CPLE_BaseError, LaspyException, lazrs.LazrsError, struct.error, EOFError, OSError, ValueError
    ) as error:  # fmt: skip
        raise SurveyError(f"not a readable {what}: {first_line(error)}", file=path, mend=MEND) from error
    except (MemoryError, OverflowError) as error:
        raise SurveyError(f"its header asks for more than fits: {first_line(error)}", file=path, mend=MEND) from error
    except BaseException as error:
        # lazrs is written in Rust; a panic there is a BaseException of a class that cannot be imported
        if type(error).__name__ != "PanicException":
            raise
        raise SurveyError(f"not a readable {what}: {first_line(error)}", file=path, mend=MEND) from None


def first_line(error: BaseException) -> str:
    """What an error says, in one line without its full stop."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".")[:160] if lines else type(error).__name__
