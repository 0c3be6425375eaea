"""Tells an open page that something changed, never what: ETag and 304. Cheap enough to be asked every second."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, make_response, request, session
from sqlalchemy import or_, select

from coordinator.accounts import rules, sessions
from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Right, Role
from coordinator.errors import NoRight, NotFound, NotSignedIn
from coordinator.incidents.models import Incident, IncidentMember
from coordinator.incidents.queries import get_visible, sees_restricted
from coordinator.status import board, incident_page
from coordinator.timeline.models import Chain
from coordinator.timeline.service import RECORD
from coordinator.web import access
from coordinator.web.access import open_to
from coordinator.web.pulse import tag

pages = Blueprint("live", __name__)


@pages.get("/board/live")
@open_to("asked by open pages every second: the session is looked at here, from memory, and does not stay alive by it")
def of_board() -> Response:
    return _answer(board_tag(_principal()))


@pages.get("/incidents/<reference>/live")
@open_to("asked by open pages every second: session and need-to-know are looked at here, from memory")
def of_incident(reference: str) -> Response:
    principal = _principal()
    pulse = access.pulse()
    door = ("incident", principal.user_id, reference.upper())
    incident_id = pulse.doors.get(door, lambda: _door(principal, reference))
    if incident_id is None:
        raise NotFound()
    return _answer(incident_tag(incident_id))


def incident_tag(incident_id: int) -> str:
    """The version of an incident's page; remembered for half a second per process."""

    def look() -> str:
        with access.store().read() as tx:
            return tag("incident", incident_id, incident_page.version(tx, incident_id))

    return access.pulse().versions.get(("incident", incident_id), look)


def board_tag(principal: Principal) -> str:
    """The version of the board for those who see the same: nobody learns that a restricted incident moved."""
    pulse = access.pulse()
    if sees_restricted(principal):
        return pulse.versions.get("board/all", lambda: _newest("board", everything=True))
    if pulse.doors.get(("named", principal.user_id), lambda: _is_named(principal)):
        mine = ("board", principal.user_id)
        return pulse.versions.get(mine, lambda: _newest(mine, principal=principal))
    return pulse.versions.get("board/open", lambda: _newest("board"))


def _newest(about: object, **seen: Any) -> str:
    with access.store().read() as tx:
        return tag(about, board.newest(tx, **seen))


def _principal() -> Principal:
    """Who asks, from a memory of seconds. Raises NotSignedIn, NoRight."""
    token = session.get(access.TOKEN)
    if not isinstance(token, str):
        raise NotSignedIn()

    def look() -> Principal | None:
        with access.store().read() as tx:
            found = sessions.session_principal(tx, token)
        return found[0] if found else None

    principal = access.pulse().doors.get(("session", token, _accounts_version()), look)
    if principal is None:
        raise NotSignedIn()
    if not rules.may(Role(principal.role), Right.READ_INCIDENTS):
        raise NoRight()
    return principal


def _accounts_version() -> int:
    """Moves with each change of an account, a session or a role, so that a stopped account's open pages end with it:
    those changes are all in the record's own chain. Remembered for half a second per process."""

    def look() -> int:
        with access.store().read() as tx:
            return tx.execute(select(Chain.length).where(Chain.name == RECORD)).scalar() or 0

    return access.pulse().versions.get("accounts", look)


def _door(principal: Principal, reference: str) -> int | None:
    with access.store().read() as tx:
        try:
            return get_visible(tx, reference, principal=principal).id
        except NotFound:
            return None


def _is_named(principal: Principal) -> bool:
    """Whether this person knows of any restricted incident by being its owner or named in it."""
    query = (
        select(Incident.id)
        .outerjoin(IncidentMember, IncidentMember.incident_id == Incident.id)
        .where(
            Incident.restricted,
            or_(Incident.owner_id == principal.user_id, IncidentMember.user_id == principal.user_id),
        )
    )
    with access.store().read() as tx:
        return tx.execute(query.limit(1)).first() is not None


def _answer(version: str) -> Any:
    answer = make_response("", 200)
    answer.headers["Cache-Control"] = "no-cache"
    answer.set_etag(version)
    return answer.make_conditional(request)
