"""What became of published texts: they are shown while nothing refuses them, a person is asked where something does,
and what is recalled is taken back from the public as from everybody."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import SYSTEM, Principal
from coordinator.alerts.left import releases_of_items
from coordinator.alerts.models import PublicNotice
from coordinator.incidents.holds import lock_incident
from coordinator.sharing.addressees import PUBLIC, Addressee
from coordinator.sharing.models import Release
from coordinator.sharing.rules import Result
from coordinator.sharing.service import forecast
from coordinator.store import store_of
from coordinator.tasks.models import Task
from coordinator.tasks.service import open_task


def addressee(tx: Session) -> Addressee:
    """The public page."""
    return Addressee(recipient=PUBLIC, channel_kind="web", encrypted=store_of(tx).settings.https)


def is_refused(tx: Session, release: Release) -> bool:
    """Whether the rules refuse this text to the public now. That its clearance ran out since is no refusal."""
    return forecast(tx, release, addressee(tx)).result is Result.DENY


def look_again(tx: Session, *, incident_id: int | None = None) -> list[str]:
    """Ask a person about each standing notice (of one incident) that the rules refuse now; its page shows no text from
    that moment. Answers their public ids. Done again, nobody is asked twice."""
    query = select(PublicNotice).where(PublicNotice.withdrawn_at.is_(None)).order_by(PublicNotice.id)
    if incident_id is not None:
        query = query.where(PublicNotice.incident_id == incident_id)
    refused = [each for each in tx.execute(query).scalars() if is_refused(tx, tx.get_one(Release, each.release_id))]
    for notice in refused:
        incident = lock_incident(tx, notice.incident_id)
        title = f"What was published as {notice.public_id} is refused by the rules now: withdraw or correct it"
        asked = select(Task.id).where(Task.incident_id == incident.id, Task.title == title)
        if tx.execute(asked.limit(1)).first() is None:
            open_task(
                tx, title=title, role="release-authority", fallback_role="coordinator", incident=incident,
                created_by=SYSTEM, priority=90, blocks="close", instructions=(
                    "What it was made from was marked more strictly, or a consent is gone. The page shows no text "
                    "meanwhile. Whoever read it has read it: think of a correction."
                ),
            )  # fmt: skip
    return [each.public_id for each in refused]


def take_back_items(tx: Session, item: str, *, principal: Principal, reason: str) -> list[str]:
    """Withdraw every standing notice that a version of this item went into. Answers their public ids."""
    made_of_it = PublicNotice.release_id.in_(releases_of_items([item]))
    query = select(PublicNotice).where(PublicNotice.withdrawn_at.is_(None), made_of_it)
    found = list(tx.execute(query.order_by(PublicNotice.id).with_for_update()).scalars())
    for notice in found:
        take_back(tx, notice, principal=principal, reason=reason)
    return [each.public_id for each in found]


def take_back(tx: Session, notice: PublicNotice, *, principal: Principal, reason: str) -> None:
    """The notice stays, without its text. The reason stays with us."""
    notice.withdrawn_at, notice.withdrawn_by, notice.withdraw_reason = clock.now(), principal.user_id, reason.strip()
    tx.flush()
    timeline.append(
        tx, "notice.withdrawn", "A published text was withdrawn.", actor=principal.actor,
        incident=lock_incident(tx, notice.incident_id), about=("release", notice.release_id),
        values={"notice": notice.public_id, "reason": notice.withdraw_reason},
    )  # fmt: skip
