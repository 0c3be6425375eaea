"""The two texts that are the same for everybody and hold no case content: the receipt for a report, and the closure."""

from __future__ import annotations

from sqlalchemy.orm import Session

from coordinator.accounts.principal import SYSTEM
from coordinator.alerts.audience import find, system_of, told_so_far, ways_to
from coordinator.alerts.telling import Told, tell
from coordinator.alerts.wording import CLOSURE, RECEIPT
from coordinator.incidents.models import Incident, Report
from coordinator.markings import Marking, Tlp
from coordinator.partners.models import Organisation

PURPOSE, CATEGORY = "incident-response", "incident-notification"


def send_receipt(tx: Session, report_id: int) -> Told | None:
    """Answer a report that was taken on the out endpoint of whoever sent it, else by mail to its contact.

    None where nobody outside sent it (the form, our own token) or there is no way back. Asked for by the system.
    """
    report = tx.get_one(Report, report_id)
    if report.organisation_id is None or report.incident_id is None or report.endpoint_id is None:
        return None
    organisation = tx.get_one(Organisation, report.organisation_id)
    if organisation.is_own:
        return None
    ways = system_of(tx, organisation, exercise=report.exercise, tlp=Tlp.CLEAR)
    ways = ways or ways_to(tx, organisation, exercise=report.exercise, tlp=Tlp.CLEAR)
    written = [way for way in ways if way.channel_kind != "voice"]  # nobody is called to say that a report arrived
    if not written:
        return None
    title, body = RECEIPT
    return tell(
        tx, incident=tx.get_one(Incident, report.incident_id), kind="receipt", title=title, body=body, purpose=PURPOSE,
        info_category=CATEGORY, requested_by=SYSTEM, addressees=written[:1], marking=Marking(tlp=Tlp.CLEAR), ack="",
        ladder=(), facts={"report": _replied_to(report)},
    )  # fmt: skip


def _replied_to(report: Report) -> str:
    """What the sender can know it by: of another coordinator's alert its own reference, else the id we answered with.

    Our reference beside it is how that coordinator learns under which name our later alerts come.
    """
    return report.external_id if report.format == "alert" and report.external_id else report.public_id


def send_closure(tx: Session, incident_id: int, *, requested_by: str = SYSTEM) -> Told | None:
    """Tell everyone who was told of an incident that its coordination is closed; None where nobody was."""
    incident = tx.get_one(Incident, incident_id)
    codes = told_so_far(tx, incident)
    if not codes:
        return None
    title, body = CLOSURE
    audience = find(tx, {"told": True}, incident=incident, exercise=incident.exercise, tlp=Tlp.CLEAR)
    told = tell(
        tx, incident=incident, kind="closure", title=title, body=body, purpose=PURPOSE, info_category=CATEGORY,
        requested_by=requested_by, addressees=audience.addressees, marking=Marking(tlp=Tlp.CLEAR), ack="", ladder=(),
    )  # fmt: skip
    return Told(told.release, told.permitted, told.referred, told.denied, audience.unreachable)
