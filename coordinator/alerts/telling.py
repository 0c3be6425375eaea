"""Telling partners: the one way in which alerts come about, and what becomes of one that is raised.

`tell` prepares the text, asks the rules for each recipient, and raises an alert where they permit; where they refer it
waits for a person, where they refuse it stays on record. Sending is the worker's (sending.py, workers/deliver.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.alerts import rungs, service_calls
from coordinator.alerts.audience import Unreachable, find
from coordinator.alerts.ladder import DEFAULT_LADDER
from coordinator.alerts.models import Alert, Delivery
from coordinator.alerts.plan import plan_of
from coordinator.alerts.versions import withheld_so_far
from coordinator.errors import Fault, Invalid, Refused
from coordinator.incidents.holds import lock_incident_row, place_hold
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.incidents.references import new_public_id, partner_reference, reference_of
from coordinator.markings import Marking, parse_tlp
from coordinator.sharing.addressees import PUBLIC, Addressee
from coordinator.sharing.inputs_from_world import Basis, addressee_of, basis_of
from coordinator.sharing.models import Release, ShareDecision
from coordinator.sharing.parts import ORIGINATOR
from coordinator.sharing.rules import Result, preferred
from coordinator.sharing.service import (
    TextChanged,
    decide_share,
    forecast,
    prepare_release,
    redecide,
    settle_release,
)

#: Which acknowledgement a kind asks for when nothing is said, and kinds that go to everyone told so far by themselves.
ASKS = {"initial": "system", "correction": "system", "recall": "person", "request": "person", "check": "person",
        "call-our-desk": "person"}
THREADED = ("update", "correction", "closure", "recall")
#: What whoever holds something of a case should hear of, though it was a system that got it.
HELD_BY_SYSTEMS = ("update", "closure")
#: Kinds that keep an incident from being closed while they are under way.
HOLDING = ("initial", "update", "correction", "recall", "request", "call-our-desk")


@dataclass(frozen=True)
class Told:
    """What came of telling: alerts under way, decisions that wait for a person, decisions that refuse, and who could
    not be reached at all."""

    release: Release
    permitted: tuple[Alert, ...]
    referred: tuple[ShareDecision, ...]
    denied: tuple[ShareDecision, ...]
    unreachable: tuple[Unreachable, ...]


class Asked(NamedTuple):
    """Which answer is asked for, and what follows while there is none."""

    ack: str
    ladder: Sequence[dict[str, Any]]


def asked_of(kind: str, ack: str | None) -> Asked:
    """`ack` None: as this kind asks for by itself."""
    asked = ASKS.get(kind, "") if ack is None else ack
    return Asked(asked, DEFAULT_LADDER if asked else ())


def tell(
    tx: Session,
    *,
    incident: Incident | None,
    kind: str,
    title: str,
    body: str,
    purpose: str,
    info_category: str,
    requested_by: str,
    audience: Mapping[str, Any] | None = None,
    addressees: Sequence[Addressee] | None = None,
    marking: Marking | None = None,
    items: Iterable[int | ItemVersion] = (),
    originator_id: int | None = None,
    reply_by: datetime | None = None,
    language: str = "en",
    in_reply_to: Release | None = None,
    ack: str | None = None,
    ladder: Sequence[dict[str, Any]] | None = None,
    exercise: str = "",
    tlp_max: str = "",
    facts: dict[str, Any] | None = None,
    of_incident: bool = False,
    enclosed: Collection[int] = (),
    unnamed: bool = False,
) -> Told:
    """Tell somebody something. One of `audience` and `addressees`; an update, correction, closure or recall without
    either goes to everyone told so far. `tlp_max`: refuse a text above this label. The rest as `prepare_release`.

    Raises Invalid, SecrecyMarkingFound, NotFound, and Refused where the text is above `tlp_max`, or is called a recall
    and recalls nothing (recalls.py does).
    """
    if kind == "recall" and "recall" not in (facts or {}):
        raise Refused("Recall the alert or the part itself: a text alone asks nothing back.")
    if audience is None and addressees is None:
        if kind not in THREADED:
            raise Invalid([Fault("/audience", "Say who is to be told.")])
        audience = {"told": True}
    if incident is not None:
        lock_incident_row(tx, incident.id)
    asked = asked_of(kind, ack)
    release = prepare_release(
        tx, kind=kind, title=title, body=body, purpose=purpose, info_category=info_category, requested_by=requested_by,
        incident=incident, marking=marking, items=items, originator_id=originator_id, reply_by=reply_by,
        language=language, in_reply_to=in_reply_to or said_before(tx, incident, kind), ack=asked.ack,
        ladder=asked.ladder if ladder is None else ladder, exercise=exercise, facts=facts,
        of_incident=of_incident, enclosed=enclosed,
        unnamed=unnamed or _withheld_before(tx, incident, kind),
    )  # fmt: skip
    label = Marking.from_json(release.marking).effective
    if tlp_max and label > parse_tlp(tlp_max):
        raise Refused(f"The text is {label.label}, and at most TLP:{tlp_max} may be told here.")
    found, unreachable = list(addressees or ()), tuple[Unreachable, ...]()
    if audience is not None:
        resolved = find(tx, audience, incident=incident, exercise=release.exercise, tlp=label)
        basis = basis_of(tx, release, {each.recipient for each in resolved.addressees}, now=clock.now())
        best = [first_permitted(tx, release, each, resolved.others, basis) for each in resolved.addressees]
        found, unreachable = [*found, *best], resolved.unreachable
    if audience is not None and audience.get("told") and incident is not None and kind in HELD_BY_SYSTEMS:
        service_calls.ask_a_person(
            tx, incident, service_calls.holders(tx, incident.id),
            title="Tell {code}, whose system was given something, what is new",
            why="What was sent to everybody told so far did not go there by that.",
        )  # fmt: skip
    return decide_and_raise(tx, release, found, unreachable)


def _withheld_before(tx: Session, incident: Incident | None, kind: str) -> bool:
    """Whether the source was withheld from somebody this text follows to: then it is from all, for it is one text."""
    if incident is None or kind not in THREADED:
        return False
    return any(ORIGINATOR in names for names in withheld_so_far(tx, incident.id).values())


def first_permitted(
    tx: Session, release: Release, best: Addressee, others: Sequence[Addressee], basis: Basis
) -> Addressee:
    """The best way to a party that the rules let through, else that a person may clear, else the best there is."""
    ways = [best, *(other for other in others if other.recipient == best.recipient)]
    return ways[preferred(forecast(tx, release, each, basis=basis).result for each in ways)]


def decide_and_raise(
    tx: Session, release: Release, addressees: Sequence[Addressee], unreachable: tuple[Unreachable, ...] = ()
) -> Told:
    """Decide for each addressee, on record; raise the alerts that are permitted, and settle the release."""
    alerts, referred, denied = [], [], []
    basis = basis_of(tx, release, {each.recipient for each in addressees}, now=clock.now())
    for addressee in addressees:
        decision = decide_share(tx, release, addressee, basis=basis)
        if decision.result == Result.PERMIT:
            alerts.append(raise_alert(tx, decision, release=release, addressee=addressee, basis=basis))
        elif decision.result == Result.REFER:
            referred.append(decision)
        else:
            denied.append(decision)
    settle_release(tx, release)
    return Told(release, tuple(alerts), tuple(referred), tuple(denied), unreachable)


def raise_alert(
    tx: Session, decision: ShareDecision, *, release: Release, addressee: Addressee, basis: Basis | None = None
) -> Alert:
    """Put one permitted release on its way to one recipient. Raises Refused without a permit for exactly that (R01);
    the database refuses it as well."""
    if decision.result != Result.PERMIT or decision.release_id != release.id:
        raise Refused("There is no permit for this: nothing leaves without one.")
    if decision.recipient != addressee.recipient or decision.content_digest != release.content_digest:
        raise Refused("The permit is for another recipient or another text.")
    incident = tx.get_one(Incident, release.incident_id) if release.incident_id is not None else None
    now = clock.now()
    alert = Alert(
        release_id=release.id, incident_id=release.incident_id, kind=release.kind, recipient=addressee.recipient,
        organisation_id=addressee.organisation_id, contact_id=addressee.contact_id, user_id=addressee.user_id,
        decision_id=decision.id, content_digest=release.content_digest, public_id=new_public_id("alr"),
        partner_reference=_reference(tx, incident, addressee), in_reply_to_id=_thread(tx, release, addressee.recipient),
        ack=release.ack, reply_by=release.reply_by, created_at=now, exercise=release.exercise,
        plan=plan_of(tx, release, addressee, basis=basis),
    )  # fmt: skip
    tx.add(alert)
    tx.flush()
    timeline.append(
        tx, "alert.raised", "An alert was raised.", actor=release.requested_by, incident=incident,
        values={"recipient": alert.recipient, "kind": alert.kind, "decision": decision.id, "alert": alert.public_id,
                "channel": addressee.channel_kind, "plan": alert.plan},
        about=("alert", alert.id), exercise=alert.exercise,
    )  # fmt: skip
    if incident is not None and alert.kind in HOLDING and alert.user_id is None:
        text = f"An alert to {alert.recipient} is under way" + (" and not acknowledged" if alert.ack else "")
        place_hold(tx, incident, kind="alert", object_id=alert.id, text=text, blocks="close")
    rungs.begin(tx, alert, addressee, decision)
    rungs.set_timer(tx, alert, release)
    return alert


def raise_approved(tx: Session, decision_id: int) -> Alert | None:
    """What follows when a person's approval made a permit: the waiting alert is raised, or the one that was withheld is
    on its way again. None where the alert was answered or withdrawn meanwhile, or the release before there was one, or
    the permit holds no more."""
    decision = _as_it_holds(tx, decision_id)
    if decision.result != Result.PERMIT:
        settle_release(tx, tx.get_one(Release, decision.release_id))
        return None
    release = tx.get_one(Release, decision.release_id)
    if decision.recipient == PUBLIC:  # a person publishes, never a machine
        return None
    query = select(Alert).where(Alert.release_id == release.id, Alert.recipient == decision.recipient)
    alert = tx.execute(query).scalar_one_or_none()
    if alert is None:
        if release.state == "withdrawn":
            return None
        return raise_alert(tx, decision, release=release, addressee=addressee_of(tx, decision))
    waiting = select(Delivery).where(Delivery.alert_id == alert.id, Delivery.state == "withheld")
    delivery = tx.execute(waiting.order_by(Delivery.rung.desc())).scalars().first()
    if delivery is None or alert.state in ("withdrawn", "acknowledged"):
        return None
    rungs.requeue(tx, alert, delivery)
    return alert


def _as_it_holds(tx: Session, decision_id: int) -> ShareDecision:
    """The decision made anew where its time is over or what it was made on has changed. A text that was changed is left
    to the worker, which holds it back and says so to a person."""
    try:
        return redecide(tx, decision_id, now=clock.now())
    except TextChanged:
        return tx.get_one(ShareDecision, decision_id)


def _reference(tx: Session, incident: Incident | None, addressee: Addressee) -> str:
    """The reference the reader sees: made for that partner, or ours for our own people (unless it is restricted)."""
    if incident is None:
        return ""
    if addressee.organisation_id is not None:
        return partner_reference(tx, incident, addressee.organisation_id)
    return "" if incident.restricted else reference_of(incident)


def said_before(tx: Session, incident: Incident | None, kind: str) -> Release | None:
    """The release an update, correction, closure or recall follows: the newest one on this incident that was put to the
    rules; a draft told nobody anything."""
    if incident is None or kind not in THREADED:
        return None
    query = select(Release).where(
        Release.incident_id == incident.id, Release.kind.in_(("initial", "update", "correction")),
        exists().where(ShareDecision.release_id == Release.id),
    )  # fmt: skip
    return tx.execute(query.order_by(Release.id.desc())).scalars().first()


def _thread(tx: Session, release: Release, recipient: str) -> int | None:
    """The alert to the same recipient that this one follows: the one of the text it replies to, where they had it; the
    facts follow the request to call our desk."""
    if release.in_reply_to_id is not None:
        exactly = select(Alert.id).where(Alert.release_id == release.in_reply_to_id, Alert.recipient == recipient)
        found = tx.execute(exactly).scalar_one_or_none()
        if found is not None:
            return found
    if release.kind == "initial" and release.in_reply_to_id is None:
        kinds: tuple[str, ...] = ("call-our-desk",)
    elif release.kind in THREADED or release.in_reply_to_id is not None:
        kinds = ("initial", "update", "correction", "recall", "call-our-desk")
    else:
        return None
    query = select(Alert.id).where(
        Alert.incident_id == release.incident_id, Alert.recipient == recipient, Alert.release_id != release.id,
        Alert.kind.in_(kinds),
    )  # fmt: skip
    return tx.execute(query.order_by(Alert.id.desc())).scalars().first()
