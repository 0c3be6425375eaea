"""Under which clauses of an agreement a decision was made, or fell short: for those who may read agreements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from coordinator.accounts import rules as rights
from coordinator.accounts.principal import Principal
from coordinator.agreements.models import Agreement
from coordinator.sharing.remedies import DEMANDED_BY, PERMIT_RESTS_ON, RESTS_ON


def with_clauses(tx: Session, decisions: Iterable[dict[str, Any]], *, principal: Principal) -> list[dict[str, Any]]:
    """The decisions (outgoing) with `under`: {key, version, title, clauses {field: clause}} or None, and with `clause`
    in each of their reasons and problems. Unchanged for who may not read agreements.

    The clauses are those of the version the decision was made on, so that an old one explains itself.
    """
    found = list(decisions)
    if not rights.may(rights.Role(principal.role), rights.Right.READ_AGREEMENTS):
        return found
    wanted = {pair for one in found for pair in _named(one)}
    query = select(Agreement.key, Agreement.version, Agreement.terms)
    rows = tx.execute(query.where(tuple_(Agreement.key, Agreement.version).in_(wanted)))
    terms = {(row.key, row.version): row.terms for row in rows}
    return [one | _told(one, terms) for one in found]


def _told(one: dict[str, Any], terms: dict[tuple[str, int], dict[str, Any]]) -> dict[str, Any]:
    versions = one["agreement_versions"]

    def clause(key: str, code: str) -> str:
        said = terms.get((key, versions.get(key, 0)))
        return _clauses(said).get(RESTS_ON.get(code, ""), "")

    problems = [each | {"clause": clause(each["agreement"], each["code"])} for each in one["problems"]]
    said = terms.get((one["agreement"], versions.get(one["agreement"], 0)))
    why = [each | {"clause": demanded(each["code"], said)} for each in one["why"]]
    return {"under": _under(one["agreement"], versions.get(one["agreement"]), terms), "problems": problems, "why": why}


def demanded(code: str, terms: Mapping[str, Any] | None) -> str:
    """The clause by which the agreement it goes under gives this reason, "" where it gives none."""
    field = DEMANDED_BY.get(code, "")
    wants = (terms or {}).get(field) == "must"  # an exchange policy may have asked for it instead
    return _clauses(terms).get(field, "") if wants else ""


def _named(one: dict[str, Any]) -> set[tuple[str, int]]:
    keys = {one["agreement"], *(each["agreement"] for each in one["problems"])}
    return {(key, one["agreement_versions"][key]) for key in keys if one["agreement_versions"].get(key) is not None}


def _under(
    key: str | None, version: int | None, terms: dict[tuple[str, int], dict[str, Any]]
) -> dict[str, Any] | None:
    if key is None or version is None or (key, version) not in terms:
        return None
    said = terms[key, version]
    clauses = _clauses(said)
    return {"key": key, "version": version, "title": said.get("title", ""),
            "clauses": {field: clauses[field] for field in PERMIT_RESTS_ON if clauses.get(field)}}


def _clauses(terms: Mapping[str, Any] | None) -> dict[str, str]:
    return (terms or {}).get("clause_refs") or {}
