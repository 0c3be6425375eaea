"""Our system's answer to an alert of another coordinator: that it arrived, and never that a person has seen it.

The message says where it wants the answer. It is sent there only if that is the origin of an endpoint registered for
the sender; a message must not choose where our machine calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import timeline
from coordinator.incidents.items import read_item
from coordinator.incidents.models import Incident, ItemVersion, Report
from coordinator.partners.models import Endpoint
from coordinator.partners.queries import own_organisation

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Answer:
    """Where it goes and what it says. `allow_private`: the ranges that endpoint may use."""

    url: str
    allow_private: tuple[str, ...]
    body: dict[str, str]


def answer_to(tx: Session, report_id: int) -> Answer | None:
    """What is to be sent for this report; None where nothing is asked for, or where it asks for another place than its
    sender's own, which goes on record."""
    report = tx.get(Report, report_id)
    if report is None or report.incident_id is None or report.format != "alert":
        return None
    asked = _asked(tx, report)
    if not asked:
        return None
    for endpoint in _registered(tx, report):
        if origin(asked) is not None and origin(asked) == origin(endpoint.url):
            said = {"kind": "system", "by": own_organisation(tx).code, "answer": "acknowledged"}
            return Answer(asked, tuple(endpoint.allow_private), said)
    timeline.append(
        tx, "acknowledgement.withheld", "An alert asks for its answer at a place that is not its sender's: none went.",
        actor="system", incident=tx.get_one(Incident, report.incident_id), values={"report": report.public_id},
        about=("report", report.id),
    )  # fmt: skip
    return None


def note_answered(tx: Session, report_id: int, outcome: str) -> None:
    """Put on record that our system's answer went, or could not."""
    report = tx.get_one(Report, report_id)
    incident = tx.get_one(Incident, report.incident_id)
    timeline.append(tx, "acknowledgement.sent", "Our system answered that the alert arrived.", actor="system",
                    incident=incident, values={"report": report.public_id, "outcome": outcome},
                    about=("report", report.id))  # fmt: skip


def origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port (RFC 6454, 4) of an http or https address without a user name; None for anything else."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None or parts.password is not None:
        return None
    if "\\" in url or any(ord(each) <= 32 for each in url):
        return None
    return parts.scheme, parts.hostname.lower().rstrip("."), port or _PORTS[parts.scheme]


def _asked(tx: Session, report: Report) -> str:
    query = select(ItemVersion).where(ItemVersion.report_id == report.id, ItemVersion.kind == "details")
    details = tx.execute(query.order_by(ItemVersion.id).limit(1)).scalar_one_or_none()
    said = read_item(tx, details) if details is not None else {}
    alert = said.get("alert", {}) if isinstance(said, dict) else {}
    return str(alert.get("acknowledge_api") or "")


def _registered(tx: Session, report: Report) -> list[Endpoint]:
    query = select(Endpoint).where(
        Endpoint.organisation_id == report.organisation_id, Endpoint.direction == "out",
        Endpoint.state == "active", Endpoint.exercise == report.exercise,
    )  # fmt: skip
    return list(tx.execute(query.order_by(Endpoint.id)).scalars())
