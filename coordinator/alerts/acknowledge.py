"""Answers to alerts: taken from whoever holds the link, from a partner's system, or noted by an officer after a call.

An answer never says more than it proves: by link it is "the holder of the link sent to X", who says a name. Without a
name it is nobody's: a mail gateway that presses every button gives none. A machine's answer does not stop a ladder that
asks for a person. The same answer again gets the same result; said by another person it is an answer of its own, and
what follows from it follows once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import Principal
from coordinator.alerts import consents, recalls, rungs
from coordinator.alerts.answers import COULD_NOT, EVERY, GONE, SAID, SENTENCES, ends_it, faults_of
from coordinator.alerts.bounces import doubt_contact
from coordinator.alerts.ladder import answers_it
from coordinator.alerts.models import Acknowledgement, Alert, Delivery
from coordinator.errors import Fault, Gone, Invalid, NotFound, Refused
from coordinator.incidents.items import read_item, write_item
from coordinator.incidents.models import ItemVersion
from coordinator.markings import Marking
from coordinator.partners.service import verify_contact
from coordinator.sharing.models import Release
from coordinator.tasks.service import open_task
from coordinator.vault import token_hash

KINDS = ("person", "system")
ASSURANCES = ("link", "session", "signed", "noted-by-officer")
LONGEST_NOTE, LONGEST_NAME = 4000, 200


@dataclass(frozen=True)
class AckResult:
    """What the page or the caller is told. `repeated`: this answer was there already, and `at` is its time."""

    alert_id: int
    alert: str
    reference: str
    answer: str
    kind: str
    assurance: str
    at: datetime
    repeated: bool


def acknowledge(
    tx: Session,
    *,
    token: str,
    kind: str,
    by: str,
    answer: str,
    note: str | None = None,
    assurance: str = "link",
    worded: bool = True,
) -> AckResult:
    """Take an answer by its link token. Raises NotFound (no such link), Gone (withdrawn or expired), Invalid.

    `worded`: a question must say what is asked. A partner's system may leave it to its people to call. A person's
    answer by a mere link needs a name; of one who signed in (`assurance` session) it is known.
    """
    check_answer(kind, by, answer, note, worded=worded, named=kind == "person" and assurance == "link")
    delivery, alert = by_token(tx, token)
    actor = f"link:{alert.public_id}"
    return note_answer(
        tx, alert, delivery, kind=kind, answer=answer, by=by, assurance=assurance, actor=actor, note=note
    )


def acknowledge_for(
    tx: Session, alert_id: int, *, principal: Principal, by: str, answer: str, note: str | None = None
) -> AckResult:
    """An officer notes what a partner said by another way (a call, a meeting). Raises NotFound, Refused, Invalid."""
    check_answer("person", by, answer, note)
    alert = rungs.locked(tx, alert_id, principal=principal)
    if alert.state == "withdrawn":
        raise Refused("The alert was withdrawn.")
    return note_answer(
        tx, alert, rungs.newest_delivery(tx, alert), kind="person", answer=answer, by=by,
        assurance="noted-by-officer", actor=principal.actor, note=note,
    )  # fmt: skip


def by_token(tx: Session, token: str, *, hold: bool = True) -> tuple[Delivery, Alert]:
    """The delivery and the alert a link belongs to, the alert held unless it is only read. Raises NotFound, or Gone."""
    delivery = tx.execute(select(Delivery).where(Delivery.ack_hash == token_hash(token))).scalar_one_or_none()
    if delivery is None:
        raise NotFound()
    alert = rungs.locked(tx, delivery.alert_id) if hold else tx.get_one(Alert, delivery.alert_id)
    if alert.state == "withdrawn":
        raise Gone("This alert was withdrawn.")
    if clock.now() >= delivery.ack_expires_at:
        raise Gone("This link has expired.")
    return delivery, alert


def note_answer(
    tx: Session,
    alert: Alert,
    delivery: Delivery | None,
    *,
    kind: str,
    answer: str,
    by: str,
    assurance: str,
    actor: str,
    note: str | None = None,
) -> AckResult:
    """Write down one answer and what follows from it. The alert is held by this transaction. Raises Invalid for an
    answer that this alert does not ask for."""
    if faults := faults_of(alert.kind, kind, answer, note or ""):
        raise Invalid(faults)
    before = _before(tx, alert, delivery, kind=kind, answer=answer, assurance=assurance, note=note)
    same = next((row for row in before if kind == "system" or _name(row.by) == _name(by)), None)
    if same is not None:
        return _result(alert, same, repeated=True)
    row = Acknowledgement(
        alert_id=alert.id, delivery_id=delivery.id if delivery else None, at=clock.now(), kind=kind, answer=answer,
        assurance=assurance, by=by.strip(), note_version_id=_keep_note(tx, alert, note, actor=actor),
        exercise=alert.exercise,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    enough = ends_it(alert.kind, answer) and answers_it(alert.ack, kind)
    if enough and alert.state not in rungs.SETTLED:
        alert.state, alert.acknowledged_at = "acknowledged", row.at
        tx.flush()
        rungs.stop(tx, alert, now=row.at)
    timeline.append(
        tx, "alert.acknowledged", SENTENCES[answer], actor=actor, incident=rungs.incident_of(tx, alert),
        values={"kind": kind, "assurance": assurance, "answer": answer, "by": row.by, "enough": enough,
                "delivery": row.delivery_id, "recipient": alert.recipient},
        about=("alert", alert.id), exercise=alert.exercise,
    )  # fmt: skip
    timeline.pending(tx, "alert.acknowledged", alert.id, exercise=alert.exercise)
    if enough and alert.kind == "check" and delivery is not None and delivery.contact_id is not None:
        verify_contact(tx, delivery.contact_id, actor=actor, how="ping")
    if before:  # somebody else said it at the same contact, and what follows from it was begun
        return _result(alert, row, repeated=False)
    if alert.kind == "request":
        consents.take_answer(tx, alert, row, actor=actor)
    if answer in GONE or answer == COULD_NOT:
        recalls.take_answer(tx, alert, answer)
    if answer == "question":
        _ask_somebody(tx, alert)
    if answer == "not-for-me":
        _wrong_person(tx, alert, delivery)
    return _result(alert, row, repeated=False)



def _before(
    tx: Session, alert: Alert, delivery: Delivery | None, *, kind: str, answer: str, assurance: str, note: str | None
) -> list[Acknowledgement]:
    """The same answer as it was given before at this contact, by whomever. A question is the same only with the same
    words; of what may be taken back (a consent) or change (a recall), only the last answer counts."""
    query = select(Acknowledgement).where(
        Acknowledgement.alert_id == alert.id, Acknowledgement.kind == kind, Acknowledgement.answer == answer,
        Acknowledgement.assurance == assurance,
    )  # fmt: skip
    last = select(func.max(Acknowledgement.id)).where(Acknowledgement.alert_id == alert.id)
    if answer in (*GONE, COULD_NOT, *SAID):
        query = query.where(Acknowledgement.id == last.scalar_subquery())
    here = delivery.contact_id if delivery is not None else None
    return [
        row for row in tx.execute(query.order_by(Acknowledgement.id)).scalars()
        if (answer != "question" or _note_of(tx, row) == (note or "").strip())
        and (assurance == "noted-by-officer" or _contact_of(tx, row) == here)
    ]  # fmt: skip


def _contact_of(tx: Session, row: Acknowledgement) -> int | None:
    return tx.get_one(Delivery, row.delivery_id).contact_id if row.delivery_id is not None else None


def _name(by: str) -> str:
    """A name as it is compared: "aino " is Aino."""
    return " ".join(by.split()).casefold()


def _note_of(tx: Session, row: Acknowledgement) -> str:
    if row.note_version_id is None:
        return ""
    return str(read_item(tx, tx.get_one(ItemVersion, row.note_version_id)))


def _keep_note(tx: Session, alert: Alert, note: str | None, *, actor: str) -> int | None:
    """A partner's words under the alert's own label, with the partner as originator."""
    text = (note or "").strip()
    if not text:
        return None
    release = tx.get_one(Release, alert.release_id)
    return write_item(
        tx, kind="partner-reply", content=text, marking=Marking.from_json(release.marking), author=actor,
        info_category=release.info_category, originator_id=alert.organisation_id, exercise=alert.exercise,
        incident=rungs.incident_of(tx, alert),
    ).id  # fmt: skip


def _ask_somebody(tx: Session, alert: Alert) -> None:
    incident = rungs.incident_of(tx, alert)
    open_task(
        tx, title=f"{alert.recipient} has a question on an alert: answer it", role="coordinator", incident=incident,
        assignee_id=incident.owner_id if incident is not None else None, fallback_role="duty-officer",
        created_by="system", priority=70, blocks="close" if incident is not None else "", exercise=alert.exercise,
    )  # fmt: skip


def _wrong_person(tx: Session, alert: Alert, delivery: Delivery | None) -> None:
    """The contact is suspect until somebody has looked; the ladder moves on at once, where it has not done so."""
    why = "a reader of an alert said that it is not for them"
    doubt_contact(tx, alert, delivery.contact_id if delivery is not None else None, why=why)
    last = rungs.newest_delivery(tx, alert)
    if delivery is None or last is None or last.contact_id == delivery.contact_id:
        rungs.next_rung(tx, alert.id, to="next-contact", reason="not for that reader")


def _result(alert: Alert, row: Acknowledgement, *, repeated: bool) -> AckResult:
    return AckResult(
        alert_id=alert.id, alert=alert.public_id, reference=alert.partner_reference, answer=row.answer, kind=row.kind,
        assurance=row.assurance, at=row.at, repeated=repeated,
    )  # fmt: skip


def check_answer(
    kind: str, by: str, answer: str, note: str | None, *, worded: bool = True, named: bool = False
) -> None:
    """Raises Invalid with every fault of an answer; `worded` as in `acknowledge`, `named`: a name has to be in `by`."""
    faults = []
    if kind not in KINDS:
        faults.append(Fault("/kind", "Send person or system."))
    if answer not in EVERY:
        faults.append(Fault("/answer", "Choose one of the answers that this asks for."))
    if not isinstance(by, str) or len(by) > LONGEST_NAME:
        faults.append(Fault("/by", f"Send a name of at most {LONGEST_NAME} characters."))
    elif named and not any(sign.isalpha() for sign in by):
        faults.append(Fault("/by", "Write your name: the link shows only where it was sent, not who answers."))
    if note is not None and len(note) > LONGEST_NOTE:
        faults.append(Fault("/note", f"Send a note of at most {LONGEST_NOTE} characters."))
    if worded and answer == "question" and not (note or "").strip():
        faults.append(Fault("/note", "Write your question."))
    if faults:
        raise Invalid(faults)
