"""Accounts: who works here and in which role; invited by a link, stopped at once, let in again."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from coordinator import vocabulary
from coordinator.accounts import service, staff
from coordinator.accounts.models import User
from coordinator.accounts.rules import Right, Role, needs_second_factor
from coordinator.accounts.schema import load_user
from coordinator.alerts import invitations
from coordinator.changes import service as changes
from coordinator.changes.rules import Kind
from coordinator.errors import Invalid, NotFound, Refused
from coordinator.handover import queries as handover_queries
from coordinator.handover import service as handover
from coordinator.partners.models import Organisation
from coordinator.partners.queries import organisations
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs

pages = Blueprint("users", __name__, url_prefix="/users")


@pages.get("")
@needs(Right.READ_USERS)
def listed() -> Response:
    with access.store().read() as tx:
        codes = {row.id: row.code for row in organisations(tx)}
        found = service.users(tx)
    rows = [(row, codes.get(row.organisation_id or 0), needs_second_factor(Role(row.role))) for row in found]
    return page.show("users/list.html", here="users", rows=rows)


@pages.get("/<int:user_id>")
@needs(Right.READ_USERS)
def one(user_id: int) -> Response:
    with access.store().read() as tx:
        user = _user(tx, user_id)
        organisation = tx.get(Organisation, user.organisation_id) if user.organisation_id else None
    return page.show(
        "users/one.html", here="users", user=user, organisation=organisation, values={"role": user.role}, errors={},
        roles=_roles(),
    )  # fmt: skip


@pages.get("/new")
@needs(Right.MANAGE_USERS, fresh=True)
def new() -> Response:
    return _form({}, {})


@pages.post("/new")
@needs(Right.MANAGE_USERS, fresh=True)
def add(code: int = 200) -> Any:
    given = {name: request.form.get(name, "").strip() for name in ("email", "name", "role", "organisation")}
    actor = access.required().actor
    try:
        wanted = load_user(given)
        with access.store().unit_of_work() as tx:
            staff.check_address_free(tx, wanted["email"])
            asked = changes.ask(tx, Kind.ACCOUNT, wanted, actor=actor, reason=_reason())
            if asked.change is not None:
                return page.after("changes.one", page.waits(), change_id=asked.change.id)
            user = service.user_by_email(tx, wanted["email"])
            token = invitations.invite(tx, user.id, actor=actor)
            name = user.name
    except Invalid as error:
        return _form(given, page.errors_by_field(error), code=422)
    except Refused as error:
        return _form(given, {"email": error.detail}, code=409)
    return _link_page(name, token)


@pages.post("/<int:user_id>/link")
@needs(Right.MANAGE_USERS, fresh=True)
def link(user_id: int) -> Response:
    """A one-time link for an account that has no second factor yet; others sign in with what they have."""
    with access.store().unit_of_work() as tx:
        token = invitations.invite(tx, user_id, actor=access.required().actor)
        name = tx.get_one(User, user_id).name
    return _link_page(name, token)


@pages.post("/<int:user_id>/role")
@needs(Right.MANAGE_USERS, fresh=True)
def role(user_id: int) -> Any:
    with access.store().unit_of_work() as tx:
        user = _user(tx, user_id)
        wanted = load_user(
            {"email": user.email, "name": user.name, "role": request.form.get("role", "")}
            | ({"organisation": tx.get_one(Organisation, user.organisation_id).code} if user.organisation_id else {})
        )
        asked = changes.ask(tx, Kind.ACCOUNT, wanted, actor=access.required().actor, reason=_reason())
        return _after(user_id, asked, _("The role is changed."))


@pages.post("/<int:user_id>/reset")
@needs(Right.MANAGE_USERS, fresh=True)
def reset(user_id: int) -> Any:
    """Somebody lost the second factor: another person has to agree before it is taken away."""
    with access.store().unit_of_work() as tx:
        _user(tx, user_id)
        wanted = {"user": user_id}
        asked = changes.ask(tx, Kind.FACTOR_RESET, wanted, actor=access.required().actor, reason=_reason())
        return _after(user_id, asked, _("The second factor is taken away. Make a link, so that it can be set anew."))


@pages.post("/<int:user_id>/suspend")
@needs(Right.SUSPEND_USER)
def suspend(user_id: int) -> Any:
    if user_id == access.required().user_id:
        raise Refused(_("You cannot suspend yourself: ask somebody else."))
    with access.store().unit_of_work() as tx:
        service.suspend_user(tx, user_id, actor=access.required().actor, reason=_reason())
    access.pulse().versions.forget()
    return page.after("users.listed", _("The account is stopped; its sessions, links and tokens ended."))


@pages.post("/<int:user_id>/restore")
@needs(Right.MANAGE_USERS, fresh=True)
def restore(user_id: int) -> Any:
    with access.store().unit_of_work() as tx:
        service.restore_user(tx, user_id, actor=access.required().actor, reason=_reason())
    return page.after("users.listed", _("The account may sign in again."))


def _roles() -> list[tuple[str, str]]:
    return [(role, name) for role, name in vocabulary.ROLES.choices() if role != Role.PARTNER_SYSTEM]


@pages.get("/<int:user_id>/leave")
@needs(Right.HAND_OVER, fresh=True)
def leave(user_id: int) -> Response:
    return _leave_page(user_id, {}, {})


@pages.post("/<int:user_id>/leave")
@needs(Right.HAND_OVER, fresh=True)
def hand_over(user_id: int) -> Any:
    note = request.form.get("note", "").replace("\r\n", "\n")
    to = request.form.get("to", 0, type=int)
    try:
        with access.store().unit_of_work() as tx:
            handover.hand_over(tx, user_id, to=to, note=note, principal=access.required())
    except Invalid as error:
        return _leave_page(user_id, {"note": note, "to": to}, page.errors_by_field(error), code=422)
    access.pulse().versions.forget()
    return page.after("users.one", _("Everything is handed over, and the account is closed."), user_id=user_id)


def _leave_page(user_id: int, values: dict[str, Any], errors: dict[str, str], *, code: int = 200) -> Response:
    with access.store().read() as tx:
        user = _user(tx, user_id)
        owned = handover_queries.owned(tx, user_id, principal=access.required())
        people = [(row.id, f"{row.name} ({row.email})") for row in handover_queries.successors(tx, user_id)]
    return page.show(
        "users/leave.html", here="users", user=user, owned=owned, people=people, values=values, errors=errors, code=code
    )


def _after(user_id: int, asked: changes.Asked, done: str) -> Any:
    if asked.change is not None:
        return page.after("changes.one", page.waits(), change_id=asked.change.id)
    return page.after("users.one", done, user_id=user_id)


def _user(tx: Session, user_id: int) -> User:
    """Raises NotFound."""
    user = tx.get(User, user_id)
    if user is None:
        raise NotFound()
    return user


def _reason() -> str:
    return request.form.get("reason", "").strip()[:500]


def _link_page(name: str, token: str) -> Response:
    """Where the link went by mail, that; else it is shown in this one answer and kept nowhere."""
    if not token:
        return page.after("users.listed", _("A link that opens the account once went to its own mail address."))
    base = access.store().settings.base_url
    return page.show("users/link.html", here="users", name=name, link=f"{base}/sign-in/{token}")


def _form(values: dict[str, str], errors: dict[str, str], *, code: int = 200) -> Response:
    with access.store().read() as tx:
        codes = [(row.code, f"{row.name} ({row.code})") for row in organisations(tx)]
    return page.show(
        "users/form.html", here="users", values=values, errors=errors, roles=_roles(), organisations=codes, code=code
    )
