"""What leaves for one delivery: the event for a partner's system, the letter for a mailbox, the script for a call.

An event is the same on every attempt, because a careful receiver refuses the same message id with other bytes: all of
it comes from what was fixed when the alert was raised.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.alerts.ladder import Way
from coordinator.alerts.models import Alert, Delivery
from coordinator.alerts.rungs import ack_token, deliveries_of, sign_in_token
from coordinator.alerts.wording import INVITED, NOTICE, Letter, Said, Waiting, call_script, letter
from coordinator.incidents.models import Incident
from coordinator.incidents.references import reference_of
from coordinator.markings import Marking
from coordinator.partners.models import Channel, Organisation
from coordinator.partners.queries import own_organisation
from coordinator.sharing.composed import handling
from coordinator.sharing.files import files_of
from coordinator.sharing.inputs_from_world import text_of
from coordinator.sharing.models import Release, ReleaseFile, ShareDecision
from coordinator.store import store_of
from coordinator.timeline.models import Checkpoint
from coordinator.vocabulary import PURPOSES

#: The types of contract §2. A call to our desk reads as a first alert to other systems, a request for their consent as
#: an update of what they told us.
EVENT_TYPES = {
    "receipt": "coordination.alert.receipt",
    "initial": "coordination.alert.initial",
    "update": "coordination.alert.update",
    "correction": "coordination.alert.correction",
    "closure": "coordination.alert.closure",
    "recall": "coordination.alert.recall",
    "request": "coordination.alert.update",
    "call-our-desk": "coordination.alert.initial",
    "check": "coordination.check.ping",
    "contact-change": "coordination.check.ping",
}


@dataclass(frozen=True, kw_only=True)
class Event:
    """One CloudEvent without its envelope."""

    type: str
    source: str
    id: str
    time: datetime
    data: dict[str, Any]


def event_for(tx: Session, alert: Alert, delivery: Delivery) -> Event:
    """What a partner's system receives. `handling` are the obligations of the decision the alert was raised on."""
    release = tx.get_one(Release, alert.release_id)
    decision = tx.get_one(ShareDecision, alert.decision_id)
    title, body = text_of(tx, release)
    marking, event_type = Marking.from_json(release.marking), EVENT_TYPES[release.kind]
    base_url, token = store_of(tx).settings.base_url, ack_token(tx, delivery)
    return Event(
        type=event_type, source=base_url, id=delivery.webhook_id, time=delivery.created_at,
        data={
            "alert": alert.public_id, "reference": alert.partner_reference or None,
            "kind": "check" if event_type.startswith("coordination.check.") else event_type.rsplit(".", 1)[1],
            "in_reply_to": _in_reply_to(tx, alert, release), "title": title, "body": body,
            "tlp": decision.effective_tlp, "pap": marking.pap.value if marking.pap else None,
            "iep": marking.policy_told.to_json() or None if marking.policy_told else None,
            "purpose": release.purpose, "handling": list(decision.obligations),
            "originator": _originator(tx, release, decision), "noticed_at": release.facts.get("noticed_at"),
            "states_affected": release.facts.get("states_affected") or None, "reply_by": release.reply_by,
            "acknowledge_url": f"{base_url}/a/{token}",
            "acknowledge_api": f"{base_url}/api/v1/acknowledgements/{token}",
            "exercise": release.exercise or None, "language": release.language,
            "checkpoint": _checkpoint(tx, delivery.created_at),
            "files": [
                {"name": each.name, "media_type": each.media_type, "size": each.size, "sha256": each.sha256, "url": url}
                for each, url in released_files(tx, alert)
            ] or None,
        },
    )  # fmt: skip


def letter_for(tx: Session, alert: Alert, delivery: Delivery) -> tuple[Letter, list[str]]:
    """The mail, and the message ids of the mails it follows, oldest first."""
    said = said_in(tx, alert, delivery)
    return letter(said), _mails_before(tx, alert, delivery)


def script_for(tx: Session, alert: Alert) -> str:
    """What is to be read out on the phone: the cleared text and nothing else."""
    return call_script(said_in(tx, alert, None))


