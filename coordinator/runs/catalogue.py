"""The catalogue of playbooks: versions as canonical bytes, immutable; one of each is active and new runs use it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.errors import Fault, Invalid, NotFound, Refused
from coordinator.prepared import take_turns
from coordinator.runs import activation, signers
from coordinator.runs.activation import ACTIVE, said
from coordinator.runs.models import PlaybookVersion
from playbooks.document import DocumentFault, Playbook, load
from playbooks.library import shipped

SHIPPED = "system: shipped"
CACHED = 64


@dataclass(frozen=True)
class Available:
    """An active version and its document."""

    id: int
    playbook: Playbook


def import_playbook(tx: Session, raw: bytes, *, actor: str) -> str:
    """Take a document into the catalogue, not active yet; returns a line that says what came of it.

    The same bytes again change nothing but that signatures it did not bear yet are kept. Raises Invalid with every
    fault of the check (JSON pointers); Refused when this playbook has a version of the same instant with another
    content, when somebody else made the versions that are here, or for a wrong signature of a key we trust.
    """
    playbook = _checked(raw)
    take_turns(tx, [f"playbook/{playbook.id}"])
    known = _version(tx, playbook.id, playbook.version)
    if known is not None:
        if known.digest != playbook.digest:
            raise Refused("This version of the playbook is here already with other content: change `modified`.")
        added = _added(tx, known, playbook, actor=actor)
        return f"{playbook.id} {playbook.version}: here already, {known.state}{added}"
    _check_maker(tx, playbook)
    row = _add(tx, playbook, actor=actor)
    return f"{row.playbook_id} {row.version}: imported, not active yet{_signed_by(tx, playbook)}"


def version_of(tx: Session, raw: bytes) -> int | None:
    """The row id of the version that is in these bytes, if the catalogue has it."""
    playbook = load(raw)
    row = _version(tx, playbook.id, playbook.version)
    return row.id if row is not None else None


def versions_of(tx: Session, playbook_id: str) -> list[PlaybookVersion]:
    """All versions of a playbook, newest first."""
    query = select(PlaybookVersion).where(PlaybookVersion.playbook_id == playbook_id)
    return list(tx.execute(query.order_by(PlaybookVersion.version.desc())).scalars())


def called_documents(tx: Session, playbook: Playbook) -> dict[str, bytes]:
    """The documents a playbook's steps may call, by playbook id and version, theirs included: for a dry run."""
    found: dict[str, bytes] = {}
    waiting = [playbook]
    while waiting and len(found) < CACHED:
        for called, wanted in waiting.pop().calls():
            rows = versions_of(tx, called)
            for row in [row for row in rows if (row.version == wanted if wanted else row.state == ACTIVE)][:1]:
                name = f"{row.playbook_id} {row.version}"
                if name not in found:
                    found[name] = row.document
                    waiting.append(load(row.document))
    return found


def ship_library(tx: Session) -> list[str]:
    """Bring the shipped playbooks in; returns a line for each version that is new.

    One that was never here is in use from the start. A further version of one that is here is imported like anybody
    else's: what tells others is changed by two persons, not by an upgrade.
    """
    lines = []
    for name, raw in shipped():
        playbook = load(raw)
        if _version(tx, playbook.id, playbook.version) is not None:
            continue
        first = not versions_of(tx, playbook.id)
        row = _add(tx, playbook, actor=SHIPPED)
        if first:
            activation.activate(tx, row.id, actor=SHIPPED)
        waits = "" if first else "; two persons put it into use (page Playbooks), until then the version before stays"
        lines.append(f"{name}: {playbook.name}, {row.state}{waits}")
    return lines


def export_playbook(tx: Session, wanted: str, *, sign: bool = False) -> bytes:
    """The canonical document (RFC 8785): of the active version, else the newest. `wanted`: playbook id or row id.

    `sign`: with our own signature. Raises NotFound.
    """
    query = select(PlaybookVersion).where(PlaybookVersion.playbook_id == wanted)
    if wanted.isdecimal():
        query = select(PlaybookVersion).where(PlaybookVersion.id == int(wanted))
    rows = list(tx.execute(query).scalars())
    if not rows:
        raise NotFound("There is no playbook with this id.")
    row = max(rows, key=lambda row: (row.state == ACTIVE, row.version))
    known = signers.document_of(tx, row)
    return signers.signed(tx, known) if sign else known.canonical


