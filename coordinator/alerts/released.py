"""What a partner reads of what was told to it: behind the link in an alert, or signed in here.

Up to GREEN the holder of the link sees the text. Above, only one who signed in from the organisation that was told, and
of RED only the person whose contact it went to. The text is there only while the rules permit giving it out
(`handing_out`); once they do not, the reader is told so in the same words, whatever the reason is. A partner learns of
nothing that was not released to it: no number, no search and no error tells more.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, literal_column, or_, select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.models import User
from coordinator.accounts.principal import Principal
from coordinator.alerts import handing_out
from coordinator.alerts.acknowledge import AckResult, by_token, check_answer, note_answer
from coordinator.alerts.answers import SAID, offered
from coordinator.alerts.left import has_left, keep_until, row_by_row
from coordinator.alerts.letters import said_in
from coordinator.alerts.models import Acknowledgement, Alert, Delivery
from coordinator.alerts.rungs import locked, newest_delivery
from coordinator.alerts.wording import KINDS, Said
from coordinator.errors import Gone, NotFound
from coordinator.incidents.models import Incident
from coordinator.incidents.queries import note_read
from coordinator.markings import Tlp, parse_tlp
from coordinator.partners.models import Contact
from coordinator.sharing.files import files_of
from coordinator.sharing.models import Recalled, Release, ShareDecision
from coordinator.timeline.keys import Erased
from coordinator.timeline.models import Entry

#: A search reads the texts of the newest of them.
MOST_SEARCHED = 300
_READ_AGAIN = timedelta(minutes=15)
#: What may wait for an answer, word for word as the index of these few has it.
_FEW = "alerts.ack <> '' AND (alerts.acknowledged_at IS NULL OR alerts.kind = 'request')"
#: Why a text is not shown.
WITHDRAWN, RECALLED, SIGN_IN, NOT_NOW = "withdrawn", "recalled", "sign-in", "not-now"


# ---------------------------------------------------------------- behind a link


def answer_page(tx: Session, token: str, *, reader: Principal | None = None) -> dict[str, Any]:
    """What the page behind a link shows; `title` and `body` are None where this reader may not see them here.

    label, tlp, colour, pap, kind, kind_name, recipient, public_id, reference, sender, exercise, language, sent_at,
    reply_by, asks_answer, handling, obligations, purpose, state, title, body, answers [{answer, kind, by, at}],
    answered_at (of the answer asked for), files [{number, name, media_type, size, sha256}] (none where the text is not
    shown; taken by who signs in), offered (the answers to choose from now), recalled_at, about ({public_id, sent_at}
    of what a recall or correction follows), keep_until (None: no time was agreed), why: "" where the text is shown,
    else WITHDRAWN, RECALLED, SIGN_IN, NOT_NOW, answers_as (the name of one who signed in and need not say it, or "").
    Raises NotFound (no such link) and Gone (withdrawn or expired).
    """
    delivery, alert = by_token(tx, token, hold=False)
    said = said_in(tx, alert, delivery)
    known = reader if reader is not None and _is_reader(tx, alert, reader) else None
    if known is not None:
        shown = handing_out.foreseen(tx, alert, person=_email(tx, known)) is not None
    else:
        shown = said.tlp <= Tlp.GREEN and handing_out.to_holder(tx, alert, delivery)
    page = _page(tx, alert, delivery, said, shown=shown) | {"answers_as": known.name if known is not None else ""}
    return page | {"why": SIGN_IN} if known is None and said.tlp > Tlp.GREEN and page["why"] == NOT_NOW else page


def is_reader(tx: Session, token: str, *, reader: Principal | None) -> bool:
    """Whether who answers by this link is signed in as somebody who may read the alert. Raises NotFound, Gone."""
    _, alert = by_token(tx, token, hold=False)
    return _is_reader(tx, alert, reader)


def place_of(tx: Session, token: str, *, reader: Principal | None) -> str:
    """The public id under which the reader, who is signed in, finds what this link is for; "" where they find nothing.
    Raises NotFound, Gone."""
    _, alert = by_token(tx, token, hold=False)
    if reader is None:
        return ""
    return tx.execute(select(Alert.public_id).where(_of(reader), Alert.id == alert.id)).scalar_one_or_none() or ""


# ---------------------------------------------------------------- signed in


def released(
    tx: Session, *, reader: Principal, q: str = "", before: str = "", limit: int = 50, waiting: bool = False
) -> dict[str, Any]:
    """{"items": [...], "next": the public id to go on before, or None}: what was released to the reader's organisation.

    Newest first: public_id, kind, kind_name, label, tlp, reference, sent_at, reply_by, keep_until, title (None where it
    is not given out now), asks_answer, answered_at, withdrawn_at, recalled_at, exercise. `q` is looked for in titles
    and references of the newest 300. `waiting`: only what waits for an answer of theirs.
    """
    wanted = and_(_of(reader), _waits()) if waiting else _of(reader)
    query = select(Alert).where(wanted).order_by(Alert.created_at.desc(), Alert.public_id.desc())
    if before:
        edge = tx.execute(select(Alert.created_at).where(_of(reader), Alert.public_id == before)).scalar_one_or_none()
        if edge is not None:
            query = query.where(Alert.created_at <= edge, or_(Alert.created_at < edge, Alert.public_id < before))
    rows = list(tx.execute(query.limit(MOST_SEARCHED if q else limit + 1)).scalars())
    email = _email(tx, reader)
    found = [line for row in rows if _matches(line := _line(tx, row, email), q)]
    more = not q and len(rows) > limit
    return {"items": found[:limit], "next": found[limit - 1]["public_id"] if more else None}


def waiting(tx: Session, *, reader: Principal) -> int:
    """How many of them wait for an answer."""
    return tx.execute(select(func.count()).select_from(Alert).where(_of(reader), _waits())).scalar_one()


def one_released(tx: Session, public_id: str, *, reader: Principal) -> dict[str, Any]:
    """As `answer_page`, of an alert released to the reader's organisation, under a recorded permit of now; without its
    text where there is none.

    That it was read goes on record, once a quarter of an hour. Raises NotFound, the same for what is none and what is
    another's.
    """
    alert = _one(tx, public_id, reader)
    delivery = newest_delivery(tx, alert)
    said = said_in(tx, alert, delivery)
    permit = handing_out.permit(tx, alert, person=_email(tx, reader))
    if permit is not None:
        _note_read(tx, alert, reader)
    return _page(tx, alert, delivery, said, shown=permit is not None)


def released_alert(tx: Session, public_id: str, *, reader: Principal) -> Alert:
    """The alert with this id, where it left for the reader's organisation. Raises NotFound, as `one_released`."""
    return _one(tx, public_id, reader)


def answer_released(
    tx: Session, public_id: str, *, reader: Principal, answer: str, note: str | None = None
) -> AckResult:
    """A partner's person who signed in answers. Raises NotFound, Gone (withdrawn), Invalid."""
    check_answer("person", reader.name, answer, note)
    alert = locked(tx, _one(tx, public_id, reader).id)
    if alert.state == "withdrawn":
        raise Gone("This alert was withdrawn.")
    return note_answer(
        tx, alert, newest_delivery(tx, alert), kind="person", answer=answer, by=reader.name, assurance="session",
        actor=reader.actor, note=note,
    )  # fmt: skip


# ---------------------------------------------------------------- who may see what


def _of(reader: Principal) -> ColumnElement[bool]:
    """What has left for the reader."""
    return and_(_for(reader), has_left())


def _for(reader: Principal) -> ColumnElement[bool]:
    """What is for the reader's organisation; what is RED only where it goes to this very person."""
    mine = select(User.email).where(User.id == reader.user_id).scalar_subquery()
    addressed = (
        select(Delivery.id)
        .join(Contact, Contact.id == Delivery.contact_id)
        .where(Delivery.alert_id == Alert.id, Contact.active, func.lower(Contact.person_email) == func.lower(mine))
    )
    red = select(ShareDecision.id).where(
        ShareDecision.id == Alert.decision_id, ShareDecision.effective_tlp == Tlp.RED.value
    )
    return and_(
        Alert.organisation_id == (reader.organisation_id if reader.organisation_id is not None else -1),
        Alert.user_id.is_(None), Alert.kind != "notice", or_(~row_by_row(red), row_by_row(addressed)),
    )  # fmt: skip


def _waits() -> ColumnElement[bool]:
    """What asks for an answer, has none that ends the asking, and was not taken or asked back."""
    back = select(Recalled.id).where(Recalled.release_id == Alert.release_id, Recalled.recipient == Alert.recipient)
    said = select(Acknowledgement.id).where(Acknowledgement.alert_id == Alert.id, Acknowledgement.answer.in_(SAID))
    # That a question was received is no answer to it, though nobody is reminded of it any more.
    open_ = or_(Alert.acknowledged_at.is_(None), and_(Alert.kind == "request", ~exists(said)))
    few: ColumnElement[bool] = literal_column(_FEW)
    return and_(few, open_, Alert.state != "withdrawn", ~exists(back))


def _answered_at(tx: Session, alert: Alert) -> datetime | None:
    """Since when there is the answer that was asked for."""
    if alert.kind != "request" or alert.acknowledged_at is None:
        return alert.acknowledged_at
    query = select(func.min(Acknowledgement.at)).where(Acknowledgement.alert_id == alert.id)
    return tx.execute(query.where(Acknowledgement.answer.in_(SAID))).scalar_one()


def _one(tx: Session, public_id: str, reader: Principal) -> Alert:
    found = tx.execute(select(Alert).where(_of(reader), Alert.public_id == public_id)).scalar_one_or_none()
    if found is None:
        raise NotFound()
    return found


def _is_reader(tx: Session, alert: Alert, reader: Principal | None) -> bool:
    if reader is None:
        return False
    return tx.execute(select(Alert.id).where(_for(reader), Alert.id == alert.id)).first() is not None


def _email(tx: Session, reader: Principal) -> str:
    """Who reads, as a list of named recipients knows them."""
    return tx.get_one(User, reader.user_id).email


# ---------------------------------------------------------------- as plain data


def _page(tx: Session, alert: Alert, delivery: Delivery | None, said: Said, *, shown: bool) -> dict[str, Any]:
    decided = tx.get_one(ShareDecision, delivery.decision_id if delivery is not None else alert.decision_id)
    return {
        "label": said.tlp.label, "tlp": said.tlp.value, "colour": said.tlp.colour, "pap": said.pap or None,
        "kind": alert.kind, "kind_name": KINDS[alert.kind], "recipient": alert.recipient, "public_id": alert.public_id,
        "reference": alert.partner_reference or None, "sender": said.sender, "exercise": alert.exercise,
        "language": tx.get_one(Release, alert.release_id).language, "sent_at": alert.created_at,
        "reply_by": alert.reply_by, "asks_answer": said.asks_answer, "handling": list(said.handling),
        "obligations": decided.obligations, "purpose": said.purpose, "state": _state(alert),
        "title": said.title if shown else None, "body": said.body if shown else None,
        "answers": _answers(tx, alert, delivery), "answered_at": _answered_at(tx, alert),
        "offered": list(offered(alert.kind, _given(tx, alert))),
        "recalled_at": recalled_at(tx, alert), "about": _followed(tx, alert),
        "files": _files(tx, alert) if shown else [],
        "why": "" if shown else _why(tx, alert),
        "keep_until": keep_until(handing_out.left_at(tx, alert) or alert.created_at, decided.obligations),
    }  # fmt: skip


def _state(alert: Alert) -> str:
    """withdrawn, acknowledged or released: how our sending of it goes is no matter of theirs."""
    return alert.state if alert.state in ("withdrawn", "acknowledged") else "released"


