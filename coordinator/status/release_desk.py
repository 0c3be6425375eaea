"""The release desk as plain data: drafts and releases of an incident, and who could receive one, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts import rules as rights
from coordinator.accounts.principal import Principal
from coordinator.agreements.queries import current
from coordinator.alerts import publishing, versions
from coordinator.alerts.models import Alert, PublicNotice
from coordinator.alerts.pieces import KIND, Piece, pieces_of
from coordinator.alerts.reach import Reach, who_could_receive
from coordinator.alerts.released import has_left
from coordinator.errors import NotFound
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.markings import Marking, combine
from coordinator.partners.models import Contact, Organisation
from coordinator.sharing import explaining
from coordinator.sharing.composed import handling
from coordinator.sharing.explaining import IN_CONTACTS, Asked
from coordinator.sharing.inputs_from_world import OF_INCIDENT, items_of
from coordinator.sharing.models import Approval, Release, ReleaseVersion, ShareDecision
from coordinator.sharing.parts import NAMES
from coordinator.sharing.remedies import DIRECTORY, PERMIT_RESTS_ON, RESTS_ON
from coordinator.sharing.rules import Result
from coordinator.sharing.wording import explain
from coordinator.status import leaving_files, outgoing, people
from coordinator.status.explained import demanded

#: The groups of a desk, in the order in which they are shown.
GROUPS = ("permit", "refer", "deny", "unreachable")
UNREACHABLE = "No contact there may be told this by any of its channels."
MOST = 100
LONGEST_LABEL = 60


def releases(tx: Session, incident: Incident, *, limit: int = MOST) -> list[dict[str, Any]]:
    """Drafts and releases of an incident that persons or playbooks asked for, newest first. As `described`, with
    `version_for`: the recipients whom a version of a draft is for."""
    query = select(Release).where(Release.incident_id == incident.id, Release.kind.not_in(("notice", "receipt")))
    rows = list(tx.execute(query.order_by(Release.id.desc()).limit(limit)).scalars())
    whose = select(ReleaseVersion.release_id, ReleaseVersion.recipients).where(
        ReleaseVersion.release_id.in_([row.id for row in rows])
    )
    version_for = {row.release_id: row.recipients for row in tx.execute(whose)}
    return [one | {"version_for": version_for.get(one["id"])} for one in described(tx, rows)]


def one(tx: Session, incident: Incident, release_id: int) -> Release:
    """A release of this incident. Raises NotFound."""
    row = tx.get(Release, release_id)
    if row is None or row.incident_id != incident.id or row.kind == "notice":
        raise NotFound()
    return row


def described(tx: Session, rows: Sequence[Release]) -> list[dict[str, Any]]:
    """id, state, kind, title, tlp, purpose, info_category, requested_by, requested_by_name, created_at, reply_by."""
    names = people.names(tx, {row.requested_by for row in rows})
    states = _states(tx, rows)
    return [
        {"id": row.id, "state": states[row.id], "kind": row.kind, "title": outgoing.title_of(tx, row),
         "tlp": Marking.from_json(row.marking).effective.value, "purpose": row.purpose,
         "info_category": row.info_category, "requested_by": row.requested_by,
         "requested_by_name": names[row.requested_by], "created_at": row.created_at, "reply_by": row.reply_by,
         "exercise": row.exercise or None}
        for row in rows
    ]  # fmt: skip


def in_full(tx: Session, row: Release, *, principal: Principal) -> dict[str, Any]:
    """As `described`, with text, caveats, parts, files, decisions and alerts; `may_submit`: a draft of theirs.

    `pieces`: what a version may be given or not, {name, label, said, category, tlp}. `versions`: those of this draft;
    `version_of`: the draft this is a version of, with `included` and `left_out` [{recipient, parts [{name, label,
    reasons}]}].
    """
    title, body = outgoing.texts_of(tx, row)
    alerts = tx.execute(select(Alert).where(Alert.release_id == row.id).order_by(Alert.id)).scalars()
    return described(tx, [row])[0] | {
        "title": title, "body": body, "handling": handling(Marking.from_json(row.marking)),
        "language": row.language, "ack": row.ack or None, "content_digest": row.content_digest,
        "parts": parts(tx, row), "files": leaving_files.of_release(tx, row),
        "of_incident": bool(row.facts.get(OF_INCIDENT)),
        "decisions": outgoing.decisions_of(tx, row.id, principal=principal),
        "alerts": outgoing.described_alerts(tx, list(alerts)),
        **_as_version(tx, row), "public": publishing.seen_by_us(tx, row),
    } | {"may_submit": row.state == "draft" and row.requested_by == principal.actor and versions.row_of(tx, row) is None
    }  # fmt: skip


def parts(tx: Session, row: Release) -> list[dict[str, Any]]:
    """What it was made from: {item, version, kind, tlp, originator, info_category}."""
    found = [each for each in items_of(tx, row) if each.kind != KIND]
    codes = _codes(tx, found)
    return [
        {"item": each.item, "version": each.version, "kind": each.kind, "tlp": each.tlp,
         "originator": codes.get(each.originator_id or 0), "info_category": each.info_category}
        for each in found
    ]  # fmt: skip


def _as_version(tx: Session, row: Release) -> dict[str, Any]:
    said = versions.row_of(tx, row)
    base = tx.get_one(Release, said.version_of_id) if said is not None else row
    pieces = pieces_of(tx, base)
    files = leaving_files.named(tx, base)
    labels = {each.name: files.get(each.name) or label_of(each) for each in pieces}
    shown = [
        {"name": each.name, "label": labels[each.name], "said": list(each.said), "category": each.category or None,
         "tlp": combine([Marking.from_json(one.marking) for one in each.versions]).effective.value
         if each.versions else None}
        for each in pieces
    ]  # fmt: skip
    made = versions.versions_of(tx, row) if said is None else []
    titles = described(tx, [each for each, _ in made])
    return {
        "pieces": shown, "version_of": said.version_of_id if said is not None else None,
        **_left_out(said, labels),
        "versions": [title | _left_out(each, labels) for title, (_, each) in zip(titles, made, strict=True)],
    }  # fmt: skip


def _left_out(said: ReleaseVersion | None, labels: Mapping[str, str]) -> dict[str, Any]:
    if said is None:
        return {"recipients": None, "included": None, "left_out": []}
    return {
        "recipients": said.recipients, "included": said.included,
        "left_out": [
            {"recipient": code, "parts": [
                {"name": name, "label": labels.get(name, name),
                 "reasons": [{"code": reason, "text": _why(reason)} for reason in reasons]}
                for name, reasons in left.items()
            ]} for code, left in said.left_out.items()
        ],
    }  # fmt: skip


def _why(reason: str) -> str:
    return UNREACHABLE if reason == versions.NO_WAY else explain(reason)


def label_of(piece: Piece) -> str:
    """What a part is called: its name, or of an item what it begins with."""
    if piece.name in NAMES:
        return NAMES[piece.name]
    words = piece.said[0] if piece.said else piece.kind
    return words if len(words) <= LONGEST_LABEL else words[: LONGEST_LABEL - 1] + "…"


def stage(stored: str, *, left: bool, cleared: bool, lapsed: bool) -> str:
    """The state a person is shown: draft evaluated awaiting-approval approved refused released expired withdrawn.

    `left`: something of it was sent; `cleared`: a clearance holds for what waits; `lapsed`: one ran out before that.
    """
    if stored == "released":
        return "released" if left else "approved"
    if stored == "awaiting-approval" and lapsed and not left and not cleared:
        return "expired"
    return stored


def _states(tx: Session, rows: Sequence[Release]) -> dict[int, str]:
    ids, now = [row.id for row in rows], clock.now()
    left = set(tx.execute(select(Alert.release_id).where(Alert.release_id.in_(ids), has_left())).scalars())
    left |= set(tx.execute(select(PublicNotice.release_id).where(PublicNotice.release_id.in_(ids))).scalars())
    ends = select(ShareDecision.release_id, func.max(Approval.until)).join(
        Approval, Approval.decision_id == ShareDecision.id
    )
    wanted = ends.where(ShareDecision.release_id.in_(ids), Approval.answer == "approve", Approval.voided_at.is_(None))
    until = {row[0]: row[1] for row in tx.execute(wanted.group_by(ShareDecision.release_id))}
    return {
        row.id: stage(
            row.state, left=row.id in left, cleared=row.id in until and now < until[row.id],
            lapsed=row.id in until and now >= until[row.id],
        )
        for row in rows
    }  # fmt: skip


# ---------------------------------------------------------------- who could receive this


def recipients(tx: Session, release: Release, *, principal: Principal) -> dict[str, list[dict[str, Any]]]:
    """Every partner under permit, refer, deny or unreachable, by code, each with everything that is to be said of it.
    Of an agreement, its title and clauses to those who read agreements; to others its key.

    code, name, result, channel, contact, effective_tlp, reasons [explaining.reasons], approvers [role],
    agreement {key, version, title, clauses {field: clause}} or None, problems [{agreement, title, code, text, clause,
    changed_by}], obligations [{code, text}], version (the version of this draft that is meant for it, or None).
    """
    now, found, version_of = clock.now(), list[Reach](), dict[str, int]()
    said = versions.row_of(tx, release)
    if said is None:
        for row, version in versions.versions_of(tx, release):
            found += who_could_receive(tx, row, now=now, codes=version.recipients)
            version_of |= dict.fromkeys(version.recipients, row.id)
    codes = said.recipients if said is not None else None
    everyone = who_could_receive(tx, release, now=now, codes=codes)
    found += [each for each in everyone if each.organisation.code not in version_of]
    found.sort(key=lambda each: each.organisation.code)
    reads = rights.may(rights.Role(principal.role), rights.Right.READ_AGREEMENTS)
    agreements = {row.key: row.terms if reads else {} for row in current(tx)}
    contacts = _contact_codes(tx, found)
    groups: dict[str, list[dict[str, Any]]] = {name: [] for name in GROUPS}
    for each in found:
        group = each.decision.result.value if each.decision else "unreachable"
        one = _described(each, release, agreements, contacts)
        groups[group].append(one | {"version": version_of.get(each.organisation.code)})
    return groups


def _described(
    each: Reach, release: Release, agreements: Mapping[str, Mapping[str, Any]], contacts: Mapping[int, str]
) -> dict[str, Any]:
    who = {"code": each.organisation.code, "name": each.organisation.name}
    if each.decision is None or each.addressee is None:
        reason = {"code": "", "text": UNREACHABLE, "because": [], "changed_by": DIRECTORY, "change": IN_CONTACTS,
                  "clause": ""}
        return who | {"result": "unreachable", "channel": None, "contact": None, "effective_tlp": None,
                      "reasons": [reason], "approvers": [], "agreement": None, "problems": [], "obligations": []}
    said, asked = each.decision, each.asked
    without = "D-NO-AGREEMENT" in said.reasons or "D-AGREEMENT-PROHIBITS" in said.reasons
    return who | {
        "result": said.result.value, "channel": each.addressee.channel_kind,
        "contact": contacts.get(each.addressee.contact_id or 0), "effective_tlp": said.effective_tlp,
        "reasons": [one | {"clause": demanded(one["code"], agreements.get(said.agreement or ""))}
                    for one in explaining.reasons(said.reasons, asked)],
        "approvers": sorted(
            str(role) for role in rights.approvers(said.reasons, said.effective_tlp, release.info_category)
        ) if said.result is Result.REFER else [],
        "agreement": _under(said.agreement, each.agreement_version, agreements),
        "problems": _problems(said.agreement_problems, asked, agreements) if without else [],
        "obligations": [{"code": code, "text": explain(code)} for code in said.obligations],
    }  # fmt: skip


def _under(
    key: str | None, version: int | None, agreements: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any] | None:
    if key is None or key not in agreements:
        return None
    clauses = agreements[key].get("clause_refs") or {}
    return {"key": key, "version": version, "title": agreements[key].get("title", ""),
            "clauses": {field: clauses[field] for field in PERMIT_RESTS_ON if clauses.get(field)}}


def _problems(
    problems: Mapping[str, Sequence[str]], asked: Asked | None, agreements: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    return [
        each | {"title": agreements.get(each["agreement"], {}).get("title", ""),
                "clause": (agreements.get(each["agreement"], {}).get("clause_refs") or {}).get(
                    RESTS_ON[each["code"]], "")}
        for each in explaining.problems(problems, asked)
    ]  # fmt: skip


def _contact_codes(tx: Session, found: Sequence[Reach]) -> dict[int, str]:
    wanted = {each.addressee.contact_id for each in found if each.addressee and each.addressee.contact_id}
    return {row.id: row.code for row in tx.execute(select(Contact.id, Contact.code).where(Contact.id.in_(wanted)))}


def _codes(tx: Session, versions: Sequence[ItemVersion]) -> dict[int, str]:
    wanted = {each.originator_id for each in versions if each.originator_id}
    rows = tx.execute(select(Organisation.id, Organisation.code).where(Organisation.id.in_(wanted)))
    return {row.id: row.code for row in rows}
