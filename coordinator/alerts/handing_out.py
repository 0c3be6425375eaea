"""What was released is handed to its recipient in a form of its own: as a file, through a collection, by an officer.

The way is the portal each time, and the rules are asked at each handing out: what may no longer be given is not given,
whoever has it already. What was handed out is on record and in the ledger, with the permit it left on.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import Principal
from coordinator.alerts.models import Acknowledgement, Alert, Delivery, DeliveryAttempt, FileHandout, Handout
from coordinator.errors import NotFound
from coordinator.incidents.models import Incident
from coordinator.markings import Marking, Tlp
from coordinator.partners.models import Contact, Organisation
from coordinator.sharing.addressees import Addressee
from coordinator.sharing.models import Release, ReleaseFile, ShareDecision
from coordinator.sharing.rules import Decision, Result
from coordinator.sharing.service import TextChanged, check_text, decide_share, forecast, permits_now, redecide
from coordinator.store import store_of
from coordinator.timeline.keys import Erased

#: Ways in which a machine asks again and again: noted once for each permit, not for each question.
_REPEATED = ("taxii",)


def permit(tx: Session, alert: Alert, *, person: str = "") -> ShareDecision | None:
    """A recorded permit for handing this alert to its recipient now; None where the rules do not give one.

    `person`: the address of the very person who takes it, "" for a system of theirs or an officer of ours: then nothing
    RED is given. A refusal is not recorded: nothing left, and whoever releases asks for a clearance, not a reader.
    """
    if foreseen(tx, alert, person=person) is None:
        return None
    now, release = clock.now(), tx.get_one(Release, alert.release_id)
    addressee = _by_portal(tx, alert, release, person)
    try:
        last = _last(tx, alert, addressee)
        made = redecide(tx, last.id, now=now, addressee=addressee) if last else decide_share(tx, release, addressee)
    except (TextChanged, NotFound):
        return None
    return made if made.result == Result.PERMIT else None


def foreseen(tx: Session, alert: Alert, *, person: str = "") -> Decision | None:
    """What `permit` would be made from, not recorded: for telling that there is something, not for giving it.

    What left lawfully stays with whoever has it, but is given out here only while the rules permit that now, by every
    door alike. By which way it was sent, and whether that way is still there, plays no part: whoever reads here has
    signed in for the organisation, or as the person.
    """
    if not _given_out(tx, alert) or alert.organisation_id is None:
        return None
    release = tx.get_one(Release, alert.release_id)
    try:
        check_text(tx, release, tx.get_one(ShareDecision, alert.decision_id))
        said = forecast(tx, release, _by_portal(tx, alert, release, person))
    except (TextChanged, Erased):
        return None
    return said if said.result is Result.PERMIT else None


def to_holder(tx: Session, alert: Alert, delivery: Delivery) -> bool:
    """Whether the rules let whoever holds the link of this delivery read the text now, if its label lets them at all:
    the contact it was sent to must still be one."""
    contact = tx.get(Contact, delivery.contact_id) if delivery.contact_id is not None else None
    if not _given_out(tx, alert) or (contact is not None and not contact.active):
        return False
    return permits_now(tx, delivery.decision_id, now=clock.now())


def _given_out(tx: Session, alert: Alert) -> bool:
    """Whether it may be given to anybody at all: not taken or held back, and its recipient is still a partner."""
    if alert.state in ("withdrawn", "withheld"):
        return False
    if alert.organisation_id is None:
        return True
    organisation = tx.get_one(Organisation, alert.organisation_id)
    return organisation.active and organisation.code == alert.recipient


def note(
    tx: Session, alert: Alert, decision: ShareDecision, *, principal: Principal, way: str, format: str,
    file: ReleaseFile | None = None,
) -> None:  # fmt: skip
    """It left on this permit. `way` and `format` as in Handout. `file`: the file of the release that was taken."""
    if way in _REPEATED and _noted(tx, alert, decision, principal, way):
        return
    taken = Handout(
        alert_id=alert.id, decision_id=decision.id, user_id=principal.user_id, way=way, format=format, at=clock.now(),
        exercise=alert.exercise,
    )  # fmt: skip
    tx.add(taken)
    tx.flush()
    if file is not None:
        tx.add(FileHandout(
            handout_id=taken.id, release_file_id=file.id, sha256=file.sha256, exercise=alert.exercise
        ))  # fmt: skip
        tx.flush()
    timeline.append(
        tx, "alert.taken", _SENTENCES[way], actor=principal.actor, about=("alert", alert.id), exercise=alert.exercise,
        incident=tx.get_one(Incident, alert.incident_id) if alert.incident_id is not None else None,
        values={"recipient": alert.recipient, "way": way, "format": format, "decision": decision.id}
        | ({"file": file.name, "sha256": file.sha256} if file is not None else {}),
    )  # fmt: skip


_SENTENCES = {
    "page": "The recipient took an alert as a file.",
    "api": "The recipient took an alert as a file through the API.",
    "taxii": "The recipient's system took an alert from its collection.",
    "officer": "An officer took an alert out as a file, to hand it to its recipient.",
}


def left_at(tx: Session, alert: Alert) -> datetime | None:
    """When it first left, by whatever way; None while it has not. It never becomes earlier."""
    sent = (
        select(func.min(DeliveryAttempt.at))
        .join(Delivery, Delivery.id == DeliveryAttempt.delivery_id)
        .where(Delivery.alert_id == alert.id, Delivery.kind != "voice", DeliveryAttempt.outcome != "withheld")
    )
    answered = select(func.min(Acknowledgement.at)).where(Acknowledgement.alert_id == alert.id)
    taken = select(func.min(Handout.at)).where(Handout.alert_id == alert.id)
    found = [tx.execute(query).scalar_one_or_none() for query in (sent, answered, taken)]
    return min((at for at in found if at is not None), default=None)


def _by_portal(tx: Session, alert: Alert, release: Release, person: str) -> Addressee:
    organisation = tx.get_one(Organisation, alert.organisation_id)
    red = Marking.from_json(release.marking).effective is Tlp.RED
    return Addressee(
        recipient=organisation.code, organisation_id=organisation.id, channel_kind="portal", exercise=alert.exercise,
        person=person if red else "", encrypted=store_of(tx).settings.https,
        communities=tuple(organisation.communities), client_of_own=organisation.client_of_own,
    )  # fmt: skip


def _last(tx: Session, alert: Alert, addressee: Addressee) -> ShareDecision | None:
    """The newest decision on handing this to this reader."""
    query = select(ShareDecision).where(
        ShareDecision.release_id == alert.release_id, ShareDecision.recipient == alert.recipient,
        ShareDecision.channel_kind == "portal", ShareDecision.contact_id.is_(None),
    )  # fmt: skip
    for row in tx.execute(query.order_by(ShareDecision.id.desc()).limit(20)).scalars():
        if (row.inputs["recipient"].get("person") or "") == addressee.person:
            return row
    return None


def _noted(tx: Session, alert: Alert, decision: ShareDecision, principal: Principal, way: str) -> bool:
    query = select(Handout.id).where(
        Handout.alert_id == alert.id, Handout.decision_id == decision.id, Handout.user_id == principal.user_id,
        Handout.way == way,
    )  # fmt: skip
    return tx.execute(query.limit(1)).first() is not None
