"""Signing in: by a one-time link, or by password and code; and signing out.

A link is only spent by pressing the button on its page: mail scanners and previews that open links must not burn it.
"""

from __future__ import annotations

from typing import Any, cast

from flask import Blueprint, Response, redirect, request, session
from flask_babel import gettext as _

from coordinator.accounts import factors, rules, sessions
from coordinator.accounts.models import User
from coordinator.accounts.rules import Role
from coordinator.errors import Gone
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import open_to, signed_in

pages = Blueprint("sign_in", __name__)


@pages.get("/sign-in")
@open_to("whoever wants to sign in")
def form() -> Response:
    return page.show("sign_in/form.html", values={}, errors={}, then=page.then("/"))


@pages.post("/sign-in")
@open_to("whoever wants to sign in; wrong tries are counted and all answered alike")
def sign_in() -> Any:
    given = {name: request.form.get(name, "") for name in ("email", "password", "code")}
    with access.store().unit_of_work() as tx:
        token = factors.sign_in(tx, **given, **access.browser())
    if token is None:
        errors = {"email": factors.wrong().detail}
        values = {"email": given["email"]}
        return page.show("sign_in/form.html", values=values, errors=errors, then=page.then("/"), code=401)
    access.keep_signed_in(token)
    return redirect(page.then("/"), code=303)


@pages.get("/sign-in/<token>")
@open_to("the holder of a one-time link; looking does not spend it")
def link(token: str) -> Response:
    with access.store().read() as tx:
        try:
            name = sessions.link_user(tx, token).name
        except Gone as error:
            return _secret_page(page.show("sign_in/gone.html", error=error, code=410))
    return _secret_page(page.show("sign_in/link.html", name=name))


@pages.post("/sign-in/<token>")
@open_to("the holder of a one-time link")
def use_link(token: str) -> Any:
    with access.store().unit_of_work() as tx:
        try:
            opened = sessions.use_link(tx, token, **access.browser())
        except Gone as error:
            return _secret_page(page.show("sign_in/gone.html", error=error, code=410))
        role, enrolled = _account(tx, opened)
    access.keep_signed_in(opened)
    if not enrolled and rules.needs_second_factor(role):
        return redirect("/account/second-factor", code=303)
    return redirect("/", code=303)


@pages.post("/sign-out")
@signed_in("one may always leave")
def sign_out() -> Any:
    principal = access.required()
    with access.store().unit_of_work() as tx:
        sessions.end_session(tx, cast(int, principal.session_id), user_id=principal.user_id, actor=principal.actor)
    session.clear()
    access.pulse().close_doors()
    return page.after("sign_in.form", _("You are signed out."))


def _account(tx: Any, token: str) -> tuple[Role, bool]:
    """Role and whether a second factor is enrolled, of the session just opened."""
    found = sessions.session_principal(tx, token)
    assert found is not None
    user = tx.get(User, found[0].user_id)
    return Role(user.role), user.enrolled_at is not None


def _secret_page(answer: Response) -> Response:
    """Addresses with a token in them are neither kept nor told to the next site."""
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer
