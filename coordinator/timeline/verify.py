"""Proving the record: chains, commitments, checkpoints. What it proves and what not is said in the answer.

A chain proves that nothing inside it was changed, removed or put in between. It cannot prove that its end was not cut
off, or that the whole database is not an older copy: a checkpoint that left the machine does (`against`).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Select, func, insert, select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.errors import NotParseable
from coordinator.store import store_of
from coordinator.timeline.keys import Erased, unseal
from coordinator.timeline.models import (
    Chain,
    Checkpoint,
    CheckpointHead,
    Entry,
    EntryValue,
    Epoch,
    SigningKey,
)
from coordinator.timeline.service import FIRST, commit_to, entry_hash, lock_record
from coordinator.vault import CannotOpen


@dataclass
class Verdict:
    """`broken` names the first thing that does not hold, or is empty. `notes` say what is not proven."""

    entries: int = 0
    chains: int = 0
    erased: int = 0
    checkpoints: int = 0
    broken: str = ""
    notes: list[str] = field(default_factory=list)


def verify(tx: Session, *, against: bytes | None = None) -> Verdict:
    """Walk every chain, open every value that is left, check every checkpoint, and the one in `against` (JSON
    bytes)."""
    verdict = Verdict()
    for step in (_verify_chains, _verify_checkpoints):
        if not verdict.broken:
            step(tx, verdict)
    if against is not None and not verdict.broken:
        _verify_against(tx, verdict, against)
    if against is None:
        verdict.notes.append(
            "Not proven: that nothing was cut off the end of the record or that this is not an older copy of it. "
            "Use --against with a checkpoint kept elsewhere."
        )
    if verdict.erased:
        verdict.notes.append(f"{verdict.erased} entries have had their values erased; their place in the chain holds.")
    return verdict


def checkpoint(tx: Session) -> Checkpoint | None:
    """Sign the state of all chains. Returns the new checkpoint, or None when nothing happened since the last one."""
    lock_record(tx)
    last = tx.execute(select(Checkpoint).order_by(Checkpoint.number.desc()).limit(1)).scalar()
    number = last.number if last else 0
    known = {row.chain: row.length for row in _heads(tx, number)}
    chains = {row.name: (row.length, row.head) for row in tx.execute(_begun())}
    grown = [name for name, (length, _) in chains.items() if known.get(name) != length]
    if not grown:
        return None
    at = max(clock.now(), last.at) if last else clock.now()
    statement = {
        "v": 1, "number": number + 1, "at": clock.rfc3339(at), "chains": len(chains),
        "entries": sum(length for length, _ in chains.values()),
        "root": root_of((name, *chains[name]) for name in sorted(chains)), "prev": last.hash if last else FIRST,
    }  # fmt: skip
    signing = store_of(tx).vault.signing_key()
    said = rfc8785.dumps(statement)
    row = Checkpoint(
        number=number + 1, at=at, chains=statement["chains"], entries=statement["entries"], root=statement["root"],
        prev=statement["prev"], hash=hashlib.sha256(said).hexdigest(),
        signature=base64.b64encode(signing.sign(said)).decode(), public_key=_public(signing.public_key()),
    )  # fmt: skip
    tx.add(row)
    tx.execute(insert(CheckpointHead), [
        {"number": number + 1, "chain": name, "length": chains[name][0], "head": chains[name][1]} for name in grown
    ])  # fmt: skip
    return row


def newest_checkpoint(tx: Session) -> dict[str, Any] | None:
    """The newest signed checkpoint as the document that leaves the machine."""
    row = tx.execute(select(Checkpoint).order_by(Checkpoint.number.desc()).limit(1)).scalar()
    return document_of(row) if row else None


def document_of(row: Checkpoint) -> dict[str, Any]:
    """A checkpoint as JSON data: the signed statement, its hash, the signature and the key."""
    return {**_statement(row), "hash": row.hash, "signature": row.signature, "public_key": row.public_key}


def root_of(heads: Iterator[tuple[str, int, str]]) -> str:
    """SHA-256 over one line a chain, sorted by name: `name length head`."""
    digest = hashlib.sha256()
    for name, length, head in heads:
        digest.update(f"{name} {length} {head}\n".encode())
    return digest.hexdigest()


def _verify_chains(tx: Session, verdict: Verdict) -> None:
    heads = {row.name: row for row in tx.execute(_begun())}
    seen: set[str] = set()
    name, seq, prev = "", 0, FIRST
    for row in _entries(tx):
        if row["chain"] != name:
            if name and not _ends_well(heads, name, seq, prev, verdict):
                return
            name, seq, prev = row["chain"], 0, FIRST
            seen.add(name)
        seq += 1
        if row["seq"] != seq or row["prev"] != prev or entry_hash(row) != row["hash"]:
            verdict.broken = f"chain {name}, entry {seq}: it was changed, removed or put in"
            return
        if not _opens(tx, row, verdict):
            return
        prev = row["hash"]
        verdict.entries += 1
    if name and not _ends_well(heads, name, seq, prev, verdict):
        return
    missing = [chain for chain in heads if chain not in seen]
    if missing:
        verdict.broken = f"chain {sorted(missing)[0]}: all its entries are missing"
    verdict.chains = len(heads)


def _begun() -> Select[str, int, str]:
    """Chains with at least one entry."""
    return select(Chain.name, Chain.length, Chain.head).where(Chain.length > 0)


def _ends_well(heads: dict[str, Any], name: str, seq: int, head: str, verdict: Verdict) -> bool:
    stated = heads.get(name)
    if stated is None or (stated.length, stated.head) != (seq, head):
        verdict.broken = f"chain {name}, entry {seq + 1}: the end of the chain is not where it says"
        return False
    return True


def _entries(tx: Session) -> Iterator[dict[str, Any]]:
    query = (
        select(Entry, EntryValue.sealed, EntryValue.data_key_id)
        .outerjoin(EntryValue, EntryValue.entry_id == Entry.id)
        .order_by(Entry.chain, Entry.seq)
    )
    for entry, sealed, key in tx.execute(query.execution_options(yield_per=1000)):
        row = {column.name: getattr(entry, column.name) for column in Entry.__table__.columns}
        tx.expunge(entry)
        yield {**row, "sealed": sealed, "data_key_id": key}


def _opens(tx: Session, row: dict[str, Any], verdict: Verdict) -> bool:
    if row["sealed"] is None:
        verdict.erased += 1
        return True
    try:
        plain = unseal(tx, row["data_key_id"], row["sealed"], about="entry")
    except Erased:
        verdict.erased += 1
        return True
    except CannotOpen:
        plain = b""
    if commit_to(plain[:16], plain[16:]) != row["commitment"]:
        verdict.broken = f"chain {row['chain']}, entry {row['seq']}: its value is not the one that was recorded"
        return False
    return True


def _verify_checkpoints(tx: Session, verdict: Verdict) -> None:
    prev, state = FIRST, {}
    ours = known_keys(tx)
    for row in tx.execute(select(Checkpoint).order_by(Checkpoint.number)).scalars():
        verdict.checkpoints += 1
        for head in tx.execute(select(CheckpointHead).where(CheckpointHead.number == row.number)).scalars():
            state[head.chain] = (head.length, head.head)
        fault = _fault_of(document_of(row), keys=ours)
        if row.number != verdict.checkpoints or row.prev != prev or fault:
            verdict.broken = f"checkpoint {row.number}: {fault or 'one before it is missing'}"
        elif root_of((name, *state[name]) for name in sorted(state)) != row.root:
            verdict.broken = f"checkpoint {row.number}: the chains it names are not the ones kept beside it"
        if verdict.broken:
            return
        prev = row.hash
    if state and (missed := _missing_from_chains(tx, state)):
        verdict.broken = f"checkpoint {verdict.checkpoints}: chain {missed} is shorter than it was or another one"


def _missing_from_chains(tx: Session, state: dict[str, tuple[int, str]]) -> str:
    """The first chain whose entry at the stated length does not have the stated hash."""
    names = sorted(state)
    for start in range(0, len(names), 500):
        part = names[start : start + 500]
        query = select(Entry.chain, Entry.seq, Entry.hash).where(Entry.chain.in_(part))
        wanted = {(name, state[name][0]) for name in part}
        found = {(row.chain, row.seq): row.hash for row in tx.execute(query) if (row.chain, row.seq) in wanted}
        for name in part:
            if found.get((name, state[name][0])) != state[name][1]:
                return name
    return ""


def _verify_against(tx: Session, verdict: Verdict, against: bytes) -> None:
    kept = read_checkpoint(against)
    number, fault = kept["number"], _fault_of(kept, keys=known_keys(tx))
    if fault:
        verdict.broken = f"the kept checkpoint: {fault}"
        return
    row = tx.get(Checkpoint, number)
    if row is None:
        verdict.broken = f"checkpoint {number} was signed here but is gone: the record was cut off or rolled back"
    elif row.hash != kept["hash"]:
        verdict.broken = f"checkpoint {number} is not the one that was signed: the record was replaced"
    if verdict.broken:
        verdict.broken += _restored(tx, kept["at"])
    else:
        verdict.notes.append(f"Holds against checkpoint {number} of {kept['at']}.")


def _restored(tx: Session, kept_at: str) -> str:
    """Whether a restore on record explains what is missing."""
    epoch = tx.execute(select(Epoch).order_by(Epoch.number.desc()).limit(1)).scalar_one_or_none()
    if epoch is None:
        return ""
    made, began = clock.rfc3339(epoch.backup_at), clock.rfc3339(epoch.began_at)
    return f". It was restored at {began} from a backup of {made}: what was written then until {kept_at} is missing"


def read_checkpoint(raw: bytes) -> dict[str, Any]:
    """A checkpoint as `record checkpoint` writes it; its signature is not looked at. Raises NotParseable."""
    try:
        said = json.loads(raw)
        kinds = {"v": int, "number": int, "at": str, "chains": int, "entries": int, "root": str, "prev": str,
                 "hash": str, "signature": str, "public_key": str}  # fmt: skip
        if not all(isinstance(said[name], kind) for name, kind in kinds.items()):
            raise TypeError("another kind of value")
    except (ValueError, KeyError, TypeError) as error:
        raise NotParseable("The file is not a checkpoint: use what `record checkpoint` wrote") from error
    return {name: said[name] for name in kinds}


def known_keys(tx: Session) -> set[str]:
    """The public keys whose checkpoints are ours: of this master key, and of those before it, each endorsed by its
    successor."""
    known = {_public(store_of(tx).vault.signing_key().public_key())}
    former = list(tx.execute(select(SigningKey)).scalars())
    while found := [row for row in former if row.endorsed_by in known and row.public_key not in known]:
        for row in found:
            if not _signed_by(row.endorsed_by, row.signature, endorsement(row.public_key)):
                former.remove(row)
                continue
            known.add(row.public_key)
    return known


def endorsement(public_key: str) -> bytes:
    """What the next key signs of the one before it."""
    return b"coordinator/1 former signing key " + public_key.encode()


def _signed_by(key: str, signature: str, said: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(base64.b64decode(signature), said)
    except (InvalidSignature, ValueError):
        return False
    return True


def _fault_of(document: dict[str, Any], *, keys: set[str]) -> str:
    said = rfc8785.dumps({name: document[name] for name in ("v", "number", "at", "chains", "entries", "root", "prev")})
    if hashlib.sha256(said).hexdigest() != document["hash"]:
        return "it was changed"
    if document["public_key"] not in keys:
        return "it was signed with another key than this installation's"
    return "" if _signed_by(document["public_key"], document["signature"], said) else "its signature does not hold"


def _statement(row: Checkpoint) -> dict[str, Any]:
    return {
        "v": 1, "number": row.number, "at": clock.rfc3339(row.at), "chains": row.chains, "entries": row.entries,
        "root": row.root, "prev": row.prev,
    }  # fmt: skip


def _heads(tx: Session, number: int) -> Iterator[Any]:
    """The newest head of each chain as of checkpoint `number`."""
    newest = (
        select(CheckpointHead.chain, func.max(CheckpointHead.number).label("number"))
        .where(CheckpointHead.number <= number)
        .group_by(CheckpointHead.chain)
        .subquery()
    )
    query = select(CheckpointHead.chain, CheckpointHead.length).join(
        newest, (CheckpointHead.chain == newest.c.chain) & (CheckpointHead.number == newest.c.number)
    )
    return iter(tx.execute(query))


def _public(key: Ed25519PublicKey) -> str:
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()
