"""Challenges of passkeys (W3C WebAuthn level 2, 13.4.3): random, bound to a purpose and a browser, five minutes, once.

A challenge carries its own end and a keyed digest over purpose, browser and end, so none is stored when it is handed
out: visitors who never answer write nothing to the database. Once an answer was found right, the challenge's digest
takes a row of `spent_challenges`; of two answers at once only one gets it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import delete
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.models import SpentChallenge
from coordinator.db import insert_or_ignore
from coordinator.store import store_of

LIFE = timedelta(minutes=5)
_RANDOM, _END = 16, 8


class Purpose(StrEnum):
    """What the answer to a challenge may be used for, and for nothing else."""

    ADD = "add"
    SIGN_IN = "sign-in"
    STEP_UP = "step-up"


def issue(tx: Session, purpose: Purpose, *, bound_to: str) -> bytes:
    """A fresh challenge (56 bytes) that only the browser or session `bound_to` can use."""
    end = int((clock.now() + LIFE).timestamp())
    body = secrets.token_bytes(_RANDOM) + end.to_bytes(_END, "big")
    return body + _proof(tx, purpose, bound_to, body)


def is_ours(tx: Session, challenge: bytes, purpose: Purpose, *, bound_to: str) -> bool:
    """Whether it was issued for this purpose and browser and has not expired."""
    body, proof = challenge[: _RANDOM + _END], challenge[_RANDOM + _END :]
    if not hmac.compare_digest(proof, _proof(tx, purpose, bound_to, body)):
        return False
    return clock.now() < _end(challenge)


def spend(tx: Session, challenge: bytes) -> bool:
    """Take a challenge that `is_ours`; False when it was answered before. The race is closed by the one INSERT."""
    tx.execute(delete(SpentChallenge).where(SpentChallenge.expires_at <= clock.now()))
    values = {"digest": hashlib.sha256(challenge).hexdigest(), "expires_at": _end(challenge)}
    taken = insert_or_ignore(tx, SpentChallenge).values(**values).returning(SpentChallenge.digest)
    return tx.execute(taken).scalar_one_or_none() is not None


def _end(challenge: bytes) -> datetime:
    return datetime.fromtimestamp(int.from_bytes(challenge[_RANDOM : _RANDOM + _END], "big"), UTC)


def _proof(tx: Session, purpose: Purpose, bound_to: str, body: bytes) -> bytes:
    key = store_of(tx).vault.derive("passkey challenges")
    return hmac.digest(key, f"{purpose}\0{bound_to}\0".encode() + body, "sha256")
