"""A text that is to leave: prepared once, decided for each recipient, decided again at every attempt to send.

Everything is recorded: the release with its digest, each decision with what it was made on. Nothing here sends.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.errors import Fault, Invalid, NotFound, Refused, SecrecyMarkingFound
from coordinator.incidents.holds import lock_incident_row, place_hold
from coordinator.incidents.items import write_item
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.incidents.sources import chosen_from_others
from coordinator.markings import Marking, combine, find_secrecy, parse_tlp
from coordinator.sharing import standing
from coordinator.sharing.addressees import Addressee
from coordinator.sharing.composed import Inputs, content_digest, judge, part_name, valid_until
from coordinator.sharing.files import digest_name, enclosed_files
from coordinator.sharing.inputs_from_world import (
    OF_INCIDENT,
    Basis,
    addressee_of,
    as_the_incident,
    book_for,
    digest_of,
    gather,
    text_of,
)
from coordinator.sharing.models import Approval, Release, ReleaseItem, ShareDecision
from coordinator.sharing.rules import POLICY_VERSION, Decision, Result
from coordinator.sharing.unnamed import agreed_unnamed, is_withheld, sources_of, unnamed_texts
from coordinator.timeline.keys import Erased
from coordinator.vocabulary import INFO_CATEGORIES

#: What a release may be. `notice` is for our own people; the others go to partners.
KINDS = (
    "receipt",
    "initial",
    "update",
    "correction",
    "closure",
    "recall",
    "request",
    "check",
    "call-our-desk",
    "contact-change",
    "automatic",
    "notice",
)
#: As in a native report: another coordinator's intake takes what we send (contract, Outbound).
LONGEST_TITLE, LONGEST_BODY = 120, 10_000


#: The hold of a release that waits for a person.
CLEARANCE = "clearance"
#: Facts of the incident that go along with a text.
ENVELOPE_FACTS = ("noticed_at", "detected_at", "states_affected")
#: The names under which they stand in the envelope.
ENVELOPE = ("noticed_at", "states_affected")
#: Among the facts of a release: whatever it tells of the incident stands in one of its parts; nobody retold anything.
PARTS_ALONE = "parts_alone"
_NOT_HOLDING = ("receipt", "closure", "notice")
#: What goes to the source itself, or to our own people: it may bear the names they know it by.
_TO_THEM = ("receipt", "notice")


class TextChanged(Refused):
    """The stored text is not the one that was decided on."""

    title = "The text is not the one that was decided on"


def prepare_release(
    tx: Session,
    *,
    kind: str,
    title: str,
    body: str,
    purpose: str,
    info_category: str,
    requested_by: str,
    incident: Incident | None = None,
    marking: Marking | None = None,
    items: Iterable[int | ItemVersion] = (),
    originator_id: int | None = None,
    reply_by: datetime | None = None,
    language: str = "en",
    in_reply_to: Release | None = None,
    ack: str = "",
    ladder: Sequence[dict[str, Any]] = (),
    exercise: str = "",
    facts: dict[str, Any] | None = None,
    of_incident: bool = False,
    enclosed: Collection[int] = (),
    fields: Mapping[int, str] | None = None,
    envelope: Collection[str] = ENVELOPE,
    unnamed: bool = False,
    uncleaned: Mapping[int, str] | None = None,
) -> Release:
    """Write down a text that is to leave, with its marking and digest. Raises Invalid, SecrecyMarkingFound, NotFound.

    `items`: the item versions it was composed from. `marking` and `originator_id` are what the author declares; where
    neither marking nor items are given, the text is taken for whatever the incident is, and for its originator's. The
    marking is never looser than any part; where it forbids to name the source, its names are taken out of the text.
    `facts`: what else goes along in the envelope. `of_incident`: besides its parts it tells what the incident is, and
    is bound as the incident, and by `marking` where that is stricter. `enclosed`: ids among `items` whose indicators go
    along with the text, or which are files that do; `uncleaned`: those of these files that go as they came, with the
    reason. `fields`: the name under which each of `items` is included or left out. `envelope`: which facts of the
    incident may go along. `unnamed`: the source is withheld, whatever the marking says; it is too
    where an agreement with it says so (attribution_rule).
    """
    _check(kind, title, body, info_category)
    exercise = incident.exercise if incident is not None else exercise
    parts = [_item_version(tx, each, exercise) for each in items]
    source_id = None
    of_incident = incident is not None and (of_incident or (marking is None and not parts))
    if of_incident and incident is not None:
        said_stricter = marking
        marking, originator_id, source_id = as_the_incident(incident)
        if said_stricter is not None:
            marking = combine([marking, replace(said_stricter, community=marking.community)])
        parts = _with(parts, _chosen(tx, incident, fields, facts))
    along = incident is not None and _may_ride(tx, incident, parts)
    declared = [] if marking is None and parts else [marking or Marking()]
    whole = combine([*declared, *(Marking.from_json(part.marking) for part in parts)])
    sources = sources_of(parts, originator_id, source_id)
    if unnamed or (kind not in _TO_THEM and agreed_unnamed(tx, sources)):
        whole = replace(whole, no_attribution=True)
    files = enclosed_files(tx, parts, enclosed, uncleaned=uncleaned or {}, withheld=is_withheld(whole))
    bytes_of = {each.item_version_id: digest_name(each) for each in files}
    if is_withheld(whole) and kind != "notice":
        title, body = unnamed_texts(tx, (title, body), incident, sources)
        title, body = title[:LONGEST_TITLE], body[:LONGEST_BODY]
    written = {
        name: write_item(
            tx, kind=f"alert-{name}", content=text, marking=whole, info_category=info_category, author=requested_by,
            incident=incident, originator_id=originator_id, source_id=source_id, exercise=exercise,
        )
        for name, text in (("title", title), ("body", body))
    }  # fmt: skip
    digest = content_digest(
        kind=kind, title=title, body=body, marking=whole, purpose=purpose, language=language, exercise=exercise,
        reply_by=clock.rfc3339(reply_by) if reply_by else None,
        items=[
            part_name(part.item, part.version, enclosed=part.id in enclosed, file=bytes_of.get(part.id, ""))
            for part in parts
        ],
    )  # fmt: skip
    now, bound = clock.now(), {OF_INCIDENT: True} if of_incident else {}
    release = Release(
        incident_id=incident.id if incident is not None else None, kind=kind, purpose=purpose, language=language,
        info_category=info_category, title_version_id=written["title"].id, body_version_id=written["body"].id,
        marking=whole.to_json(), originator_id=originator_id, content_digest=digest, reply_by=reply_by, ack=ack,
        in_reply_to_id=in_reply_to.id if in_reply_to else None, ladder=list(ladder), requested_by=requested_by,
        facts={
            **_facts(incident if along and kind != standing.KIND else None, whole, now, envelope), **bound,
            **(facts or {}),
        },
        created_at=now, exercise=exercise,
    )  # fmt: skip
    tx.add(release)
    tx.flush()
    tx.add_all(
        ReleaseItem(
            release_id=release.id,
            item_version_id=part.id,
            enclosed=part.id in enclosed,
            exercise=exercise,
            field=(fields or {}).get(part.id, ""),
        )
        for part in parts
    )
    for each in files:
        each.release_id = release.id
    tx.add_all(files)
    tx.flush()
    return release


def decide_share(tx: Session, release: Release, addressee: Addressee, *, basis: Basis | None = None) -> ShareDecision:
    """Ask the rules about one recipient, and record the answer with everything it was made on. `basis`: made in this
    transaction, where several recipients are asked about."""
    now = clock.now()
    inputs = gather(tx, release, addressee, now=now, basis=basis)
    return _record(tx, release, addressee, inputs, now=now, previous=None)


def forecast(tx: Session, release: Release, addressee: Addressee, *, basis: Basis | None = None) -> Decision:
    """What the rules would say of this addressee now. Nothing is recorded and nobody is asked."""
    now = clock.now()
    book = book_for(basis, addressee) if basis is not None else None
    return judge(gather(tx, release, addressee, now=now, basis=basis), now, book=book)


def redecide(
    tx: Session, decision_id: int, *, now: datetime, addressee: Addressee | None = None, anew: bool = False
) -> ShareDecision:
    """The decision that holds now: the same one while it is in force and what it was made on is unchanged, else a new.

    `addressee`: another way to the same recipient; left out, the way decided on as it is now. `anew`: make a new one
    whatever the old one says. Raises TextChanged, and NotFound when the way is gone.
    """
    decision = tx.get(ShareDecision, decision_id)
    if decision is None:
        raise NotFound()
    release = tx.get_one(Release, decision.release_id)
    check_text(tx, release, decision)
    addressee = addressee or addressee_of(tx, decision)
    inputs = gather(tx, release, addressee, now=now)
    same_way = (decision.contact_id, decision.channel_id) == (addressee.contact_id, addressee.channel_id)
    unchanged = same_way and decision.inputs_digest == inputs.digest() and decision.policy_version == POLICY_VERSION
    if unchanged and now < decision.valid_until and not anew:
        return decision
    return _record(tx, release, addressee, inputs, now=now, previous=decision)


def holds(tx: Session, decision_id: int, *, now: datetime) -> bool:
    """Whether this very decision is a permit in force, and everything it was made on is unchanged. Asks no rule, and
    writes nothing down."""
    decision = tx.get(ShareDecision, decision_id)
    if decision is None or decision.result != Result.PERMIT or now >= decision.valid_until:
        return False
    release = tx.get_one(Release, decision.release_id)
    try:
        check_text(tx, release, decision)
        inputs = gather(tx, release, addressee_of(tx, decision), now=now)
    except (TextChanged, NotFound, Erased):
        return False
    return decision.inputs_digest == inputs.digest()


def permits_now(tx: Session, decision_id: int, *, now: datetime) -> bool:
    """Whether the rules permit this text to this recipient now, asked without writing anything down."""
    said = says_now(tx, decision_id, now=now)
    return said is not None and said.result is Result.PERMIT


def says_now(tx: Session, decision_id: int, *, now: datetime) -> Decision | None:
    """What the rules say of this text to this recipient now; None where the text was altered or the way is gone."""
    decision = tx.get(ShareDecision, decision_id)
    if decision is None:
        return None
    release = tx.get_one(Release, decision.release_id)
    try:
        check_text(tx, release, decision)
        inputs = gather(tx, release, addressee_of(tx, decision), now=now)
    except (TextChanged, NotFound, Erased):
        return None
    return judge(inputs, now)


def check_text(tx: Session, release: Release, decision: ShareDecision) -> None:
    """Raises TextChanged unless the text as stored is the one the decision is bound to."""
    title, body = text_of(tx, release)
    if not digest_of(tx, release, title=title, body=body) == release.content_digest == decision.content_digest:
        raise TextChanged()


def settle_release(tx: Session, release: Release) -> None:
    """Work out the state of a release from the newest decision for each recipient and what people answered. One that
    was withdrawn stays so: what waited for a clearance is not answered any more, whatever becomes of the rest."""
    if release.state == "withdrawn":
        return
    refused = select(Approval.id).where(Approval.decision_id == ShareDecision.id, Approval.answer == "refuse").exists()
    query = select(ShareDecision.recipient, ShareDecision.result, refused.label("refused"))
    rows = tx.execute(query.where(ShareDecision.release_id == release.id).order_by(ShareDecision.id))
    results = {row.recipient: Result.DENY if row.refused else row.result for row in rows}.values()
    if Result.REFER in results:
        release.state = "awaiting-approval"
    else:
        release.state = "released" if Result.PERMIT in results else "refused"
    tx.flush()


def _record(
    tx: Session, release: Release, addressee: Addressee, inputs: Inputs, *, now: datetime,
    previous: ShareDecision | None,
) -> ShareDecision:  # fmt: skip
    said = judge(inputs, now)
    row = ShareDecision(
        release_id=release.id, incident_id=release.incident_id, recipient=addressee.recipient,
        contact_id=addressee.contact_id, channel_id=addressee.channel_id, channel_kind=addressee.channel_kind,
        result=said.result.value, reasons=list(said.reasons), obligations=list(said.obligations),
        effective_tlp=said.effective_tlp, agreement=said.agreement,
        agreement_version=inputs.versions.get(said.agreement) if said.agreement else None,
        agreement_problems={key: list(codes) for key, codes in said.agreement_problems.items()},
        purpose=release.purpose, content_digest=release.content_digest, inputs=inputs.to_json(),
        inputs_digest=inputs.digest(), policy_version=POLICY_VERSION, evaluated_at=now,
        valid_until=valid_until(inputs, now), requested_by=release.requested_by,
        previous_id=previous.id if previous else None, exercise=release.exercise,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    timeline.append(
        tx, "decision.made", _SENTENCES[said.result], actor=release.requested_by, incident=_incident(tx, release),
        values={
            "recipient": row.recipient, "channel": row.channel_kind, "result": row.result, "reasons": row.reasons,
            "agreement": row.agreement, "inputs_digest": row.inputs_digest, "policy_version": POLICY_VERSION,
            "valid_until": clock.rfc3339(row.valid_until), "release": release.id, "previous": row.previous_id,
        },
        about=("decision", row.id), exercise=release.exercise,
    )  # fmt: skip
    if said.result is Result.REFER:
        _wait_for_person(tx, release, row)
    return row


def _wait_for_person(tx: Session, release: Release, decision: ShareDecision) -> None:
    """Those who may answer are told; until then the incident is not closed over it."""
    timeline.pending(tx, "decision.referred", decision.id, exercise=release.exercise)
    incident = _incident(tx, release)
    if incident is not None and release.kind not in _NOT_HOLDING:
        lock_incident_row(tx, incident.id)
        text = f"A release to {decision.recipient} waits for a clearance"
        place_hold(tx, incident, kind=CLEARANCE, object_id=decision.id, text=text, blocks="close")


_SENTENCES = {
    Result.PERMIT: "The rules permit this release to this recipient.",
    Result.REFER: "The rules refer this release to a person.",
    Result.DENY: "The rules refuse this release to this recipient.",
}


def _incident(tx: Session, release: Release) -> Incident | None:
    return tx.get_one(Incident, release.incident_id) if release.incident_id is not None else None


def _with(parts: list[ItemVersion], more: Sequence[ItemVersion]) -> list[ItemVersion]:
    known = {part.id for part in parts}
    return [*parts, *(each for each in more if each.id not in known)]


def _chosen(
    tx: Session, incident: Incident, fields: Mapping[int, str] | None, facts: Mapping[str, Any] | None
) -> list[ItemVersion]:
    """What a person chose of what others said: all of it binds words written of the incident, and a text made of its
    parts alone is bound by what is among them."""
    if fields and (facts or {}).get(PARTS_ALONE):
        return chosen_from_others(tx, incident, set(fields.values()))
    return chosen_from_others(tx, incident)


def _may_ride(tx: Session, incident: Incident, parts: Sequence[ItemVersion]) -> bool:
    """Whether the incident's facts may go along in the envelope: those chosen from a source only with that source as a
    part, so that it is asked about."""
    return {each.id for each in chosen_from_others(tx, incident, ENVELOPE_FACTS)} <= {part.id for part in parts}


def _facts(
    incident: Incident | None, marking: Marking, now: datetime, names: Collection[str] = ENVELOPE
) -> dict[str, Any]:
    """noticed_at (RFC 3339) and states_affected for the envelope, fixed now: every attempt sends the same. The
    incident's own facts go along only with a text at least as strict as the incident, and those of `names` alone."""
    noticed, states = now, list[str]()
    if incident is not None and not incident.restricted and marking.effective >= parse_tlp(incident.tlp):
        if "noticed_at" in names:
            noticed = incident.noticed_at or incident.detected_at or now
        if "states_affected" in names:
            states = list(incident.states_affected)
    return {"noticed_at": clock.rfc3339(noticed), "states_affected": states}


def _item_version(tx: Session, given: int | ItemVersion, exercise: str) -> ItemVersion:
    version = given if isinstance(given, ItemVersion) else tx.get(ItemVersion, given)
    if version is None or version.exercise != exercise:
        raise NotFound()
    return version


def _check(kind: str, title: str, body: str, info_category: str) -> None:
    if kind not in KINDS:
        raise Invalid([Fault("/kind", f"Choose one of: {', '.join(KINDS)}.")])
    if find_secrecy(title, body) is not None:
        fault = Fault("", "The text bears a secrecy marking. Use the channels meant for classified material.")
        raise SecrecyMarkingFound([fault])
    faults = []
    if not title.strip() or len(title) > LONGEST_TITLE:
        faults.append(Fault("/title", f"Give a title of 1 to {LONGEST_TITLE} characters."))
    if not body.strip() or len(body) > LONGEST_BODY:
        faults.append(Fault("/body", f"Give a text of 1 to {LONGEST_BODY} characters."))
    if info_category not in INFO_CATEGORIES:
        faults.append(Fault("/info_category", f"Choose one of: {', '.join(INFO_CATEGORIES.codes)}."))
    if faults:
        raise Invalid(faults)
