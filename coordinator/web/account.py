"""One's own account: second factor, sessions, time zone, API tokens."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask_babel import gettext as _
from markupsafe import Markup

from coordinator.accounts import factors, passkeys, rules, service, sessions
from coordinator.accounts.models import User
from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Role
from coordinator.errors import Invalid, StepUpNeeded
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import signed_in
from coordinator.web.handles import number_of

pages = Blueprint("account", __name__, url_prefix="/account")


@pages.get("")
@signed_in("one's own account")
def mine() -> Response:
    principal = access.required()
    with access.store().read() as tx:
        user = tx.get_one(User, principal.user_id)
        opened = sessions.sessions_of(tx, principal.user_id)
        return page.show("account/mine.html", user=user, opened=opened, zones=sorted(available_timezones()))


@pages.post("/zone")
@signed_in("one's own account")
def set_zone() -> Any:
    zone = request.form.get("zone", "")
    if zone not in available_timezones():
        return page.after("account.mine", _("Choose a time zone from the list, like Europe/Tallinn."))
    with access.store().unit_of_work() as tx:
        service.set_time_zone(tx, access.required(), zone)
    return page.after("account.mine", _("Times are now shown in that zone."))


@pages.post("/sessions/<own>/end")
@signed_in("one's own sessions")
def end(own: str) -> Any:
    principal = access.required()
    with access.store().unit_of_work() as tx:
        session_id = number_of("session", own, sessions.sessions_of(tx, principal.user_id, over=True))
        sessions.end_session(tx, session_id, user_id=principal.user_id, actor=principal.actor)
    access.pulse().close_doors()
    return page.after("account.mine", _("The session has ended."))


@pages.get("/here")
@signed_in("says that somebody is still there; keeps the session open")
def here() -> tuple[str, int]:
    return "", 204


# ---------------------------------------------------------------- second factor


@pages.get("/second-factor")
@signed_in("one's own second factor")
def second_factor() -> Response | Any:
    principal = access.required()
    with access.store().unit_of_work() as tx:
        user = tx.get_one(User, principal.user_id)
        if user.password_hash:
            return redirect(f"/account/step-up?then={page.then('/')}")
        if user.enrolled_at is not None and not access.is_fresh(principal):
            return redirect("/account/step-up?then=/account/second-factor")
        uri = factors.begin_enrolment(tx, principal)
    return _enrolment(uri, errors={})


@pages.post("/second-factor")
@signed_in("one's own second factor")
def enrol() -> Any:
    principal = access.required()
    password, again = request.form.get("password", ""), request.form.get("again", "")
    with access.store().read() as tx:
        if tx.get_one(User, principal.user_id).enrolled_at is not None and not access.is_fresh(principal):
            raise StepUpNeeded()
    if password != again:
        return _wrong(principal, {"again": _("The two passwords differ: type the same one twice.")})
    try:
        with access.store().unit_of_work() as tx:
            factors.finish_enrolment(tx, principal, password=password, code=request.form.get("code", ""))
    except Invalid as error:
        return _wrong(principal, page.errors_by_field(error))
    flash(_("Your password and second factor are set."))
    return redirect(page.then("/"), code=303)


def _wrong(principal: Principal, errors: dict[str, str]) -> Response:
    with access.store().unit_of_work() as tx:
        uri = factors.begin_enrolment(tx, principal)
    return _enrolment(uri, errors=errors, code=422)


def _enrolment(uri: str, *, errors: dict[str, str], code: int = 200) -> Response:
    secret = uri.split("secret=")[1].split("&")[0]
    return page.show(
        "account/second_factor.html", qr=_drawn(uri), errors=errors, values={}, code=code, shortest=factors.SHORTEST,
        secret=" ".join(secret[place : place + 4] for place in range(0, len(secret), 4)), then=page.then("/"),
    )  # fmt: skip


def _drawn(uri: str) -> Markup:
    """The code as SVG of ours, drawn here: no other site learns the secret."""
    import segno  # few processes ever draw one

    return Markup(segno.make(uri, error="m").svg_inline(scale=4, border=2, dark="#000", light="#fff"))


@pages.get("/step-up")
@signed_in("confirming one's own second factor")
def step_up() -> Any:
    principal = access.required()
    with access.store().read() as tx:
        if tx.get_one(User, principal.user_id).enrolled_at is None:  # nothing to confirm with yet
            return redirect(url_for("account.second_factor", then=page.then("/")))
    return _step_up({})


@pages.post("/step-up")
@signed_in("confirming one's own second factor")
def confirm() -> Any:
    with access.store().unit_of_work() as tx:
        right = factors.step_up(tx, access.required(), code=request.form.get("code", ""))
    if not right:
        errors = {"code": _("The code is wrong, was used already, or the account is resting after wrong tries.")}
        return _step_up(errors, code=422)
    return redirect(page.then("/"), code=303)


def _step_up(errors: dict[str, str], *, code: int = 200) -> Response:
    """With what this account has: a code, a passkey or both."""
    principal = access.required()
    with access.store().read() as tx:
        codes = bool(tx.get_one(User, principal.user_id).password_hash)
        keys = bool(passkeys.passkeys_of(tx, principal.user_id))
    return page.show(
        "account/step_up.html", errors=errors, values={}, then=page.then("/"), codes=codes or not keys, keys=keys,
        code=code,
    )  # fmt: skip


# ---------------------------------------------------------------- API tokens


@pages.get("/tokens")
@signed_in("one's own tokens")
def tokens() -> Response:
    return _tokens({}, {})


@pages.post("/tokens")
@signed_in("one's own tokens, with a fresh second factor where the account has one")
def make_token() -> Any:
    principal = access.required()
    if rules.needs_second_factor(Role(principal.role)) and not access.is_fresh(principal):
        raise StepUpNeeded()
    name, scopes = request.form.get("name", ""), request.form.getlist("scopes")
    try:
        with access.store().unit_of_work() as tx:
            made = service.create_token(tx, principal.user_id, name=name, scopes=scopes, actor=principal.actor)
    except Invalid as error:
        return _tokens({"name": name, "scopes": scopes}, page.errors_by_field(error), code=422)
    # Shown in this one answer and kept nowhere: there is nothing to redirect to.
    return page.show("account/token_made.html", name=name, made=made)


@pages.post("/tokens/<own>/revoke")
@signed_in("one's own tokens")
def revoke(own: str) -> Any:
    principal = access.required()
    with access.store().unit_of_work() as tx:
        token_id = number_of("token", own, service.tokens_of(tx, principal.user_id, revoked=True))
        service.revoke_token(tx, token_id, user_id=principal.user_id, actor=principal.actor)
    return page.after("account.tokens", _("The token no longer works."))


def _tokens(values: dict[str, Any], errors: dict[str, str], *, code: int = 200) -> Response:
    principal = access.required()
    with access.store().read() as tx:
        live = service.tokens_of(tx, principal.user_id)
    allowed = sorted(rules.scopes_allowed(Role(principal.role)), key=list(rules.Scope).index)
    return page.show("account/tokens.html", live=live, allowed=allowed, values=values, errors=errors, code=code)
