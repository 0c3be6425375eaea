"""Asking a partner to call our duty desk: a fixed text without case facts, released by one person, in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.alerts.audience import ways_to
from coordinator.alerts.ladder import CALL_LADDER
from coordinator.alerts.plan import plan_of
from coordinator.alerts.telling import Told, tell
from coordinator.alerts.wording import CALL_OUR_DESK
from coordinator.errors import Fault, Invalid, Refused
from coordinator.incidents.models import Incident
from coordinator.markings import Tlp
from coordinator.partners.models import Contact, Organisation
from coordinator.partners.queries import organisation_by_code
from coordinator.sharing import standing
from coordinator.sharing.addressees import Addressee
from coordinator.sharing.inputs_from_world import addressee_of
from coordinator.sharing.models import Release, ShareDecision


def ask_to_call(
    tx: Session, *, incident: Incident, to: str, principal: Principal, once: str = ""
) -> Told:
    """Ask one organisation (`to`: its code) to call our desk, by its best contact that is there now.

    With a text cleared beforehand the rules permit it at once; without one it waits for a second person. `incident` is
    locked by this transaction. Raises Invalid (/to), and Refused where the same form (`once`) was sent before.
    """
    organisation = organisation_by_code(tx, to)
    if organisation is None or not organisation.active or organisation.is_own:
        raise Invalid([Fault("/to", "Choose a partner organisation.")])
    if once and _sent_before(tx, incident, once):
        raise Refused("This was sent already: look at the alerts of the incident.")
    ways = ways_to(tx, organisation, exercise=incident.exercise, tlp=Tlp.CLEAR)
    if not ways:
        raise Invalid([Fault("/to", "Nobody there can be reached by any channel: see its points of contact.")])
    title, body, language = text_for(tx, ways[0])
    return tell(
        tx, incident=incident, kind=standing.KIND, title=title, body=body, purpose=standing.PURPOSE,
        info_category=standing.CATEGORY, requested_by=principal.actor, addressees=ways[:1], marking=standing.MARKING,
        language=language, ladder=CALL_LADDER, facts={"once": once} if once else None,
    )  # fmt: skip


def text_for(tx: Session, way: Addressee | None = None) -> tuple[str, str, str]:
    """Title, body and language: the cleared text in a language of the contact, else the one cleared last, else ours."""
    cleared = standing.in_force(tx, now=clock.now())
    spoken = tx.get_one(Contact, way.contact_id).languages if way is not None and way.contact_id else ()
    for row in [each for code in spoken for each in cleared if each.language == code] or cleared:
        return row.title, row.body, row.language
    return *CALL_OUR_DESK, "en"


def waiting_plans(tx: Session, decisions: Sequence[ShareDecision]) -> dict[int, list[dict[str, Any]]]:
    """The ladder of what is not raised yet, by decision: what would be tried once a person clears it."""
    found = {}
    for decision in decisions:
        plan = plan_of(tx, tx.get_one(Release, decision.release_id), addressee_of(tx, decision))
        if plan is not None:
            found[decision.id] = plan
    return found


def partners_near(tx: Session, incident: Incident) -> list[Organisation]:
    """Whom one may ask, the affected states and whoever told us first."""
    query = select(Organisation).where(Organisation.active, Organisation.is_own.is_(False)).order_by(Organisation.name)
    states = set(incident.states_affected)
    near = {incident.source_id, incident.originator_id}
    rows = tx.execute(query).scalars()
    return sorted(rows, key=lambda each: not (each.country in states or each.id in near))


def _sent_before(tx: Session, incident: Incident, once: str) -> bool:
    query = select(Release.facts).where(Release.incident_id == incident.id).order_by(Release.id.desc()).limit(20)
    return any(facts.get("once") == once for facts in tx.execute(query).scalars())
