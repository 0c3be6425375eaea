"""What the rows say now, in the words of the decision: whose the parts are, which agreements and consents there are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.models import User
from coordinator.accounts.rules import Role
from coordinator.agreements.queries import Givers, consents, decision_agreements_of, givers
from coordinator.errors import NotFound
from coordinator.incidents.items import called_otherwise, read_item
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.incidents.queries import originator_claimed
from coordinator.incidents.references import reference_of
from coordinator.markings import Marking, combine, parse_tlp
from coordinator.partners.models import Channel, Contact, Endpoint, Organisation
from coordinator.partners.queries import organisation_by_code, own_organisation
from coordinator.sharing import files, standing
from coordinator.sharing.addressees import PUBLIC, Addressee, one_name, to_contact, to_user
from coordinator.sharing.composed import Inputs, content_digest, part_name
from coordinator.sharing.fitting import Book
from coordinator.sharing.inputs import OWN, Agreement, Consent, Item, Recipient
from coordinator.sharing.inputs import Channel as ChannelInput
from coordinator.sharing.models import Approval, Recalled, Release, ReleaseItem, ShareDecision, StandingClearance
from coordinator.sharing.unnamed import is_withheld

#: Among the facts of a release: it tells what the incident is, and is bound as the incident.
OF_INCIDENT = "of_incident"
CLAIMED = "claimed:"
_NO_END = datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True)
class Whose:
    """Whose a part is: `items` what a consent to it may name, `originator_id` None = ours, `info_category` its own.
    `claimed`: somebody else said that it is theirs, and nobody of ours has confirmed it."""

    items: tuple[str, ...]
    originator_id: int | None
    info_category: str
    claimed: bool = False


@dataclass(frozen=True)
class Basis:
    """What every decision on a release is made on, whoever the recipient is; read once for all of them.

    `agreements`: for each party asked about, those in which it and we stand, with their versions, as a tuple and as the
    book of them. `approvals`: those that hold now, by recipient, each with the person it was given for ("" = anyone).
    """

    release: Release
    marking: Marking
    items: tuple[Item, ...]
    agreements: Mapping[str, tuple[tuple[Agreement, ...], Mapping[str, int], Book]]
    approvals: Mapping[str, Sequence[tuple[Approval, str]]]
    cleared: StandingClearance | None
    label_raised: bool
    recalled: frozenset[str] = frozenset()  # the recipients who were asked to delete it
    files: frozenset[str] = frozenset()  # as in Inputs
    givers: Givers = Givers()  # what agreements say of what originators told us
    source_named: frozenset[str] = frozenset()  # originators that it may name, though an agreement says not to


def basis_of(tx: Session, release: Release, parties: Iterable[str], *, now: datetime) -> Basis:
    """`parties`: recipients as in `Addressee.recipient`, those that will be asked about."""
    own, marking, parts = own_organisation(tx), Marking.from_json(release.marking), _parts(tx, release)
    others = any(each.originator_id not in (None, own.id) for each in parts)
    said = givers(tx, own=own.code, now=now) if others else Givers()
    items = tuple(_item(tx, whose, marking, release.exercise, own=own, said=said) for whose in parts)
    whose_name = {each.originator.removeprefix(CLAIMED) for each in items} & said.unnamed
    return Basis(
        release=release,
        marking=marking,
        items=items,
        givers=said,
        source_named=frozenset() if is_withheld(marking) else frozenset(whose_name),
        agreements=_agreements(tx, parties, own=own.code, now=now),
        approvals=_approvals(tx, release, now=now),
        cleared=_cleared_beforehand(tx, release, now=now),
        label_raised=label_raised(tx, release),
        files=files.facts_of(tx, release),
        recalled=frozenset(tx.execute(select(Recalled.recipient).where(Recalled.release_id == release.id)).scalars()),
    )


def gather(tx: Session, release: Release, addressee: Addressee, *, now: datetime, basis: Basis | None = None) -> Inputs:
    """Everything the decision on this release for this addressee is made on, as it stands now. `basis`: made in this
    transaction at `now`, where several are asked about."""
    basis = basis or basis_of(tx, release, [addressee.recipient], now=now)
    recipient = _recipient(tx, addressee, basis.marking)
    answers = _for_person(basis.approvals.get(addressee.recipient, ()), recipient.person or "")
    agreements, versions, _book = basis.agreements.get(addressee.recipient, _NO_AGREEMENTS)
    cleared = basis.cleared
    return Inputs(
        items=basis.items,
        recipient=recipient,
        purpose=release.purpose,
        agreements=agreements,
        versions=versions,
        requested_by=release.requested_by,
        approvals=frozenset(f"user:{answer.user_id}" for answer in answers) | _persons(cleared),
        approvals_end=(*(answer.until for answer in answers), *([cleared.until] if cleared else [])),
        content_digest=release.content_digest,
        way=way_of(tx, addressee),
        label_raised=basis.label_raised,
        recalled=addressee.recipient in basis.recalled,
        fixed_text=release.kind == standing.KIND,
        files=basis.files,
        source_named=bool(basis.source_named - {addressee.recipient}),
        must_name=bool({each.originator for each in basis.items} & basis.givers.named),
        legal_word=any(
            answer.role == Role.LEGAL_ADVISER and f"user:{answer.user_id}" != release.requested_by for answer in answers
        ),
    )


def basis_of_parts(basis: Basis, tx: Session, parts: Sequence[ItemVersion]) -> Basis:
    """As `basis`, of a text made of these parts alone: what the rules would say if only they were to go."""
    own, marking = own_organisation(tx), combine([Marking.from_json(part.marking) for part in parts])
    whose = [each for part in parts for each in _whose(tx, part)]
    return replace(
        basis, marking=marking, label_raised=False, source_named=frozenset(),
        items=tuple(_item(tx, each, marking, basis.release.exercise, own=own, said=basis.givers) for each in whose),
    )  # fmt: skip


def book_for(basis: Basis, addressee: Addressee) -> Book:
    """The agreements asked about this addressee, looked through once for all its ways."""
    return basis.agreements.get(addressee.recipient, _NO_AGREEMENTS)[2]


def _cleared_beforehand(tx: Session, release: Release, *, now: datetime) -> StandingClearance | None:
    if release.kind != standing.KIND:
        return None
    title, body = text_of(tx, release)
    return standing.covering(tx, release, title=title, body=body, now=now)


def _persons(cleared: StandingClearance | None) -> frozenset[str]:
    if cleared is None:
        return frozenset()
    return frozenset({f"user:{cleared.proposed_by}", f"user:{cleared.confirmed_by}"})


def as_the_incident(incident: Incident) -> tuple[Marking, int | None, int | None]:
    """The marking, originator and unconfirmed teller that bind whatever is said of an incident."""
    marking = combine([Marking.from_json(incident.marking), Marking(tlp=parse_tlp(incident.tlp))])
    return marking, incident.originator_id, incident.source_id if originator_claimed(incident) else None


def label_raised(tx: Session, release: Release) -> bool:
    """Whether what the text was made from is bound more strictly now than the text says, or another kind of
    information: its reader would be told a label that holds no more, or an agreement would not have it."""
    return bound_now(tx, release) != Marking.from_json(release.marking) or called_otherwise(tx, items_of(tx, release))


def bound_now(tx: Session, release: Release) -> Marking:
    """What the text says it is bound by, with what binds its parts by now. Joined names are not stricter."""
    said = Marking.from_json(release.marking)
    now = [Marking.from_json(marking) for marking in _newest_markings(tx, items_of(tx, release))]
    if release.facts.get(OF_INCIDENT) and release.incident_id is not None:
        now.append(as_the_incident(tx.get_one(Incident, release.incident_id))[0])
    return replace(combine([said, *now]), community=said.community, pd_basis=said.pd_basis) if now else said


def _newest_markings(tx: Session, parts: Sequence[ItemVersion]) -> list[dict[str, Any]]:
    if not parts:
        return []
    newest = select(func.max(ItemVersion.id)).where(ItemVersion.item.in_({part.item for part in parts}))
    query = select(ItemVersion.marking).where(ItemVersion.id.in_(newest.group_by(ItemVersion.item)))
    return list(tx.execute(query).scalars())


def way_of(tx: Session, addressee: Addressee) -> str:
    """A digest of the address something would go to, so that a change of it is seen and the address is not repeated."""
    if addressee.user_id is not None:
        said = tx.get_one(User, addressee.user_id).email
    elif addressee.channel_id is not None:
        channel = tx.get_one(Channel, addressee.channel_id)
        endpoint = tx.get(Endpoint, channel.endpoint_id) if channel.endpoint_id else None
        said = endpoint.url if endpoint is not None else channel.address or channel.number
        said += f"\0{channel.pgp_key}" if channel.pgp_key else ""
    else:
        said = ""
    return hashlib.sha256(f"{addressee.channel_kind}\0{said}".encode()).hexdigest()[:32] if said else ""


def standing_approvals(
    tx: Session, release: Release, recipient: str, *, person: str = "", now: datetime
) -> list[Approval]:
    """Approvals that hold now: of this very text, for this recipient (and this person, where it is one), not voided,
    not run out. One given for another release or another recipient counts for nothing here, nor one whose giver's
    account is suspended: nobody knows who gave it."""
    return _for_person(_approvals(tx, release, now=now).get(recipient, ()), person)


def _approvals(tx: Session, release: Release, *, now: datetime) -> dict[str, list[tuple[Approval, str]]]:
    query = (
        select(Approval, ShareDecision.recipient, ShareDecision.inputs)
        .join(ShareDecision, ShareDecision.id == Approval.decision_id)
        .join(User, User.id == Approval.user_id)
        .where(
            ShareDecision.release_id == release.id,
            User.state != "suspended",
            Approval.content_digest == release.content_digest,
            Approval.answer == "approve",
            Approval.voided_at.is_(None),
        )
        .order_by(Approval.id)
    )
    found: dict[str, list[tuple[Approval, str]]] = {}
    for answer, recipient, inputs in tx.execute(query):
        if answer.at <= now < answer.until:
            found.setdefault(recipient, []).append((answer, inputs["recipient"].get("person", "")))
    return found


def _for_person(answers: Sequence[tuple[Approval, str]], person: str) -> list[Approval]:
    return [answer for answer, given_for in answers if given_for in ("", person)]


def addressee_of(tx: Session, decision: ShareDecision) -> Addressee:
    """The addressee of a decision as the world knows it now. Raises NotFound when user, contact or channel are gone."""
    if decision.recipient.startswith("user:"):
        user = tx.get(User, int(decision.recipient.removeprefix("user:")))
        if user is None:
            raise NotFound()
        return to_user(user, exercise=decision.exercise)
    organisation = organisation_by_code(tx, decision.recipient)
    if decision.contact_id is None or decision.channel_id is None:
        return _without_contact(decision, organisation)
    contact, channel = tx.get(Contact, decision.contact_id), tx.get(Channel, decision.channel_id)
    if organisation is None or contact is None or channel is None:
        raise NotFound()
    release = tx.get_one(Release, decision.release_id)
    label = Marking.from_json(release.marking).effective
    return to_contact(tx, contact, channel, organisation=organisation, tlp=label, now=clock.now())


def text_of(tx: Session, release: Release) -> tuple[str, str]:
    """Title and body of a release. Raises Erased when they were erased."""
    title, body = (tx.get_one(ItemVersion, key) for key in (release.title_version_id, release.body_version_id))
    return str(read_item(tx, title)), str(read_item(tx, body))


def digest_of(tx: Session, release: Release, *, title: str, body: str) -> str:
    """The content digest as the stored rows make it now. Anything but `release.content_digest`: they were altered."""
    return content_digest(
        kind=release.kind, title=title, body=body, marking=Marking.from_json(release.marking), purpose=release.purpose,
        reply_by=clock.rfc3339(release.reply_by) if release.reply_by else None, language=release.language,
        exercise=release.exercise, items=_named_parts(tx, release),
    )  # fmt: skip


def _named_parts(tx: Session, release: Release) -> list[str]:
    query = select(ItemVersion.id, ItemVersion.item, ItemVersion.version, ReleaseItem.enclosed).join(
        ReleaseItem, ReleaseItem.item_version_id == ItemVersion.id
    )
    rows = list(tx.execute(query.where(ReleaseItem.release_id == release.id)))
    bytes_of = files.digests_of(tx, release)
    return [
        part_name(row.item, row.version, enclosed=row.enclosed, file=bytes_of.get(row.id, "")) for row in rows
    ]


def items_of(tx: Session, release: Release) -> list[ItemVersion]:
    """The item versions a release was composed from, oldest first."""
    query = select(ItemVersion).join(ReleaseItem, ReleaseItem.item_version_id == ItemVersion.id)
    return list(tx.execute(query.where(ReleaseItem.release_id == release.id).order_by(ItemVersion.id)).scalars())


def _parts(tx: Session, release: Release) -> list[Whose]:
    """The text itself, then what it was composed from; a part that somebody told us as another's counts as both's.

    A consent to a part is one to the text made from it: any other part of the same originator is asked about itself.
    """
    title, made_from = tx.get_one(ItemVersion, release.title_version_id), items_of(tx, release)
    named = [title.item, *(part.item for part in made_from if part.originator_id == release.originator_id)]
    if release.facts.get(OF_INCIDENT):
        named = [title.item]  # it says more than its parts
    where = _incident_reference(tx, release.incident_id)
    parts = _claim(Whose((*named, *where), release.originator_id, release.info_category), title.source_id)
    for version in made_from:
        parts += _whose(tx, version)
    return parts


def _whose(tx: Session, version: ItemVersion) -> list[Whose]:
    where = _incident_reference(tx, version.incident_id)
    return _claim(Whose((version.item, *where), version.originator_id, version.info_category), version.source_id)


def _incident_reference(tx: Session, incident_id: int | None) -> tuple[str, ...]:
    """What a consent to all that an originator told in one incident names."""
    return (reference_of(tx.get_one(Incident, incident_id)),) if incident_id is not None else ()


def _claim(whose: Whose, source_id: int | None) -> list[Whose]:
    if source_id is None or source_id == whose.originator_id:
        return [whose]
    return [replace(whose, claimed=True), replace(whose, originator_id=source_id)]


def _item(
    tx: Session, whose: Whose, marking: Marking, exercise: str, *, own: Organisation, said: Givers
) -> Item:
    originator, given = OWN, list[Consent]()
    if whose.originator_id not in (None, own.id):
        originator = tx.get_one(Organisation, whose.originator_id).code
        given = [
            Consent(to=each["to"], purpose=each["purpose"], valid_until=each["valid_until"] or _NO_END)
            for each in consents(tx, originator_id=whose.originator_id, items=whose.items)
        ]
        if originator in said.guarded:  # an agreement's third-party rule is originator control of what they tell us
            marking = replace(marking, orcon=True)
        if originator in said.unnamed:
            marking = replace(marking, no_attribution=True)
        if whose.claimed:  # sending it to whom it is said to come from is no way back until that is confirmed
            originator = f"{CLAIMED}{originator}"
    return Item.from_marking(
        _ours_as_own(marking, own.code), info_category=whose.info_category, originator=originator,
        exercise=exercise or None, consents=given,
    )  # fmt: skip


def _ours_as_own(marking: Marking, code: str) -> Marking:
    """Lists of parties with our own code written as the decision writes it."""

    def translated(codes: frozenset[str]) -> frozenset[str]:
        return frozenset(OWN if each == code else each for each in codes)

    return replace(
        marking, rel_to=None if marking.rel_to is None else translated(marking.rel_to),
        not_rel_to=translated(marking.not_rel_to), embargo_set=translated(marking.embargo_set),
    )  # fmt: skip


def _recipient(tx: Session, addressee: Addressee, marking: Marking) -> Recipient:
    contact = tx.get(Contact, addressee.contact_id) if addressee.contact_id else None
    person = one_name(addressee.person, contact.code if contact else "", marking.named_recipients)
    kind = "public" if addressee.recipient == PUBLIC else "person" if person else "org"
    return Recipient(
        party=OWN if addressee.user_id is not None else addressee.recipient,
        type=kind,
        person=person or None,
        communities=frozenset(addressee.communities),
        client_of_own=addressee.client_of_own,
        poc_fresh=addressee.poc_fresh,
        channel=ChannelInput(
            kind=addressee.channel_kind, encrypted=addressee.encrypted, exercise=addressee.exercise or None
        ),
    )


@lru_cache(maxsize=2048)
def _read_agreement(terms: str) -> Agreement:
    """The same terms are read once a process, strictly; other terms are another text."""
    return Agreement.from_json(json.loads(terms))


def _agreements(
    tx: Session, parties: Iterable[str], *, own: str, now: datetime
) -> dict[str, tuple[tuple[Agreement, ...], dict[str, int], Book]]:
    wanted = [party for party in parties if party != PUBLIC and not party.startswith("user:")]
    if not wanted:
        return {}
    stand = decision_agreements_of(tx, wanted, own=own, now=now)
    terms = {each["id"]: each for several in stand.values() for each, _ in several}
    read = {key: _read_agreement(json.dumps(each)) for key, each in terms.items()}
    found = {}
    for party, several in stand.items():
        agreements = tuple(read[each["id"]] for each, _ in several)
        found[party] = (agreements, {each["id"]: version for each, version in several}, Book(agreements))
    return found


_NO_AGREEMENTS: tuple[tuple[Agreement, ...], Mapping[str, int], Book] = ((), {}, Book(()))


def _without_contact(decision: ShareDecision, organisation: Organisation | None) -> Addressee:
    """A partner's system, or the public: what was decided on is all there is to know, but for the organisation."""
    said = decision.inputs["recipient"]
    return Addressee(
        recipient=decision.recipient, organisation_id=organisation.id if organisation else None,
        channel_kind=decision.channel_kind, encrypted=said["channel"].get("encrypted", False),
        exercise=decision.exercise, communities=tuple(organisation.communities) if organisation else (),
        client_of_own=organisation.client_of_own if organisation else False,
    )  # fmt: skip
