"""The second opinion on every approval: proven again by other means, from the map and the documents alone.

Imports nothing of what grants (core's kernels, airspace): two checkers that share code share its faults.
"""

from utm.verify.check import verify
from utm.verify.report import Line, Report

__all__ = ["Line", "Report", "verify"]
