"""Files that partners announced and sent, or that came with the form: kept sealed in parts, only ever downloaded.

They are not scanned here and nothing in them is opened, beyond a look at the first bytes for what kind they seem to be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import puremagic
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import Principal
from coordinator.errors import Fault, Invalid, NotFound, Refused
from coordinator.incidents.documents import recognise
from coordinator.incidents.items import marking_of, read_item, write_item
from coordinator.incidents.models import Attachment, AttachmentChunk, Incident, ItemVersion, Report
from coordinator.incidents.queries import note_read, visible
from coordinator.markings import Marking, combine
from coordinator.partners.queries import setting
from coordinator.store import store_of
from coordinator.timeline.keys import Erased, seal, unseal

PART = 1024 * 1024
#: All files of one organisation together, unless the setting `attachment_quota` says otherwise.
QUOTA = 2 * 1024**3


def announced_size(tx: Session, *, endpoint_id: int, sha256: str) -> int | None:
    """How large the file is that was announced at this endpoint; None when none was."""
    query = select(Attachment.size).join(Report, Report.id == Attachment.report_id)
    return tx.execute(
        query.where(Report.endpoint_id == endpoint_id, Attachment.sha256 == sha256).limit(1)
    ).scalar_one_or_none()


def store_announced(tx: Session, *, endpoint_id: int, sha256: str, body: bytes, actor: str) -> list[Attachment]:
    """Keep a file for every report at this endpoint that announced it; sent again, nothing changes.

    Raises NotFound when it was not announced, Invalid when it is another file, Refused over the quota.
    """
    query = select(Attachment).join(Report, Report.id == Attachment.report_id)
    found = tx.execute(
        query.where(Report.endpoint_id == endpoint_id, Attachment.sha256 == sha256)
        .order_by(Attachment.id).with_for_update(of=Attachment)
    ).scalars().all()  # fmt: skip
    if not found:
        raise NotFound("No report at this endpoint announced such a file.")
    for attachment in found:
        _store(tx, attachment, body, actor=actor)
    return list(found)


def store_for_report(tx: Session, report_id: int, *, body: bytes, actor: str) -> Attachment:
    """Keep a file that came with the form; the report names it by its digest. Raises NotFound, Refused."""
    sha256 = hashlib.sha256(body).hexdigest()
    query = select(Attachment).where(Attachment.report_id == report_id, Attachment.sha256 == sha256)
    found = tx.execute(query.with_for_update()).scalar_one_or_none()
    if found is None:
        raise NotFound("The report names no such file.")
    _store(tx, found, body, actor=actor)
    return found


def adopt(tx: Session, report_id: int, incident: Incident, *, actor: str) -> None:
    """A report came out of quarantine: its files belong to the incident now, and those that arrived are items of it."""
    query = select(Attachment).where(Attachment.report_id == report_id, Attachment.incident_id.is_(None))
    for attachment in tx.execute(query.order_by(Attachment.id)).scalars().all():
        attachment.incident_id = incident.id
        if attachment.state == "stored":
            body = body_of(tx, attachment)
            attachment.item_version_id = _as_item(tx, attachment, incident, body, author=actor)


def copy_stored(tx: Session, report_id: int, *, to: int, actor: str) -> None:
    """Keep the files that arrived for one report for another one that announces the same."""
    query = select(Attachment).where(Attachment.report_id == report_id, Attachment.state == "stored")
    for attachment in tx.execute(query.order_by(Attachment.id)).scalars().all():
        store_for_report(tx, to, body=body_of(tx, attachment), actor=actor)


def attachments_of(tx: Session, incident_id: int) -> list[dict[str, Any]]:
    """The files of an incident, awaited ones too: as `described`, with `document`: what `documents.recognise` read."""
    query = select(Attachment).where(Attachment.incident_id == incident_id).order_by(Attachment.id)
    return [described(one) | {"document": document_of(tx, one)} for one in tx.execute(query).scalars().all()]


def document_of(tx: Session, attachment: Attachment) -> dict[str, Any] | None:
    """{format, version, ids, tlp …} of a stored file that is a CSAF or IODEF document; None for any other."""
    if attachment.item_version_id is None:
        return None
    try:
        content = read_item(tx, tx.get_one(ItemVersion, attachment.item_version_id))
    except Erased:
        return None
    return content.get("document") if isinstance(content, dict) else None


def described(one: Attachment) -> dict[str, Any]:
    return {
        "id": one.id, "name": one.name, "media_type": one.media_type, "seems": one.sniffed_type or None,
        "sha256": one.sha256, "size": one.size, "state": one.state, "stored_at": one.stored_at, "scanned": False,
    }  # fmt: skip


def open_file(tx: Session, attachment_id: int, *, principal: Principal) -> tuple[Attachment, Iterator[bytes]]:
    """A stored file and its parts in order; the download goes on record. Raises NotFound, also without need to know.

    Read the parts before the transaction ends.
    """
    query = select(Attachment, Incident).join(Incident, Incident.id == Attachment.incident_id)
    found = tx.execute(query.where(Attachment.id == attachment_id, visible(principal))).one_or_none()
    if found is None or found.Attachment.state != "stored":
        raise NotFound()
    note_read(tx, found.Incident, principal=principal, what="attachment", of=attachment_id)
    return found.Attachment, _parts(tx, found.Attachment)


def body_of(tx: Session, attachment: Attachment) -> bytes:
    """The whole of a stored file; nothing is noted. Raises Erased."""
    return b"".join(_parts(tx, attachment))


def seems(body: bytes) -> str:
    """The media type the first bytes look like, or ""."""
    try:
        return str(puremagic.from_string(body[:65536], mime=True))[:120]
    except (puremagic.PureError, ValueError, IndexError):
        return ""


def _store(tx: Session, attachment: Attachment, body: bytes, *, actor: str) -> None:
    if len(body) != attachment.size or hashlib.sha256(body).hexdigest() != attachment.sha256:
        raise Invalid([Fault("", "The file is not the one that was announced: compare its size and SHA-256.")])
    if attachment.state == "stored":
        return
    store_of(tx).require_room()
    _check_quota(tx, attachment)
    tx.execute(insert(AttachmentChunk), [
        {"attachment_id": attachment.id, "part": part,
         "sealed": seal(tx, attachment.data_key_id, body[start : start + PART], about=_about(attachment, part))}
        for part, start in enumerate(range(0, max(len(body), 1), PART))
    ])  # fmt: skip
    attachment.state, attachment.stored_at, attachment.sniffed_type = "stored", clock.now(), seems(body)
    incident = tx.get(Incident, attachment.incident_id) if attachment.incident_id else None
    if incident is not None:
        attachment.item_version_id = _as_item(tx, attachment, incident, body, author=actor)
    timeline.append(
        tx, "attachment.stored", "An announced file arrived. It was not scanned.", actor=actor, incident=incident,
        values={"sha256": attachment.sha256, "size": attachment.size}, about=("attachment", attachment.id),
        exercise=attachment.exercise,
    )  # fmt: skip


def _as_item(tx: Session, attachment: Attachment, incident: Incident, body: bytes, *, author: str) -> int | None:
    """The file as something said: marked, and bound to its source, as the report that announced it.

    A label that a known document bears itself can only make it stricter.
    """
    query = select(ItemVersion).where(ItemVersion.report_id == attachment.report_id, ItemVersion.kind == "title")
    title = tx.execute(query.order_by(ItemVersion.id).limit(1)).scalar_one_or_none()
    if title is None:
        return None
    marking, known = marking_of(title), recognise(body)
    if known and (known.tlp or known.unclear):
        # A label we do not know is as good as none: the file is referred to a person before it goes anywhere.
        marking = combine([marking, Marking(tlp=None if known.unclear else known.tlp, community=marking.community)])
    content: dict[str, Any] = {"name": attachment.name, "sha256": attachment.sha256, "size": attachment.size}
    return write_item(
        tx, kind="attachment", content=content | ({"document": known.to_json()} if known else {}),
        marking=marking, info_category=title.info_category, author=author, incident=incident,
        originator_id=title.originator_id, source_id=title.source_id, report_id=attachment.report_id,
        data_key_id=attachment.data_key_id,
    ).id  # fmt: skip


def _check_quota(tx: Session, attachment: Attachment) -> None:
    sender = select(Report.organisation_id).where(Report.id == attachment.report_id).scalar_subquery()
    used = tx.execute(
        select(func.coalesce(func.sum(Attachment.size), 0))
        .join(Report, Report.id == Attachment.report_id)
        .where(Report.organisation_id == sender, Attachment.state == "stored")
    ).scalar_one()
    if used + attachment.size > int(setting(tx, "attachment_quota", QUOTA)):
        raise Refused("The space for this organisation's files is used up: ask us to make room.")


def _parts(tx: Session, attachment: Attachment) -> Iterator[bytes]:
    count = max(1, -(-attachment.size // PART))
    for part in range(count):
        query = select(AttachmentChunk.sealed).where(
            AttachmentChunk.attachment_id == attachment.id, AttachmentChunk.part == part
        )
        sealed = tx.execute(query).scalar_one()
        yield unseal(tx, attachment.data_key_id, sealed, about=_about(attachment, part))


def _about(attachment: Attachment, part: int) -> str:
    return f"attachment/{attachment.sha256}/{part}"
