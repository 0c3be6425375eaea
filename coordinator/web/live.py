"""Tells an open page that something changed, never what: ETag and 304. Cheap enough to be asked every second."""

from __future__ import annotations

import re
from collections.abc import Hashable
from email.utils import formatdate
from typing import Any

from flask import Blueprint, Flask, Response, make_response, request, session
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
from coordinator.web.pulse import Pulse, tag

pages = Blueprint("live", __name__)


@pages.get("/board/live")
@open_to("asked by open pages every second: the session is looked at here, from memory, and does not stay alive by it")
def of_board() -> Response:
    principal = _principal()
    version = board_tag(principal)
    _remember_glance(about_board(principal))
    return _answer(version)


@pages.get("/incidents/<reference>/live")
@open_to("asked by open pages every second: session and need-to-know are looked at here, from memory")
def of_incident(reference: str) -> Response:
    principal = _principal()
    pulse = access.pulse()
    door = ("incident", principal.user_id, reference.upper())
    incident_id = pulse.doors.get(door, lambda: _door(principal, reference))
    if incident_id is None:
        raise NotFound()
    version = incident_tag(incident_id)
    _remember_glance(("incident", incident_id))
    return _answer(version)


def incident_tag(incident_id: int) -> str:
    """The version of an incident's page; remembered for half a second per process."""

    def look() -> str:
        with access.store().read() as tx:
            return tag("incident", incident_id, incident_page.version(tx, incident_id))

    return access.pulse().versions.get(("incident", incident_id), look)


def board_tag(principal: Principal) -> str:
    """The version of the board for those who see the same: nobody learns that a restricted incident moved."""
    about = about_board(principal)
    seen: dict[str, Any] = {"everything": True} if about == _EVERYTHING else {}
    if about not in (_EVERYTHING, _OPEN):
        seen = {"principal": principal}
    return access.pulse().versions.get(about, lambda: _newest(about, **seen))


_EVERYTHING, _OPEN = ("board", "all"), ("board", "open")


def about_board(principal: Principal) -> tuple[str, Any]:
    """Under which name the version of what this person sees on the board is remembered."""
    if sees_restricted(principal):
        return _EVERYTHING
    named = access.pulse().doors.get(("named", principal.user_id), lambda: _is_named(principal))
    return ("board", principal.user_id) if named else _OPEN


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


# ---------------------------------------------------------------- without a request


def glance(app: Flask, raw: bytes) -> bytes | None:
    """The whole answer to the raw bytes of a poll, from memory alone; None where it must be looked at properly.

    For the loop of the web server: a poll that was answered lately for this address and cookie costs a twentieth so.
    """
    pulse: Pulse | None = app.extensions.get("pulse")
    asked = _POLL.match(raw)
    if pulse is None or asked is None or raw.find(b"\r\n\r\n") != len(raw) - 4 or _UNUSUAL.search(raw):
        return None
    cookies, tags = _COOKIE.findall(raw), _TAG.findall(raw)
    about = pulse.glances.peek((asked[1], cookies[0])) if len(cookies) == 1 and len(tags) < 2 else None
    version = pulse.versions.peek(about) if about is not None else None
    if version is None:
        return None
    known = bool(tags) and tags[0] == version.encode()
    return _GLANCED % (b"304 NOT MODIFIED" if known else b"200 OK\r\nContent-Length: 0", version.encode(),
                       formatdate(usegmt=True).encode())  # fmt: skip


_POLL = re.compile(rb"GET (/board/live|/incidents/[A-Za-z0-9-]{1,60}/live) HTTP/1\.1\r\n")
_COOKIE = re.compile(rb"(?i)\r\ncookie:[ \t]*([^\r\n]*?)[ \t]*(?=\r\n)")
_TAG = re.compile(rb"(?i)\r\nif-none-match:[ \t]*(?:W/)?\"([^\"\r\n,]*)\"[ \t]*(?=\r\n)")
_UNUSUAL = re.compile(
    rb"(?i)\r\n(?:connection:[ \t]*close|content-length:(?![ \t]*0[ \t]*\r)|transfer-encoding:|expect:|upgrade:)"
)
_GLANCED = (
    b"HTTP/1.1 %s\r\nETag: \"%s\"\r\nDate: %s\r\nCache-Control: no-cache\r\nVary: Cookie\r\n"
    b"X-Content-Type-Options: nosniff\r\nReferrer-Policy: same-origin\r\nConnection: keep-alive\r\n\r\n"
)


def _remember_glance(about: Hashable) -> None:
    """This request's address and cookie may ask for this version again, without a look, for as long as `DOOR`."""
    key = (request.path.encode(), request.headers.get("Cookie", "").encode("latin-1", "replace"))
    access.pulse().glances.put(key, about)
