"""Accounts: who works here and in which role; invited by a link, stopped at once, let in again."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext as _

from coordinator import vocabulary
from coordinator.accounts import service
from coordinator.accounts.models import User
from coordinator.accounts.rules import Right, Role, needs_second_factor
from coordinator.errors import Invalid, NotFound, Refused
from coordinator.partners.queries import organisation_by_code, organisations
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
        with access.store().unit_of_work() as tx:
            organisation = organisation_by_code(tx, given["organisation"]) if given["organisation"] else None
            user = service.create_user(
                tx, email=given["email"], name=given["name"], role=given["role"], actor=actor,
                organisation_id=organisation.id if organisation else None,
            )  # fmt: skip
            token = service.create_link(tx, user.id, actor=actor)
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
        user = tx.get(User, user_id)
        if user is None:
            raise NotFound()
        if user.enrolled_at is not None:
            raise Refused(_("This account has a password and a second factor: links are for accounts without."))
        token = service.create_link(tx, user_id, actor=access.required().actor)
        name = user.name
    return _link_page(name, token)


@pages.post("/<int:user_id>/suspend")
@needs(Right.SUSPEND_USER)
def suspend(user_id: int) -> Any:
    if user_id == access.required().user_id:
        raise Refused(_("You cannot suspend yourself: ask somebody else."))
    with access.store().unit_of_work() as tx:
        service.suspend_user(tx, user_id, actor=access.required().actor, reason=_reason())
    return page.after("users.listed", _("The account is stopped; its sessions, links and tokens ended."))


@pages.post("/<int:user_id>/restore")
@needs(Right.MANAGE_USERS, fresh=True)
def restore(user_id: int) -> Any:
    with access.store().unit_of_work() as tx:
        service.restore_user(tx, user_id, actor=access.required().actor, reason=_reason())
    return page.after("users.listed", _("The account may sign in again."))


def _reason() -> str:
    return request.form.get("reason", "").strip()[:500]


def _link_page(name: str, token: str) -> Response:
    """The link is shown in this one answer and kept nowhere."""
    base = access.store().settings.base_url
    return page.show("users/link.html", here="users", name=name, link=f"{base}/sign-in/{token}")


def _form(values: dict[str, str], errors: dict[str, str], *, code: int = 200) -> Response:
    with access.store().read() as tx:
        codes = [(row.code, f"{row.name} ({row.code})") for row in organisations(tx)]
    roles = [(role, name) for role, name in vocabulary.ROLES.choices() if role != Role.PARTNER_SYSTEM]
    return page.show(
        "users/form.html", here="users", values=values, errors=errors, roles=roles, organisations=codes, code=code
    )
