"""Files that could leave and files that go along with a release, as plain data for pages and API."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator.incidents.models import Attachment, Incident, ItemVersion
from coordinator.partners.models import Organisation
from coordinator.sharing.copies import copies_of, described
from coordinator.sharing.files import attachment_versions, files_of
from coordinator.sharing.models import FileCopy, Release, ReleaseFile


def of_incident(tx: Session, incident: Incident) -> list[dict[str, Any]]:
    """The files of an incident that arrived: {id (item version), item, attachment, name, size, sha256, tlp, originator,
    info_category, copy} with `copy` as `copies.described`."""
    several = attachment_versions(tx, incident.id)
    query = (
        select(ItemVersion, Organisation.code)
        .outerjoin(Organisation, Organisation.id == ItemVersion.originator_id)
        .where(ItemVersion.id.in_(several))
        .order_by(ItemVersion.id)
    )
    copies = copies_of(tx, [each.id for each in several.values()])
    return [
        {"id": version.id, "item": version.item, "attachment": file.id, "name": file.name, "size": file.size,
         "sha256": file.sha256, "tlp": version.tlp, "originator": code, "info_category": version.info_category,
         "copy": described(copies.get(file.id))}
        for version, code in tx.execute(query)
        if (file := several[version.id])
    ]  # fmt: skip


def of_release(tx: Session, release: Release) -> list[dict[str, Any]]:
    """The files of a release: {number, name, original, attachment, media_type, size, sha256, cleaned, unchanged, drawn,
    removed [{code, text}], named, pages, searched, wordless, reason}. What is said of its text: as `copies.described`.
    `original`: its name as it came, which does not leave."""
    found = []
    for number, file in enumerate(files_of(tx, release.id), 1):
        copy = described(tx.get(FileCopy, file.copy_id) if file.copy_id is not None else None)
        found.append({
            "number": number, "name": file.name, "original": tx.get_one(Attachment, file.attachment_id).name,
            "attachment": file.attachment_id, "media_type": file.media_type, "size": file.size, "sha256": file.sha256,
            "cleaned": file.copy_id is not None, "unchanged": copy["unchanged"], "drawn": file.drawn,
            **{key: copy[key] for key in ("removed", "named", "pages", "searched", "wordless")},
            "reason": file.reason or None,
        })  # fmt: skip
    return found


def named(tx: Session, release: Release) -> dict[str, str]:
    """Item -> what its file is called for those who work on the release: as it goes, and as it came."""
    query = (
        select(ItemVersion.item, ReleaseFile.name, Attachment.name.label("original"))
        .join(ReleaseFile, ReleaseFile.item_version_id == ItemVersion.id)
        .join(Attachment, Attachment.id == ReleaseFile.attachment_id)
        .where(ReleaseFile.release_id == release.id)
    )
    return {row.item: f"{row.name} ({row.original})" for row in tx.execute(query)}