def active_playbooks(tx: Session, *, internal: bool | None = None) -> list[Available]:
    """What new runs may use, by priority and id; `internal`: only those that tell nobody outside, or the others."""
    query = select(PlaybookVersion.id, PlaybookVersion.digest).where(PlaybookVersion.state == ACTIVE)
    if internal is not None:
        query = query.where(PlaybookVersion.internal == internal)
    found = [Available(row.id, document_of(tx, row.id)) for row in tx.execute(query)]
    return sorted(found, key=lambda each: each.playbook.rank())


def document_of(tx: Session, version_id: int) -> Playbook:
    """The document of a version, read once a process: versions never change. Raises NotFound."""
    digest = tx.execute(select(PlaybookVersion.digest).where(PlaybookVersion.id == version_id)).scalar_one_or_none()
    if digest is None:
        raise NotFound()
    found = _documents.get(digest)
    if found is None:
        found = load(tx.execute(select(PlaybookVersion.document).where(PlaybookVersion.id == version_id)).scalar_one())
        if len(_documents) >= CACHED:
            _documents.clear()
        _documents[digest] = found
    return found


def pins_of(tx: Session, playbook: Playbook) -> dict[str, str]:
    """The version each called playbook has now, and those they call, so that the run keeps to them."""
    pins: dict[str, str] = {}
    waiting = [playbook]
    while waiting:
        for called, wanted in waiting.pop().calls():
            if called in pins:
                continue
            query = select(PlaybookVersion).where(PlaybookVersion.playbook_id == called)
            right = PlaybookVersion.version == wanted if wanted else PlaybookVersion.state == ACTIVE
            row = tx.execute(query.where(right)).scalars().first()
            if row is not None:
                pins[called] = row.version
                waiting.append(document_of(tx, row.id))
    return pins


_documents: dict[str, Playbook] = {}  # by digest; documents never change, so that threads may share them


def _checked(raw: bytes) -> Playbook:
    from playbooks.checks import check  # brings JSON schemas, which only an import needs

    faults = [fault for fault in check(raw) if fault.severity == "fault"]
    if faults:
        raise Invalid([Fault(fault.pointer, fault.sentence) for fault in faults])
    try:
        return load(raw)
    except DocumentFault as fault:
        raise Invalid([Fault(fault.pointer, fault.sentence)]) from None


def _version(tx: Session, playbook_id: str, version: str) -> PlaybookVersion | None:
    query = select(PlaybookVersion).where(
        PlaybookVersion.playbook_id == playbook_id, PlaybookVersion.version == version
    )
    return tx.execute(query).scalar_one_or_none()


def _add(tx: Session, playbook: Playbook, *, actor: str) -> PlaybookVersion:
    row = PlaybookVersion(
        playbook_id=playbook.id, version=playbook.version, name=playbook.name, digest=playbook.digest,
        document=playbook.canonical, internal=playbook.options.internal, priority=playbook.options.priority,
        imported_at=clock.now(), imported_by=actor, activated_by=[],
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    timeline.append(tx, "playbook.imported", "A playbook came into the catalogue.", actor=actor,
                    values=said(row), about=("playbook", row.id))  # fmt: skip
    return row


def _added(tx: Session, row: PlaybookVersion, playbook: Playbook, *, actor: str) -> str:
    """Keep the signatures that are new on a version that is here; what is said of it."""
    count = signers.keep_added(tx, row, playbook, actor=actor)
    if not count:
        return ""
    timeline.append(tx, "playbook.signed", "A playbook version came again with further signatures; they are kept.",
                    actor=actor, values={**said(row), "signatures": count}, about=("playbook", row.id))  # fmt: skip
    return f"; signatures added: {count}{_signed_by(tx, playbook)}"


def _check_maker(tx: Session, playbook: Playbook) -> None:
    """CACAO 2.0, versioning: only its maker makes versions of a playbook, and `created` never changes."""
    for row in versions_of(tx, playbook.id)[:1]:
        other = load(row.document)
        if (other.created_by, other.raw.get("created")) != (playbook.created_by, playbook.raw.get("created")):
            raise Refused("Another maker's playbook has this id here (`created_by`, `created`). Whoever changes the "
                          "playbook of somebody else gives it an id of its own and names this one in `derived_from`."
                          )  # fmt: skip


def _signed_by(tx: Session, playbook: Playbook) -> str:
    """What the signatures are worth, for whoever imports."""
    found = signers.verdicts(tx, playbook)
    if not found:
        return ""
    said_so = ", ".join(f"{each.name or 'a key not on our list'}: {each.verdict}" for each in found)
    return f"; signatures: {said_so}"
