"""The table of clock rules: loaded as data, a new version for each change, signed by a legal reviewer or advisory."""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from typing import Any

import rfc8785
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Right, Role, may
from coordinator.errors import Fault, Invalid, NoRight, NotFound, Refused
from coordinator.obligations.models import ObligationRule
from coordinator.obligations.preview import Rule
from coordinator.obligations.schema import load_rule

SHIPPED = "system: shipped"


def shipped_rules() -> list[dict[str, Any]]:
    """The rules that come with the software. None of them was reviewed by a lawyer."""
    raw = (resources.files(__package__) / "data" / "clock_rules.json").read_text("utf-8")
    return [load_rule(each, pointer=f"/{at}") for at, each in enumerate(json.loads(raw))]


def ship_rules(tx: Session) -> list[str]:
    """Bring the shipped rules in; a rule that somebody here wrote a version of is left as it is."""
    lines = []
    for terms in shipped_rules():
        newest = current_rule(tx, terms["rule"])
        if newest is None or (newest.recorded_by == SHIPPED and newest.signed_by is None):
            lines.append(put_rule(tx, terms, actor=SHIPPED))
    return [line for line in lines if line]


def put_rule(tx: Session, terms: dict[str, Any], *, actor: str) -> str:
    """Record a rule, or its next version where it says something else now; a line that says so, or "".

    A new version is advisory, whoever signed the one before; duties that run keep the version they began with.
    """
    digest = hashlib.sha256(rfc8785.dumps(terms)).hexdigest()
    before = current_rule(tx, terms["rule"])
    if before is not None and before.digest == digest:
        return ""
    version = tx.execute(
        select(func.max(ObligationRule.version)).where(ObligationRule.rule == terms["rule"])
    ).scalar() or 0  # fmt: skip
    row = ObligationRule(
        rule=terms["rule"], version=version + 1, digest=digest, terms=terms, current=True, recorded_at=clock.now(),
        recorded_by=actor,
    )  # fmt: skip
    if before is not None:
        before.current = False
    tx.add(row)
    tx.flush()
    timeline.append(tx, "rule.recorded", "A version of a clock rule was recorded; it is advisory.", actor=actor,
                    values={"rule": row.rule, "version": row.version, "digest": digest},
                    about=("rule", row.id))  # fmt: skip
    return f"clock rule {row.rule}: {'added' if before is None else f'version {row.version}'}, advisory"


def sign_rule(tx: Session, rule_id: int, *, principal: Principal, note: str) -> ObligationRule:
    """A legal reviewer stands for this version: from now on it is binding for us. Raises NoRight, NotFound, Refused."""
    if not may(Role(principal.role), Right.SIGN_RULES):
        raise NoRight()
    if not note.strip():
        raise Invalid([Fault("/note", "Say what was reviewed, and on what text.")])
    row = tx.get(ObligationRule, rule_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound()
    if not row.current:
        raise Refused("There is a newer version of this rule: review that one.")
    if row.signed_by is not None:
        raise Refused("This version was signed already.")
    if row.recorded_by == principal.actor:
        raise Refused("Another person must sign it: you wrote this version.")
    row.signed_by, row.signed_at, row.signed_note = principal.user_id, clock.now(), note.strip()
    timeline.append(tx, "rule.signed", "A legal reviewer signed a clock rule.", actor=principal.actor,
                    values={"rule": row.rule, "version": row.version, "note": row.signed_note},
                    about=("rule", row.id))  # fmt: skip
    return row


def current_terms(tx: Session) -> list[dict[str, Any]]:
    """The terms of every rule in its newest version, by name."""
    query = select(ObligationRule.terms).where(ObligationRule.current).order_by(ObligationRule.rule)
    return list(tx.execute(query).scalars())


def current_rules(tx: Session) -> list[Rule]:
    """Every rule in its newest version, by name, for a preview."""
    query = select(ObligationRule).where(ObligationRule.current).order_by(ObligationRule.rule)
    return [Rule(row.terms, row.version, row.signed_by is not None) for row in tx.execute(query).scalars()]


def current_rule(tx: Session, rule: str) -> ObligationRule | None:
    """The newest version of a rule, None where there is no such rule."""
    query = select(ObligationRule).where(ObligationRule.rule == rule, ObligationRule.current)
    return tx.execute(query).scalar_one_or_none()
