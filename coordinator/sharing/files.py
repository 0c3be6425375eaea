"""Files that go along with a release: fixed with the digest of their bytes when it is drafted, opened only as those.

What leaves is the cleaned copy. As it came, a file goes only for a stated reason and with a second person's word, and
never where the source is withheld.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from coordinator.accounts.principal import Principal
from coordinator.cleaning.results import DRAWN
from coordinator.errors import Fault, Invalid, NotFound, Refused
from coordinator.incidents.attachments import body_of
from coordinator.incidents.models import Attachment, Incident, ItemVersion
from coordinator.incidents.queries import note_read
from coordinator.sharing.copies import body_of_copy, copy_of
from coordinator.sharing.models import FileCopy, Release, ReleaseFile

ATTACHMENT = "attachment"
MOST_FILES = 20
LONGEST_REASON = 1000
#: What the decision has to know of the files of a release.
UNCLEANED, IS_DRAWN = "uncleaned", "drawn"
_PLAIN = ("application/octet-stream", "bin")


class FileChanged(Refused):
    """The stored bytes are not those that were decided on."""

    title = "The file is not the one that was decided on"


def enclosed_files(
    tx: Session, parts: Sequence[ItemVersion], enclosed: Collection[int], *, uncleaned: Mapping[int, str],
    withheld: bool,
) -> list[ReleaseFile]:  # fmt: skip
    """Rows (of no release yet) for the attachments among the enclosed parts. `uncleaned`: those that are to go as they
    came, each with its reason. `withheld`: the source must not be named.

    Raises Invalid (/enclosed, /uncleaned) with what stands in the way of each.
    """
    faults, found = list[Fault](), list[ReleaseFile]()
    chosen = [part for part in parts if part.kind == ATTACHMENT and part.id in enclosed]
    if len(chosen) > MOST_FILES:
        raise Invalid([Fault("/enclosed", f"Enclose at most {MOST_FILES} files in one release.")])
    if not set(uncleaned) <= {part.id for part in chosen}:
        raise Invalid([Fault("/uncleaned", "Name only files that are enclosed.")])
    for number, part in enumerate(chosen, 1):
        attachment = _attachment_of(tx, part)
        copy = copy_of(tx, attachment.id)
        if part.id in uncleaned:
            fault = _as_it_came_fault(copy, uncleaned[part.id], withheld=withheld)
            made = _row(part, attachment, number, None, uncleaned[part.id].strip())
        else:
            fault = _fault(copy, withheld=withheld)
            made = _row(part, attachment, number, copy, "")
        faults += [fault] if fault else []
        found.append(made)
    if faults:
        raise Invalid(faults)
    return found


def files_of(tx: Session, release_id: int) -> list[ReleaseFile]:
    """The files of a release, in order."""
    query = select(ReleaseFile).where(ReleaseFile.release_id == release_id).order_by(ReleaseFile.id)
    return list(tx.execute(query).scalars())


def file_of(tx: Session, release_id: int, number: int) -> ReleaseFile:
    """One of them, counted from 1. Raises NotFound."""
    several = files_of(tx, release_id)
    if not 1 <= number <= len(several):
        raise NotFound()
    return several[number - 1]


def digests_of(tx: Session, release: Release) -> dict[int, str]:
    """Item version -> how its file is named in the content digest."""
    return {each.item_version_id: digest_name(each) for each in files_of(tx, release.id)}


def not_for_withheld(tx: Session, release: Release) -> set[str]:
    """Items of its files that do not go by themselves where the source is withheld: what names it, what only a person
    can read, what goes as it came."""
    query = (
        select(ItemVersion.item)
        .join(ReleaseFile, ReleaseFile.item_version_id == ItemVersion.id)
        .outerjoin(FileCopy, FileCopy.id == ReleaseFile.copy_id)
        .where(ReleaseFile.release_id == release.id,
               or_(FileCopy.id.is_(None), FileCopy.bears_source.is_(True), ReleaseFile.drawn))
    )  # fmt: skip
    return set(tx.execute(query).scalars())


def ready_files(tx: Session, incident_id: int, category: str, *, withheld: bool) -> tuple[list[ItemVersion], list[str]]:
    """The files of an incident of this category that may go along without anybody looking first: a person had a copy
    made of each, and it was cleaned; where the source is withheld, those alone whose every word was searched for its
    names. And the items of those that stay, for a person to look at."""
    ready, stay = list[ItemVersion](), list[str]()
    query = select(ItemVersion).where(ItemVersion.info_category == category).order_by(ItemVersion.id)
    several = attachment_versions(tx, incident_id)
    for version in tx.execute(query.where(ItemVersion.id.in_(several))).scalars():
        copy = copy_of(tx, several[version.id].id)
        clean = copy is not None and copy.state == "cleaned"
        if copy is None or not clean or (withheld and (copy.bears_source or copy.kind in DRAWN)):
            stay.append(version.item)
        else:
            ready.append(version)
    return ready[:MOST_FILES], [*stay, *(each.item for each in ready[MOST_FILES:])]


def as_they_came(tx: Session, release: Release, enclosed: Collection[int]) -> dict[int, str]:
    """Those of the enclosed files of a release that go as they came, with the reason."""
    several = files_of(tx, release.id)
    return {each.item_version_id: each.reason for each in several if each.copy_id is None
            and each.item_version_id in enclosed}  # fmt: skip


def digest_name(file: ReleaseFile) -> str:
    """The bytes, and whether they are a cleaned copy, are part of what is approved."""
    return f"{file.sha256}{'' if file.copy_id is not None else '!'}"


def facts_of(tx: Session, release: Release) -> frozenset[str]:
    """What the decision has to know: UNCLEANED, IS_DRAWN."""
    files = files_of(tx, release.id)
    said = {UNCLEANED for each in files if each.copy_id is None} | {IS_DRAWN for each in files if each.drawn}
    return frozenset(said)


def open_file(tx: Session, file: ReleaseFile) -> bytes:
    """The very bytes that were decided on. Raises FileChanged where the stored ones are others."""
    if file.copy_id is not None:
        body = body_of_copy(tx, tx.get_one(FileCopy, file.copy_id))
    else:
        body = body_of(tx, tx.get_one(Attachment, file.attachment_id))
    if hashlib.sha256(body).hexdigest() != file.sha256:
        raise FileChanged()
    return body


def look_into(tx: Session, release: Release, number: int, *, principal: Principal) -> tuple[ReleaseFile, bytes]:
    """The very bytes that would leave or left, for one of our own who may know of the incident; on record.

    Raises NotFound, FileChanged.
    """
    file = file_of(tx, release.id, number)
    body = open_file(tx, file)
    if release.incident_id is not None:
        incident = tx.get_one(Incident, release.incident_id)
        note_read(tx, incident, principal=principal, what="attachment", of=file.attachment_id)
    return file, body


def attachment_versions(tx: Session, incident_id: int) -> dict[int, Attachment]:
    """Newest item version -> attachment, of the files of an incident that arrived."""
    query = select(Attachment, ItemVersion.item).join(ItemVersion, ItemVersion.id == Attachment.item_version_id)
    rows = list(tx.execute(query.where(Attachment.incident_id == incident_id, Attachment.state == "stored")))
    by_item = {row.item: row.Attachment for row in rows}
    newest: dict[int, Attachment] = {}
    versions = select(ItemVersion.id, ItemVersion.item).where(ItemVersion.item.in_(by_item))
    last = {item: number for number, item in tx.execute(versions.order_by(ItemVersion.version))}
    for item, number in sorted(last.items(), key=lambda each: each[1]):
        newest[number] = by_item[item]
    return newest


def _attachment_of(tx: Session, part: ItemVersion) -> Attachment:
    first = select(ItemVersion.id).where(ItemVersion.item == part.item)
    query = select(Attachment).where(Attachment.item_version_id.in_(first), Attachment.state == "stored")
    found = tx.execute(query).scalars().first()
    if found is None:
        raise NotFound()
    return found


def _fault(copy: FileCopy | None, *, withheld: bool) -> Fault | None:
    if copy is None or copy.state == "waiting":
        return Fault("/enclosed", "A cleaned copy of this file is not made yet: ask for it, and draft again then.")
    if copy.state != "cleaned":
        return Fault("/enclosed", "This file cannot be cleaned. Say why it is to go as it came, or leave it out.")
    if withheld and copy.bears_source:
        return Fault("/enclosed", "This file names its source, which must not be named: leave it out.")
    return None


def _as_it_came_fault(copy: FileCopy | None, reason: str, *, withheld: bool) -> Fault | None:
    if copy is None or copy.state != "refused":
        return Fault("/uncleaned", "Only a file that cannot be cleaned goes as it came: ask for a cleaned copy first.")
    if withheld:
        return Fault("/uncleaned", "The source must not be named: a file as it came may name it. Leave it out.")
    if not reason.strip() or len(reason) > LONGEST_REASON:
        return Fault("/uncleaned", f"Say why it is to go as it came, in at most {LONGEST_REASON} characters.")
    return None


def _row(
    part: ItemVersion, attachment: Attachment, number: int, copy: FileCopy | None, reason: str
) -> ReleaseFile:
    media_type, ending = (copy.media_type, copy.ending) if copy is not None else _PLAIN
    return ReleaseFile(
        item_version_id=part.id, attachment_id=attachment.id, copy_id=copy.id if copy is not None else None,
        name=f"file-{number}.{ending}", media_type=media_type, reason=reason, exercise=part.exercise,
        sha256=copy.sha256 if copy is not None else attachment.sha256,
        size=copy.size if copy is not None else attachment.size,
        drawn=copy is not None and copy.kind in DRAWN,
    )  # fmt: skip
