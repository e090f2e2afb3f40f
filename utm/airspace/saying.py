"""What is said of a decision: the same words in the log, in what is published, and to whoever asked."""

from __future__ import annotations

import dataclasses
from typing import Any

from utm.airspace.documents import plan_document
from utm.model import Decision


def decision_said(decision: Decision) -> dict[str, Any]:
    """A decision without the intent that it granted, as JSON."""
    details = decision.details
    said = {
        "plan": decision.plan.id,
        "operator": decision.plan.operator,
        "status": "approved" if decision.approved else "refused",
        "as_asked": decision.approved and decision.change is None,
        "change": dataclasses.asdict(decision.change) if decision.change else None,
        "other_changes": list(details.get("other_changes", ())),
        "reasons": [dataclasses.asdict(reason) for reason in decision.reasons],
        "relaxation": details.get("relaxation"),
        "energy": details.get("energy"),
        "alternative": None,
    }
    if details.get("crosses"):
        said["crosses"] = list(details["crosses"])
    if decision.alternative is not None:
        change = decision.alternative_change
        said["alternative"] = {
            "change": dataclasses.asdict(change) if change else None,
            "plan": plan_document(decision.alternative),
        }
    return said
