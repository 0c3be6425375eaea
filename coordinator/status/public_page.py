"""What everybody may read: the notices a person published, and those withdrawn without their text.

Nothing of an incident is looked at here but the texts cleared for the public: no reference, no name of whoever
wrote or cleared them. A text that is not the one that was cleared, or that the rules refuse now, is not shown.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator.alerts.models import PublicNotice
from coordinator.alerts.published import is_refused
from coordinator.errors import NotFound
from coordinator.partners.queries import own_organisation
from coordinator.sharing.inputs_from_world import digest_of, text_of
from coordinator.sharing.models import Release
from coordinator.timeline.keys import Erased

MOST = 50


def notices(tx: Session) -> dict[str, Any]:
    """{"sender": our name, "items": notices, newest first}: as `one`, at most MOST."""
    query = select(PublicNotice).where(PublicNotice.exercise == "").order_by(PublicNotice.id.desc()).limit(MOST)
    rows = list(tx.execute(query).scalars())
    return {"sender": own_organisation(tx).name, "items": [_described(tx, row) for row in rows]}


def one(tx: Session, public_id: str) -> dict[str, Any]:
    """public_id, kind, language, published_at, title and body (None where it was withdrawn), withdrawn_at, corrects and
    corrected_by ({public_id, at}). Raises NotFound."""
    query = select(PublicNotice).where(PublicNotice.public_id == public_id, PublicNotice.exercise == "")
    row = tx.execute(query).scalar_one_or_none()
    if row is None:
        raise NotFound()
    return _described(tx, row) | {"sender": own_organisation(tx).name}


def _described(tx: Session, row: PublicNotice) -> dict[str, Any]:
    release = tx.get_one(Release, row.release_id)
    title, body = _text(tx, row, release)
    follower = tx.execute(
        select(PublicNotice).where(PublicNotice.replaces_id == row.id).order_by(PublicNotice.id.desc()).limit(1)
    ).scalar_one_or_none()
    before = tx.get(PublicNotice, row.replaces_id) if row.replaces_id is not None else None
    return {
        "public_id": row.public_id, "kind": release.kind, "language": release.language,
        "published_at": row.published_at, "withdrawn_at": row.withdrawn_at, "title": title, "body": body,
        "corrects": _pointer(before), "corrected_by": _pointer(follower),
    }  # fmt: skip


def _text(tx: Session, row: PublicNotice, release: Release) -> tuple[str | None, str | None]:
    if row.withdrawn_at is not None:
        return None, None
    try:
        title, body = text_of(tx, release)
    except Erased:
        return None, None
    if is_refused(tx, release):
        return None, None
    same = digest_of(tx, release, title=title, body=body) == release.content_digest == row.content_digest
    return (title, body) if same else (None, None)


def _pointer(row: PublicNotice | None) -> dict[str, Any] | None:
    return {"public_id": row.public_id, "at": row.published_at} if row is not None else None