def said_in(tx: Session, alert: Alert, delivery: Delivery | None) -> Said:
    """Everything the words around a text are made from."""
    release = tx.get_one(Release, alert.release_id)
    title, body = text_of(tx, release)
    marking = Marking.from_json(release.marking)
    return Said(
        kind=release.kind, tlp=marking.effective, pap=marking.pap.value if marking.pap else "", title=title, body=body,
        reference=alert.partner_reference, link=_link(tx, alert, delivery) if delivery is not None else "",
        handling=tuple(handling(marking)), purpose=_purpose(release), sender=own_organisation(tx).name,
        exercise=release.exercise, reminder=delivery is not None and _is_reminder(tx, alert, delivery),
        reply_by=clock.rfc3339(release.reply_by) if release.reply_by else "", asks_answer=bool(release.ack),
        files=tuple(Waiting(each.name, each.size, each.sha256) for each, _ in released_files(tx, alert)),
        sealed=bool(delivery is not None and key_for(tx, delivery)),
    )  # fmt: skip


def key_for(tx: Session, delivery: Delivery) -> str:
    """The OpenPGP key a mail is sealed to, armoured; "" where none is pinned."""
    return tx.get_one(Channel, delivery.channel_id).pgp_key if delivery.channel_id is not None else ""


def released_files(tx: Session, alert: Alert) -> list[tuple[ReleaseFile, str]]:
    """The files that go along with an alert, each with where its recipient takes it, signed in. No bytes of a file are
    ever sent."""
    at = f"{store_of(tx).settings.base_url}/released/{alert.public_id}/files"
    return [(file, f"{at}/{number}") for number, file in enumerate(files_of(tx, alert.release_id), 1)]


def _link(tx: Session, alert: Alert, delivery: Delivery) -> str:
    """Where the reader goes on: a partner to the answer page, our own people to the incident behind their sign-in."""
    base_url = store_of(tx).settings.base_url
    if alert.user_id is None:
        return f"{base_url}/a/{ack_token(tx, delivery)}"
    if tx.get_one(Release, alert.release_id).facts.get(NOTICE) == INVITED:
        return f"{base_url}/sign-in/{sign_in_token(tx, delivery)}"
    incident = tx.get_one(Incident, alert.incident_id) if alert.incident_id is not None else None
    if incident is None or incident.restricted:
        return base_url
    return f"{base_url}/incidents/{reference_of(incident)}"


def _purpose(release: Release) -> str:
    return PURPOSES.label(release.purpose) if release.kind != "notice" and release.purpose in PURPOSES else ""


def _is_reminder(tx: Session, alert: Alert, delivery: Delivery) -> bool:
    way = Way(delivery.contact_id, delivery.channel_id)
    before = [each for each in deliveries_of(tx, alert) if each.rung < delivery.rung]
    return any(Way(each.contact_id, each.channel_id) == way for each in before)


def _originator(tx: Session, release: Release, decision: ShareDecision) -> str | None:
    """Whose information it is, unless that is withheld (R21)."""
    if "O-NO-ATTRIBUTION" in decision.obligations:
        return None
    if release.originator_id is None:
        return own_organisation(tx).code
    return tx.get_one(Organisation, release.originator_id).code


def _in_reply_to(tx: Session, alert: Alert, release: Release) -> str | None:
    if alert.in_reply_to_id is not None:
        return tx.get_one(Alert, alert.in_reply_to_id).public_id
    return release.facts.get("report")


def _checkpoint(tx: Session, at: datetime) -> str | None:
    """The newest checkpoint of the record at that instant: its hash leaves the machine with every alert."""
    query = select(Checkpoint.hash).where(Checkpoint.at <= at).order_by(Checkpoint.number.desc()).limit(1)
    return tx.execute(query).scalar_one_or_none()


def _mails_before(tx: Session, alert: Alert, delivery: Delivery) -> list[str]:
    """Message ids of the thread: mails of the alerts this one follows, then earlier ones of this alert."""
    chain, at = list[Alert](), alert
    while at.in_reply_to_id is not None and len(chain) < 20:
        at = tx.get_one(Alert, at.in_reply_to_id)
        chain.append(at)
    found = [each for before in reversed(chain) for each in deliveries_of(tx, before)]
    found += [each for each in deliveries_of(tx, alert) if each.rung < delivery.rung]
    return [each.webhook_id for each in found if each.kind == "email"]