def _why(tx: Session, alert: Alert) -> str:
    """Why the text is not there, as far as the reader may know: that a consent, a label, an agreement or a contact
    changed would tell of others."""
    if alert.state == "withdrawn":
        return WITHDRAWN
    return RECALLED if recalled_at(tx, alert) is not None else NOT_NOW


def _files(tx: Session, alert: Alert) -> list[dict[str, Any]]:
    return [
        {"number": number, "name": each.name, "media_type": each.media_type, "size": each.size, "sha256": each.sha256}
        for number, each in enumerate(files_of(tx, alert.release_id), 1)
    ]


def _answers(tx: Session, alert: Alert, delivery: Delivery | None) -> list[dict[str, Any]]:
    """The answers given by this very way: nobody sees what another contact said."""
    query = select(Acknowledgement).where(
        Acknowledgement.alert_id == alert.id,
        Acknowledgement.delivery_id == (delivery.id if delivery is not None else None),
    )
    rows = tx.execute(query.order_by(Acknowledgement.id)).scalars()
    return [{"answer": row.answer, "kind": row.kind, "by": row.by, "at": row.at} for row in rows]


def _followed(tx: Session, alert: Alert) -> dict[str, Any] | None:
    if alert.kind not in ("recall", "correction") or alert.in_reply_to_id is None:
        return None
    before = tx.get_one(Alert, alert.in_reply_to_id)
    return {"public_id": before.public_id, "sent_at": before.created_at}


def recalled_at(tx: Session, alert: Alert) -> datetime | None:
    """Since when this text is asked back from this recipient."""
    query = select(Recalled.at).where(Recalled.release_id == alert.release_id, Recalled.recipient == alert.recipient)
    return tx.execute(query).scalar_one_or_none()


def _given(tx: Session, alert: Alert) -> list[str]:
    query = select(Acknowledgement.answer).where(Acknowledgement.alert_id == alert.id)
    return list(tx.execute(query.order_by(Acknowledgement.id)).scalars())


def _line(tx: Session, alert: Alert, email: str) -> dict[str, Any]:
    said, shown = None, False
    try:
        said = said_in(tx, alert, None)
        shown = handing_out.foreseen(tx, alert, person=email) is not None
    except Erased:
        pass
    decided = tx.get_one(ShareDecision, alert.decision_id)
    label = said.tlp if said else parse_tlp(decided.effective_tlp)
    return {
        "public_id": alert.public_id, "kind": alert.kind, "kind_name": KINDS[alert.kind], "label": label.label,
        "tlp": label.value, "reference": alert.partner_reference or None, "sent_at": alert.created_at,
        "reply_by": alert.reply_by, "title": said.title if said and shown else None, "asks_answer": bool(alert.ack),
        "answered_at": _answered_at(tx, alert), "withdrawn_at": alert.withdrawn_at,
        "recalled_at": recalled_at(tx, alert), "exercise": alert.exercise or None,
        "keep_until": keep_until(handing_out.left_at(tx, alert) or alert.created_at, decided.obligations),
    }  # fmt: skip


def _matches(line: dict[str, Any], q: str) -> bool:
    words = q.casefold().split()
    text = f"{line['title'] or ''} {line['reference'] or ''} {line['public_id']}".casefold()
    return all(word in text for word in words)


def _note_read(tx: Session, alert: Alert, reader: Principal) -> None:
    incident = tx.get(Incident, alert.incident_id) if alert.incident_id is not None else None
    if incident is not None:
        note_read(tx, incident, principal=reader, what="alert", of=alert.id)
        return
    seen = select(Entry.id).where(
        Entry.incident_id.is_(None), Entry.kind == "alert.read", Entry.actor == reader.actor,
        Entry.object_type == "alert", Entry.object_id == alert.id, Entry.at > clock.now() - _READ_AGAIN,
    )  # fmt: skip
    if tx.execute(seen.limit(1)).first() is None:
        timeline.append(
            tx, "alert.read", "Somebody opened the alert.", actor=reader.actor, about=("alert", alert.id),
            exercise=alert.exercise,
        )  # fmt: skip
