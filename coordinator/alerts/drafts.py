"""The release desk: a text is drafted from items, put to the rules for every partner, and only then submitted.

A draft is a release that nobody was asked about yet. Its text and parts are fixed when it is drafted, as those of any
release: to change a word is to draft anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.alerts import pieces, versions
from coordinator.alerts.desk import held, record
from coordinator.alerts.reach import who_could_receive
from coordinator.alerts.telling import THREADED, Told, asked_of, decide_and_raise, said_before
from coordinator.errors import Fault, Invalid, NotFound, Refused, SecrecyMarkingFound
from coordinator.incidents.items import with_basis
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.markings import Marking, find_secrecy, parse_tlp
from coordinator.sharing.files import ATTACHMENT
from coordinator.sharing.inputs_from_world import digest_of, text_of
from coordinator.sharing.models import Release
from coordinator.sharing.parts import FACTS
from coordinator.sharing.service import ENVELOPE, TextChanged, prepare_release

DRAFT = "draft"
#: Kinds that a person drafts. A recall is asked for where the thing is, and has a text of its own.
KINDS = tuple(kind for kind in ("initial", *THREADED) if kind != "recall")
LONGEST_ASKS = 2000


def draft(
    tx: Session,
    *,
    incident: Incident,
    principal: Principal,
    kind: str,
    title: str,
    body: str,
    purpose: str,
    info_category: str,
    items: Sequence[int] = (),
    marking: Marking | None = None,
    of_incident: bool = False,
    reply_by: datetime | None = None,
    language: str = "en",
    ack: str | None = None,
    enclosed: Sequence[int] = (),
    facts: Sequence[str] | None = None,
    asks: str = "",
    uncleaned: Mapping[int, str] | None = None,
) -> Release:
    """Write a draft of a release on this incident. `items`: the item versions it is made from; without a text of its
    own (`body` empty) it is what they say, one after the other. `enclosed`: item versions whose indicators go along, in
    the forms that can carry them; one that is not among `items` binds what leaves and nothing of the text is from it.
    `facts`: which facts of the incident it says (parts.FACTS); None: none in words, and what the envelope of an event
    has room for. `asks`: what is asked of the reader. A file goes along where it is enclosed. `marking`, `of_incident`,
    `uncleaned`: as `prepare_release`.

    An update, correction or closure follows the version that each recipient has had (versions.follow).
    Raises Invalid, SecrecyMarkingFound, and NotFound where an item is none of this incident.
    """
    title, body, asks = title.strip(), body.strip(), asks.strip()
    said = [each for each in items if each not in enclosed or _part(tx, incident, each).kind != ATTACHMENT]
    parts, items = [_part(tx, incident, each) for each in said], said
    more = [_part(tx, incident, each) for each in enclosed if each not in items]
    _check(facts or (), title, asks)
    of_incident = of_incident or (marking is None and not parts)
    made = pieces.write(
        tx, incident, title=title, body=body, asks=asks, facts=facts or (), items=parts, enclosed=more,
        marking=marking, of_incident=of_incident, info_category=info_category, author=principal.actor,
    )  # fmt: skip
    asked = asked_of(kind, ack)
    release = prepare_release(
        tx, kind=kind, title=title, body=pieces.text_of_parts(tx, made.versions, made.fields), purpose=purpose,
        info_category=info_category, requested_by=principal.actor, incident=incident, marking=marking,
        items=made.versions, fields=made.fields, reply_by=reply_by, language=language,
        in_reply_to=said_before(tx, incident, kind), ack=asked.ack, ladder=asked.ladder,
        of_incident=of_incident or bool(facts), enclosed=enclosed, uncleaned=uncleaned,
        envelope=ENVELOPE if facts is None else [name for name in ENVELOPE if name in facts],
        facts={} if of_incident else {pieces.OWN_WORDS: True},
    )  # fmt: skip
    release.state = DRAFT
    tx.flush()
    record(tx, release, "release.drafted", "A release was drafted.", principal.actor, {
        "kind": kind, "purpose": purpose, "parts": [f"{part.item}@{part.version}" for part in [*parts, *more]],
        "facts": list(facts or ()), "content_digest": release.content_digest,
    })  # fmt: skip
    if kind in THREADED:
        versions.follow(tx, release, principal=principal)
    return release


def declared(
    tlp: str | None, *, personal_data: bool = False, pd_basis: str = "", pd_delete_by: datetime | None = None
) -> Marking | None:
    """The marking that the author of a text gives it; None where none is said. Raises Invalid (/tlp): what holds
    personal data says its label too."""
    if tlp is None and (personal_data or pd_basis.strip() or pd_delete_by):
        raise Invalid([Fault("/tlp", "Choose the label of the text too, where it holds personal data.")])
    if tlp is None:
        return None
    return with_basis(Marking(tlp=parse_tlp(tlp), personal_data=personal_data), pd_basis, pd_delete_by)


def submit(tx: Session, release_id: int, *, codes: Iterable[str], principal: Principal) -> Told:
    """Ask for the release of a draft to these organisations: decided for each on record, sent where it is permitted.

    Who has a version of its own is asked about that one, and gets no other. Only whoever drafted it: the second person
    must not be the one who asked (I15). Raises NotFound, Invalid (/recipients), Refused (somebody else's, a version, or
    no draft any more), TextChanged.
    """
    release = held(tx, release_id, principal)
    if release.state != DRAFT:
        raise Refused("This was submitted or withdrawn already: look at what became of it.")
    if release.requested_by != principal.actor:
        raise Refused("Somebody else drafted this: ask them to submit it, or draft your own.")
    if versions.row_of(tx, release) is not None:
        raise Refused("This is a version for some recipients: submit the draft it belongs to.")
    wanted = list(dict.fromkeys(codes))
    if not wanted:
        raise Invalid([Fault("/recipients", "Choose at least one recipient.")])
    told = []
    for row, whose in versions.divided(tx, release, wanted):
        if whose:
            told.append(_submit(tx, row, whose, principal))
        else:
            row.state = "withdrawn"  # it is for nobody among those chosen
    tx.flush()
    return Told(
        release, *(tuple(each for one in told for each in getattr(one, name)) for name in Told.__dataclass_fields__
                   if name != "release")
    )  # fmt: skip


def _submit(tx: Session, release: Release, wanted: Sequence[str], principal: Principal) -> Told:
    title, body = text_of(tx, release)
    if digest_of(tx, release, title=title, body=body) != release.content_digest:
        raise TextChanged()
    found = {each.organisation.code: each for each in who_could_receive(tx, release, now=clock.now(), codes=wanted)}
    addressees = [found[code].addressee for code in wanted if code in found]
    if len(addressees) != len(wanted) or None in addressees:
        raise Invalid([Fault("/recipients", "Choose among the partners shown: one of these cannot be reached.")])
    release.state = "evaluated"
    tx.flush()
    record(tx, release, "release.submitted", "A release was submitted.", principal.actor, {"recipients": list(wanted)})
    return decide_and_raise(tx, release, [each for each in addressees if each is not None])


def discard(tx: Session, release_id: int, *, principal: Principal) -> Release:
    """A draft is not wanted any more. Raises NotFound, Refused."""
    release = held(tx, release_id, principal)
    if release.state != DRAFT:
        raise Refused("This is no draft any more: what waits or was sent is withdrawn for itself.")
    for row, _whose in versions.divided(tx, release, ()):
        row.state = "withdrawn"
    tx.flush()
    record(tx, release, "release.withdrawn", "A draft of a release was discarded.", principal.actor, {})
    return release


def _part(tx: Session, incident: Incident, version_id: int) -> ItemVersion:
    version = tx.get(ItemVersion, version_id)
    if version is None or version.incident_id != incident.id:
        raise NotFound()
    return version


def _check(facts: Iterable[str], title: str, asks: str) -> None:
    faults = [] if set(facts) <= set(FACTS) else [Fault("/facts", f"Choose among: {', '.join(FACTS)}.")]
    if not title:  # a part has to say something; the release says the rest of what is wrong
        faults.append(Fault("/title", "Give a title."))
    if len(asks) > LONGEST_ASKS:
        faults.append(Fault("/asks", f"Give at most {LONGEST_ASKS} characters."))
    if find_secrecy(title, asks) is not None:
        raise SecrecyMarkingFound([Fault("", "The text bears a secrecy marking.")])
    if faults:
        raise Invalid(faults)
