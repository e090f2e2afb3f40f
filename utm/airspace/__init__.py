"""The authority: it grants or refuses flight plans, and is the only room that owns state and time."""

from utm.airspace.authority import Airspace
from utm.airspace.documents import flight_plan_schema, parse_plan, plan_document, read_plan, read_zones
from utm.airspace.places import Refusal
from utm.airspace.publish import decision_document, intent_detail, intent_summary

__all__ = [
    "Airspace",
    "Refusal",
    "decision_document",
    "flight_plan_schema",
    "intent_detail",
    "intent_summary",
    "parse_plan",
    "plan_document",
    "read_plan",
    "read_zones",
]
