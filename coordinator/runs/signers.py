"""Whose signatures on playbooks we trust: keys that two persons put on the list. And our own signature on export."""

from __future__ import annotations

import base64
import hashlib
import uuid
from datetime import UTC
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import Principal
from coordinator.accounts.staff import check_may_approve
from coordinator.errors import Fault, Invalid, NotFound, Refused
from coordinator.partners.models import Organisation
from coordinator.runs.models import PlaybookSignature, PlaybookSigner, PlaybookVersion
from coordinator.store import store_of
from playbooks import signatures
from playbooks.document import Playbook, canonical, load

PROPOSED, TRUSTED, REVOKED = "proposed", "trusted", "revoked"


def propose(tx: Session, *, name: str, key: str, principal: Principal) -> PlaybookSigner:
    """Ask for a key to be trusted; a second person has to agree. Raises Invalid (/name, /key), Refused."""
    faults = []
    if not name.strip() or len(name) > 200:
        faults.append(Fault("/name", "Name the organisation, in 200 characters at most."))
    try:
        read = signatures.read_public_key(key)
    except signatures.BadKey as bad:
        faults.append(Fault("/key", f"{str(bad)[0].upper()}{str(bad)[1:]}."))
    if faults:
        raise Invalid(faults)
    print_ = signatures.fingerprint(read)
    known = tx.execute(
        select(PlaybookSigner).where(PlaybookSigner.fingerprint == print_).with_for_update()
    ).scalar_one_or_none()
    if known is not None:
        raise Refused(f"This key is on the list already ({known.state}).")
    row = PlaybookSigner(
        name=name.strip(), key=read, fingerprint=print_, state=PROPOSED, added_at=clock.now(),
        added_by=[principal.actor],
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    _record(tx, row, "signer.proposed", "A key for signatures on playbooks was proposed.", actor=principal.actor)
    return row


def agree(tx: Session, signer_id: int, *, principal: Principal) -> PlaybookSigner:
    """The second person's word: from now on the key is trusted. Raises NotFound, Refused for the same person."""
    row = _locked(tx, signer_id)
    if row.state != PROPOSED:
        raise Refused(f"This key is {row.state} already.")
    check_may_approve(tx, principal.user_id)
    if principal.actor in row.added_by:
        raise Refused("You proposed this key: a second person has to agree.")
    row.state, row.added_by = TRUSTED, [*row.added_by, principal.actor]
    _record(tx, row, "signer.trusted", "A key for signatures on playbooks is trusted.", actor=principal.actor)
    return row


def revoke(tx: Session, signer_id: int, *, principal: Principal, reason: str) -> PlaybookSigner:
    """Trust a key no longer, at once; one person may. Raises NotFound, Invalid without a reason."""
    if not reason.strip():
        raise Invalid([Fault("/reason", "Give the reason.")])
    row = _locked(tx, signer_id)
    row.state, row.revoked_at = REVOKED, clock.now()
    _record(tx, row, "signer.revoked", "A key for signatures on playbooks is trusted no longer.",
            actor=principal.actor, reason=reason)  # fmt: skip
    return row


def listed(tx: Session) -> list[dict[str, Any]]:
    """The list, by name."""
    rows = tx.execute(select(PlaybookSigner).order_by(PlaybookSigner.name, PlaybookSigner.id)).scalars()
    return [
        {"id": row.id, "name": row.name, "fingerprint": row.fingerprint, "state": row.state,
         "added_at": row.added_at, "added_by": row.added_by, "revoked_at": row.revoked_at}
        for row in rows
    ]  # fmt: skip


def verdicts(tx: Session, playbook: Playbook) -> list[signatures.Verdict]:
    """What each signature of a document is worth now, by our list and our own key."""
    rows = tx.execute(select(PlaybookSigner.key, PlaybookSigner.name).where(PlaybookSigner.state == TRUSTED))
    trusted = {**{row.key: row.name for row in rows}, own_key(tx): "our own key"}
    return signatures.verify(playbook.raw, trusted, now=clock.now())


def document_of(tx: Session, row: PlaybookVersion) -> Playbook:
    """A version's document with every signature known here: those it came with, and those that came later."""
    query = select(PlaybookSignature.signature).where(PlaybookSignature.version_id == row.id)
    added = list(tx.execute(query.order_by(PlaybookSignature.id)).scalars())
    playbook = load(row.document)
    if not added:
        return playbook
    return load(canonical({**playbook.raw, "signatures": [*(playbook.raw.get("signatures") or []), *added]}))


def keep_added(tx: Session, row: PlaybookVersion, playbook: Playbook, *, actor: str) -> int:
    """Keep the signatures of this document that its version does not bear yet; answers how many that are.

    Raises Refused: one that is wrong by a key we trust (the document or the signature was changed), or too many.
    """
    there = document_of(tx, row).raw.get("signatures") or []
    known = {_digest(each) for each in there}
    fresh = {_digest(each): each for each in playbook.raw.get("signatures") or []}
    fresh = {digest: each for digest, each in fresh.items() if digest not in known}
    if len(known) + len(fresh) > signatures.MAX_SIGNATURES:
        raise Refused(f"A playbook bears at most {signatures.MAX_SIGNATURES} signatures here.")
    if fresh and any(each.verdict == signatures.WRONG and each.name for each in verdicts(tx, playbook)):
        raise Refused("A signature on it bears a key we trust and is wrong: the document was changed.")
    for digest, each in fresh.items():
        tx.add(PlaybookSignature(version_id=row.id, signature=dict(each), digest=digest, added_at=clock.now(),
                                 added_by=actor))  # fmt: skip
    tx.flush()
    return len(fresh)


def _digest(signature: Any) -> str:
    return hashlib.sha256(canonical(signature)).hexdigest()


def own_key(tx: Session) -> str:
    """The public half of the key we sign exports with; partners put it on their list."""
    public = _private(tx).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(public).decode()


def signed(tx: Session, playbook: Playbook) -> bytes:
    """The canonical document (RFC 8785) with our signature, made now. Adding one makes no new version (CACAO 2.0)."""
    at = clock.now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    own = tx.execute(select(Organisation.name).where(Organisation.is_own)).scalars().first()
    return canonical(signatures.sign(
        playbook.raw, _private(tx), identifier=f"jss--{uuid.uuid4()}", signee=own or "Coordinator", at=at
    ))  # fmt: skip


def _private(tx: Session) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(store_of(tx).vault.derive("playbook signing"))


def _locked(tx: Session, signer_id: int) -> PlaybookSigner:
    row = tx.get(PlaybookSigner, signer_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound()
    return row


def _record(tx: Session, row: PlaybookSigner, kind: str, text: str, *, actor: str, **more: str) -> None:
    timeline.append(tx, kind, text, actor=actor, about=("signer", row.id),
                    values={"name": row.name, "fingerprint": row.fingerprint, **more})  # fmt: skip
