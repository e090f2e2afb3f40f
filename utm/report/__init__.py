"""Pictures and one offline page of what was flown."""

from utm.report.figures import Closest, FlightFigures, flight_figures, least_separation
from utm.report.flown import Flown, FlownFlight, Refused
from utm.report.page import report_html
from utm.report.plan_picture import plan_view
from utm.report.profile_picture import height_profile
from utm.report.separation_picture import separation_plot

__all__ = [
    "Closest",
    "FlightFigures",
    "Flown",
    "FlownFlight",
    "Refused",
    "flight_figures",
    "height_profile",
    "least_separation",
    "plan_view",
    "report_html",
    "separation_plot",
]
