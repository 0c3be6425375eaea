"""Versions of a draft: what is left out for some of its recipients, decided before anything is submitted.

A version is a release of its own, composed from the parts it is given and never cut out of the whole: with its own
digest, its own decision, its own clearance. Whoever is told by a version is never told the draft. Nothing is left out
silently: what is not in a version stands beside it, with the reason or as somebody's choice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.alerts.audience import organisations_of
from coordinator.alerts.desk import held, record
from coordinator.alerts.left import TELLING
from coordinator.alerts.models import Alert
from coordinator.alerts.pieces import KIND, OWN_WORDS, Piece, name_of, parts_of, pieces_of, text_of_parts
from coordinator.alerts.reach import of_parts
from coordinator.alerts.wording import KINDS as KIND_NAMES
from coordinator.errors import Fault, Invalid, Refused
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.markings import Marking
from coordinator.partners.models import Organisation
from coordinator.sharing import parts as names
from coordinator.sharing.files import ATTACHMENT, as_they_came, not_for_withheld
from coordinator.sharing.inputs_from_world import OF_INCIDENT, text_of
from coordinator.sharing.models import Release, ReleaseItem, ReleaseVersion
from coordinator.sharing.rules import Result
from coordinator.sharing.service import ENVELOPE, PARTS_ALONE, prepare_release
from coordinator.sharing.unnamed import is_withheld

DRAFT = "draft"
INDICATORS_ONLY, FILES_ONLY = "Indicators are enclosed.", "Files are enclosed."
LONGEST_TITLE = 120
NO_WAY = "NO-WAY"
#: Written for one text: that they were left out says nothing of those of the next one, which are asked about anew.
_WORDS_OF_ONE_TEXT = (names.DESCRIPTION, names.ASKS)


def make(
    tx: Session, release_id: int, *, audience: dict[str, Any], include: Iterable[str], principal: Principal,
    title: str = "",
) -> Release:  # fmt: skip
    """A version of a draft with these parts alone, for `audience`: organisations [codes], agreement (its key) or
    community. `title`: one for this version; else the draft's, unless an item is left out that it may tell of: then
    what kind of message it is.

    Raises NotFound, Refused (no draft, somebody else's, a version itself), Invalid (/include, /recipients, /title).
    """
    base, incident = _draft(tx, release_id, principal)
    codes = [each.code for each in organisations_of(tx, audience, incident=incident)]
    pieces, include = pieces_of(tx, base), list(dict.fromkeys(include))
    known = [each.name for each in pieces]
    faults = []
    if not set(include) <= set(known):
        faults.append(Fault("/include", f"Choose among: {', '.join(known)}."))
    elif not _says_anything(pieces, include):
        faults.append(Fault("/include", "Include something that says anything."))
    if not codes or not set(audience.get("organisations") or ()) <= set(codes):
        faults.append(Fault("/recipients", "Choose partners: who is it for?"))
    elif set(codes) & _with_version(tx, base):
        faults.append(Fault("/recipients", "One of these has a version already: discard that one first."))
    if len(title) > LONGEST_TITLE:
        faults.append(Fault("/title", f"Give at most {LONGEST_TITLE} characters."))
    if faults:
        raise Invalid(faults)
    left: dict[str, list[str]] = {name: [] for name in known if name not in include}
    left_out = dict.fromkeys(codes, left)
    return _compose(tx, base, incident, include, left_out=left_out, actor=principal.actor, title=title.strip())


def leave_out(tx: Session, release_id: int, *, codes: Iterable[str], principal: Principal) -> list[Release]:
    """Versions for these partners without the parts that may not go to them, each part asked about for itself. One
    version for all who may have the same. Who may have nothing gets none, who may have everything needs none.

    Raises NotFound, Invalid (/recipients), Refused (as `make`, or where nothing may go to any of them).
    """
    base, incident = _draft(tx, release_id, principal)
    wanted = list(dict.fromkeys(codes))
    partners = _partners(tx, wanted)
    if not wanted or len(partners) != len(wanted):
        raise Invalid([Fault("/recipients", "Choose among the partners shown.")])
    if set(wanted) & _with_version(tx, base):
        raise Invalid([Fault("/recipients", "One of these has a version already: discard that one first.")])
    pieces, now = pieces_of(tx, base), clock.now()
    groups: dict[tuple[str, ...], dict[str, dict[str, list[str]]]] = {}
    for partner in partners:
        refused = _refused_parts(tx, base, partner, pieces, now)
        allowed = tuple(each.name for each in pieces if each.name not in refused)
        if refused and _says_anything(pieces, allowed):
            groups.setdefault(allowed, {})[partner.code] = refused
    if not groups:
        raise Refused("Nothing can be left out that would let the rest go to any of these.")
    return [
        _compose(tx, base, incident, include, left_out=refused, actor=principal.actor)
        for include, refused in groups.items()
    ]


def follow(tx: Session, base: Release, *, principal: Principal) -> list[Release]:
    """Versions of this draft for those who were told of this incident by a version before: what was left out for them
    is left out again, until they are told it by another release."""
    incident = tx.get_one(Incident, base.incident_id)
    pieces = pieces_of(tx, base)
    known = [each.name for each in pieces]
    groups: dict[tuple[str, ...], dict[str, dict[str, list[str]]]] = {}
    for code, without in withheld_so_far(tx, incident.id).items():
        left: dict[str, list[str]] = {name: [] for name in known if name in without}
        include = tuple(name for name in known if name not in left)
        if left and _says_anything(pieces, include):
            groups.setdefault(include, {})[code] = left
    return [_compose(tx, base, incident, each, left_out=left, actor=principal.actor) for each, left in groups.items()]


def make_for_each(tx: Session, base: Release, codes: Collection[str], *, refused: Collection[str]) -> set[str]:
    """Versions of a draft of which nobody chooses the parts: for those among `codes` to whom some were left out before,
    these; for the `refused`, what may not go to them. Returns those who would be told nothing then, for they had all
    of it left out before; whoever may have nothing by the rules gets no version, as in `leave_out`.
    """
    incident = tx.get_one(Incident, base.incident_id)
    before, now, nothing = withheld_so_far(tx, incident.id), clock.now(), set[str]()
    pieces = pieces_of(tx, base)
    unreadable, withheld = not_for_withheld(tx, base), is_withheld(Marking.from_json(base.marking))
    groups: dict[tuple[str, ...], dict[str, dict[str, list[str]]]] = {}
    for partner in _partners(tx, list(codes)):
        left: dict[str, list[str]] = {
            each.name: [] for each in pieces
            if each.name in before.get(partner.code, ()) and each.name not in _WORDS_OF_ONE_TEXT
        }
        if names.ORIGINATOR in left:
            left |= dict.fromkeys((each.name for each in pieces if each.name in unreadable), list[str]())
        chosen = bool(left)
        if partner.code in refused:
            left |= _refused_parts(tx, base, partner, pieces, now)
        if left and withheld:
            left.setdefault(names.ORIGINATOR, [])
        include = tuple(each.name for each in pieces if each.name not in left)
        if left and _says_anything(pieces, include):
            groups.setdefault(include, {})[partner.code] = left
        elif chosen:
            nothing.add(partner.code)
    for include, left_out in groups.items():
        _compose(tx, base, incident, include, left_out=left_out, actor=base.requested_by)
    return nothing


def _says_anything(pieces: Sequence[Piece], include: Collection[str]) -> bool:
    """Whether words or files are left: a title alone says nothing, nor does what only rides in the envelope."""
    return any(each.versions for each in pieces if each.name in include and each.name != names.TITLE)


def _refused_parts(
    tx: Session, base: Release, partner: Organisation, pieces: Sequence[Piece], now: datetime
) -> dict[str, list[str]]:
    """The parts that may not go to this partner, each asked about for itself, with the reasons; NO_WAY where nobody
    there may be told it by any way we have."""
    refused = {}
    for piece in pieces:
        said = of_parts(tx, base, partner, piece.versions, now=now) if piece.versions else None
        if piece.versions and said is None:
            refused[piece.name] = [NO_WAY]
        elif said is not None and said.result is Result.DENY:
            refused[piece.name] = list(said.reasons)
    return refused


def withheld_so_far(tx: Session, incident_id: int) -> dict[str, set[str]]:
    """By partner: the names of what was left out of what it was told of this incident, and not told it since."""
    query = (
        select(Alert.recipient, Alert.release_id, ReleaseVersion.left_out)
        .outerjoin(ReleaseVersion, ReleaseVersion.release_id == Alert.release_id)
        .where(Alert.incident_id == incident_id, Alert.organisation_id.is_not(None), Alert.state != "withdrawn",
               Alert.kind.in_(TELLING))
        .order_by(Alert.id)
    )  # fmt: skip
    rows = list(tx.execute(query))
    if not any(row.left_out for row in rows):
        return {}
    found: dict[str, set[str]] = {}
    for row in rows:
        without = set((row.left_out or {}).get(row.recipient, ()))
        said = {each.name for each in pieces_of(tx, tx.get_one(Release, row.release_id))}
        found[row.recipient] = (found.get(row.recipient, set()) - (said - without)) | without
    return {code: without for code, without in found.items() if without}


def row_of(tx: Session, release: Release) -> ReleaseVersion | None:
    """What makes this release a version of a draft; None where it is none."""
    return tx.execute(select(ReleaseVersion).where(ReleaseVersion.release_id == release.id)).scalar_one_or_none()


def versions_of(tx: Session, base: Release) -> list[tuple[Release, ReleaseVersion]]:
    """The versions of a draft that were not discarded, oldest first."""
    query = (
        select(Release, ReleaseVersion)
        .join(ReleaseVersion, ReleaseVersion.release_id == Release.id)
        .where(ReleaseVersion.version_of_id == base.id, Release.state != "withdrawn")
        .order_by(Release.id)
    )
    return [(row.Release, row.ReleaseVersion) for row in tx.execute(query)]


def with_versions(tx: Session, release_ids: Iterable[int]) -> list[int]:
    """These releases and every version of those among them that are drafts."""
    wanted = list(release_ids)
    query = select(ReleaseVersion.release_id).where(ReleaseVersion.version_of_id.in_(wanted))
    return [*wanted, *tx.execute(query).scalars()] if wanted else []


def drafts_of(tx: Session, release_ids: Iterable[int]) -> dict[int, int]:
    """Version -> the draft it is a version of, for those among these releases that are one."""
    query = select(ReleaseVersion.release_id, ReleaseVersion.version_of_id)
    return {row[0]: row[1] for row in tx.execute(query.where(ReleaseVersion.release_id.in_(list(release_ids))))}


def family(tx: Session, release_id: int) -> list[int]:
    """The ids of a release, of the draft it is a version of, and of all versions of that draft."""
    query = select(ReleaseVersion.version_of_id).where(ReleaseVersion.release_id == release_id)
    base = tx.execute(query).scalar_one_or_none() or release_id
    found = select(ReleaseVersion.release_id).where(ReleaseVersion.version_of_id == base)
    return [base, *tx.execute(found).scalars()]


def divided(tx: Session, base: Release, codes: Sequence[str]) -> list[tuple[Release, list[str]]]:
    """The draft and its versions, each with those of `codes` it is for."""
    found = [(row, [code for code in codes if code in said.recipients]) for row, said in versions_of(tx, base)]
    own = {code for _row, whose in found for code in whose}
    return [(base, [code for code in codes if code not in own]), *found]


# ---------------------------------------------------------------- composing


def _compose(
    tx: Session, base: Release, incident: Incident, include: Collection[str], *, actor: str,
    left_out: dict[str, dict[str, list[str]]], title: str = "",
) -> Release:  # fmt: skip
    """The release that says these parts and nothing else."""
    kept = [(row, version) for row, version in parts_of(tx, base) if _is_in(row, version, include)]
    keeps_title = names.TITLE in include and not title and not _an_item_is_missing(tx, base, kept)
    kept = [(row, version) for row, version in kept if row.field != names.TITLE or keeps_title]
    fields = {version.id: row.field for row, version in kept}
    enclosed = [version.id for row, version in kept if row.enclosed and _goes_along(row, version, include)]
    said = {version.id: row.field for row, version in kept if _says(row, version, include)}
    body = text_of_parts(tx, [version for _row, version in kept], said)
    whole = prepare_release(
        tx, kind=base.kind, purpose=base.purpose, requested_by=actor, incident=incident,
        title=title or (text_of(tx, base)[0] if keeps_title else KIND_NAMES[base.kind]),
        body=body or (INDICATORS_ONLY if names.OBSERVABLES in include else FILES_ONLY),
        info_category=_category(base, kept), items=[version for _row, version in kept],
        fields=fields, enclosed=enclosed, uncleaned=as_they_came(tx, base, enclosed), reply_by=base.reply_by,
        language=base.language,
        in_reply_to=tx.get(Release, base.in_reply_to_id) if base.in_reply_to_id else None, ack=base.ack,
        ladder=base.ladder, of_incident=_of_incident(base, kept),
        envelope=[each for each in ENVELOPE if each in include], unnamed=names.ORIGINATOR not in include,
        facts={name: True for name in (OWN_WORDS, PARTS_ALONE) if base.facts.get(name)},
    )  # fmt: skip
    whole.state = DRAFT
    tx.add(ReleaseVersion(
        release_id=whole.id, version_of_id=base.id, recipients=sorted(left_out), left_out=left_out,
        included=[name for name in include if name != names.TITLE or keeps_title], exercise=base.exercise,
    ))  # fmt: skip
    tx.flush()
    record(tx, whole, "release.version-drafted", "A version of a draft was composed for some recipients.", actor, {
        "of": base.id, "included": list(include), "left_out": left_out, "content_digest": whole.content_digest,
    })  # fmt: skip
    return whole


def _is_in(row: ReleaseItem, version: ItemVersion, include: Collection[str]) -> bool:
    return _says(row, version, include) or _goes_along(row, version, include)


def _says(row: ReleaseItem, version: ItemVersion, include: Collection[str]) -> bool:
    return name_of(row, version) in include


def _goes_along(row: ReleaseItem, version: ItemVersion, include: Collection[str]) -> bool:
    if version.kind == ATTACHMENT:
        return row.enclosed and version.item in include
    return row.enclosed and names.OBSERVABLES in include and (row.field != names.ITEM or version.item in include)


def _an_item_is_missing(tx: Session, base: Release, kept: Sequence[tuple[ReleaseItem, ItemVersion]]) -> bool:
    """Whether something said of the incident is left out of which the words of the title may have been made."""
    there = {version.id for _row, version in kept}
    return any(
        version.id not in there and version.kind != KIND and row.field in ("", names.DESCRIPTION, names.ITEM)
        for row, version in parts_of(tx, base)
    )


def _of_incident(base: Release, kept: Sequence[tuple[ReleaseItem, ItemVersion]]) -> bool:
    """Whether what is said tells what the incident is: its facts do, and words that were not declared our own; and
    whatever is left of a text that a playbook tells of it."""
    if base.facts.get(PARTS_ALONE):
        return bool(base.facts.get(OF_INCIDENT))
    fields = {row.field for row, _version in kept}
    words = bool(fields & {names.TITLE, names.DESCRIPTION, names.ASKS}) and not base.facts.get(OWN_WORDS)
    return bool(base.facts.get(OF_INCIDENT)) and (words or bool(fields & set(names.FACTS)))


def _category(base: Release, kept: Sequence[tuple[ReleaseItem, ItemVersion]]) -> str:
    """What kind of information the whole is: the draft's where its words are in it, else that of its first part."""
    if {row.field for row, _version in kept} & {names.TITLE, names.DESCRIPTION, ""}:
        return base.info_category
    return kept[0][1].info_category if kept else base.info_category


# ---------------------------------------------------------------- looking things up


def _draft(tx: Session, release_id: int, principal: Principal) -> tuple[Release, Incident]:
    base = held(tx, release_id, principal)
    if base.state != DRAFT or row_of(tx, base) is not None:
        raise Refused("Versions are made of a draft that was not submitted yet.")
    if base.requested_by != principal.actor:
        raise Refused("Somebody else drafted this: ask them, or draft your own.")
    return base, tx.get_one(Incident, base.incident_id)


def _with_version(tx: Session, base: Release) -> set[str]:
    return {code for _row, said in versions_of(tx, base) for code in said.recipients}


def _partners(tx: Session, codes: Sequence[str]) -> list[Organisation]:
    query = select(Organisation).where(
        Organisation.code.in_(codes), Organisation.active, Organisation.is_own.is_(False)
    ).order_by(Organisation.code)  # fmt: skip
    return list(tx.execute(query).scalars())
