"""What has left, and what became of it where it was asked back: the same for ledger, partner view and recalls."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from coordinator import clock
from coordinator.alerts.answers import COULD_NOT, GONE
from coordinator.alerts.models import Acknowledgement, Alert, Delivery, DeliveryAttempt, Handout
from coordinator.incidents.items import read_item
from coordinator.incidents.models import ItemVersion
from coordinator.sharing.models import Recall, Recalled, Release, ReleaseItem
from coordinator.timeline.keys import Erased
from coordinator.timeline.queries import ERASED
from coordinator.vocabulary.spans import later

#: Kinds of messages that tell of a case. The others are fixed texts, or for our own people.
TELLING = ("initial", "update", "correction", "closure", "request")


def releases_of_items(items: Iterable[str]) -> Any:
    """Ids of the texts that a version of one of these items went into, as its words or as a part."""
    versions = select(ItemVersion.id).where(ItemVersion.item.in_(list(items)))
    return select(Release.id).where(or_(
        Release.id.in_(select(ReleaseItem.release_id).where(ReleaseItem.item_version_id.in_(versions))),
        Release.body_version_id.in_(versions), Release.title_version_id.in_(versions),
    ))  # fmt: skip


def row_by_row(asked: Select[Any]) -> ColumnElement[bool]:
    """That there is such a row, asked of the indexes for each row in turn. PostgreSQL would rather read the whole of
    both tables once where it expects many rows, though a page wants fifty; OFFSET keeps it from that."""
    return exists(asked.offset(0))


def has_left() -> ColumnElement[bool]:
    """The criterion over Alert of what may have left: it was sent, handed out as a file, or somebody answered it; or a
    worker has it in hand, or had it and never said what came of it: the bytes may be on their way.

    A call is a task that somebody may still have before them: it counts when its answer is noted.
    """
    sent = (
        select(DeliveryAttempt.id)
        .join(Delivery, Delivery.id == DeliveryAttempt.delivery_id)
        .where(Delivery.alert_id == Alert.id, Delivery.kind != "voice", DeliveryAttempt.outcome != "withheld")
    )
    in_hand = select(Delivery.id).where(Delivery.alert_id == Alert.id, Delivery.lease_until.is_not(None))
    return or_(
        row_by_row(sent), row_by_row(in_hand),
        row_by_row(select(Acknowledgement.id).where(Acknowledgement.alert_id == Alert.id)),
        row_by_row(select(Handout.id).where(Handout.alert_id == Alert.id)),
    )  # fmt: skip


def still_out() -> ColumnElement[bool]:
    """The criterion over Alert of what may be with its recipient: whatever is under way, and of what was withdrawn that
    which had left before. To withdraw stops our sending and takes nothing away from whoever has it."""
    return or_(Alert.state != "withdrawn", has_left())


def is_still_out(tx: Session, alert: Alert) -> bool:
    """`still_out` of one alert."""
    return tx.execute(select(Alert.id).where(Alert.id == alert.id, still_out())).first() is not None


def keep_until(since: datetime, obligations: Collection[str]) -> datetime | None:
    """Until when they may keep it, counted from when they got it, or the day by which personal data in it is deleted,
    whichever is first; None where nothing was agreed."""
    spans = [code.removeprefix("O-RETAIN-") for code in obligations if code.startswith("O-RETAIN-")]
    days = [code.removeprefix("O-DELETE-BY-") for code in obligations if code.startswith("O-DELETE-BY-")]
    ends = [end for span in spans if (end := later(since, span))]
    return min([*ends, *(clock.parse(f"{day}T00:00:00Z") for day in days)], default=None)


def recalled(tx: Session, release_ids: Collection[int]) -> dict[tuple[int, str], dict[str, Any]]:
    """What was asked back of these releases, by (release, recipient): {recall, cause, reason, asked_by, at, state,
    answered_at, by, note, alert}. `state`: open, deleted, cannot-delete, not-received; not-sent (the message that asks
    is not on its way, or a system got it and a person has yet to ask), could-not (who was to ask there could not say),
    withdrawn (it had not left yet). `alert`: the id of the message that asks."""
    had = aliased(Alert)
    by_request = (
        select(func.max(had.id))
        .where(had.release_id == Recalled.release_id, had.recipient == Recalled.recipient, had.kind == "automatic",
               had.state != "withdrawn")
        .scalar_subquery()
        .label("by_request")
    )  # fmt: skip
    query = (
        select(Recalled, Recall, Alert, by_request)
        .join(Recall, Recall.id == Recalled.recall_id)
        .outerjoin(Alert, (Alert.release_id == Recalled.asks_id) & (Alert.recipient == Recalled.recipient))
        .where(Recalled.release_id.in_(list(release_ids)))
    )
    rows = list(tx.execute(query))
    answers = _answers(tx, [each for row in rows if (each := _asked_by(row)) is not None])
    return {
        (row.Recalled.release_id, row.Recalled.recipient): {
            "recall": row.Recall.id, "cause": row.Recall.cause, "reason": row.Recall.reason, "at": row.Recalled.at,
            "asked_by": row.Recall.asked_by, "alert": row.Alert.id if row.Alert is not None else None,
            **_state(tx, row, answers),
        }
        for row in rows
    }  # fmt: skip


def _asked_by(row: Any) -> int | None:
    """The alert whose answers say what became of it: the message that asks, or the request that gave it."""
    return row.Alert.id if row.Alert is not None else row.by_request


def _state(tx: Session, row: Any, answers: dict[int, Acknowledgement]) -> dict[str, Any]:
    answer = answers.get(_asked_by(row) or 0)
    if answer is not None:
        return {"state": answer.answer, "answered_at": answer.at, "by": answer.by, "note": _note(tx, answer)}
    nothing: dict[str, datetime | str | None] = {"answered_at": None, "by": "", "note": ""}
    if row.Recalled.asks_id is None:
        return {"state": "not-sent" if row.by_request else "withdrawn", **nothing}
    under_way = row.Alert is not None and row.Alert.state not in ("withheld", "failed", "withdrawn")
    return {"state": "open" if under_way else "not-sent", **nothing}


def _answers(tx: Session, alert_ids: list[int]) -> dict[int, Acknowledgement]:
    """The newest answer of each that says what became of it."""
    query = select(Acknowledgement).where(
        Acknowledgement.alert_id.in_(alert_ids), Acknowledgement.answer.in_((*GONE, COULD_NOT))
    )
    return {row.alert_id: row for row in tx.execute(query.order_by(Acknowledgement.id)).scalars()}


def _note(tx: Session, answer: Acknowledgement) -> str:
    version = tx.get(ItemVersion, answer.note_version_id) if answer.note_version_id else None
    try:
        return str(read_item(tx, version)) if version is not None else ""
    except Erased:
        return ERASED
