"""Passkeys: one's own list, and the questions and answers that passkeys.js carries between browser and service.

The script sends JSON with the form's token in a header; what it gets back is where to go, or a sentence to show.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Blueprint, Response, flash, redirect, request, session, url_for
from flask_babel import gettext as _

from coordinator.accounts import ceremonies, passkeys
from coordinator.accounts.models import Passkey, User
from coordinator.accounts.principal import Principal
from coordinator.errors import CoordinatorError, Invalid, NotParseable, Refused, StepUpNeeded
from coordinator.outside.strict_json import parse_json
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import open_to, signed_in
from coordinator.web.handles import number_of

pages = Blueprint("passkeys", __name__)
View = TypeVar("View", bound=Callable[..., Any])

#: An answer of an authenticator is a few kilobytes.
MOST_BYTES = 64 * 1024
_BROWSER = "passkey"


@pages.app_template_global("passkey_origin")
def origin() -> str:
    """Where passkeys work; "" where this site can have none. Pages opened at another address do not offer them."""
    site = ceremonies.site_of(access.store().settings)
    return site.origin if site else ""


def _in_words(view: View) -> View:
    """What is refused is told to the script as a sentence, and where to go when something has to come first."""

    @wraps(view)
    def telling(*args: Any, **kwargs: Any) -> Any:
        request.max_content_length = MOST_BYTES
        try:
            return view(*args, **kwargs)
        except StepUpNeeded:
            return {"go": url_for("account.step_up", then=_list_address())}, 403
        except Invalid as error:
            return {"error": error.errors[0].detail, "field": error.errors[0].pointer.removeprefix("/")}, error.status
        except CoordinatorError as error:
            return {"error": error.detail or error.title}, error.status

    return cast(View, telling)


# ---------------------------------------------------------------- one's own


@pages.get("/account/passkeys")
@signed_in("one's own passkeys, with a fresh second factor where the account has one")
def mine() -> Response | Any:
    principal = access.required()
    with access.store().read() as tx:
        user = tx.get_one(User, principal.user_id)
        if user.enrolled_at is not None and not access.is_fresh(principal):
            return redirect(url_for("account.step_up", then=_list_address()))
        return _list(user, passkeys.passkeys_of(tx, user.id))


@pages.post("/account/passkeys/options")
@signed_in("adding one's own passkey")
@_in_words
def options() -> Any:
    with access.store().unit_of_work() as tx:
        return passkeys.begin_adding(tx, _fresh())


@pages.post("/account/passkeys")
@signed_in("adding one's own passkey")
@_in_words
def add() -> Any:
    principal, sent = _fresh(), _sent()
    with access.store().unit_of_work() as tx:
        first = tx.get_one(User, principal.user_id).enrolled_at is None
        passkeys.finish_adding(tx, principal, name=str(sent.get("name", "")), credential=sent.get("credential"))
    flash(_("Your passkey is added. From now on you can sign in with it."))
    return {"go": page.then("/") if first else _list_address()}


@pages.post("/account/passkeys/<own>/remove")
@signed_in("one's own passkeys, with a fresh second factor")
def remove(own: str) -> Any:
    principal = access.required()
    if not access.is_fresh(principal):
        raise StepUpNeeded()
    try:
        with access.store().unit_of_work() as tx:
            mine_ = passkeys.passkeys_of(tx, principal.user_id)
            passkeys.remove(tx, principal, number_of("passkey", own, mine_))
    except Refused as error:
        with access.store().read() as tx:
            user = tx.get_one(User, principal.user_id)
            return _list(user, passkeys.passkeys_of(tx, user.id), {"": error.detail}, code=error.status)
    return page.after("passkeys.mine", _("The passkey no longer works. Delete it on your device as well."))


# ---------------------------------------------------------------- signing in and confirming


@pages.post("/passkey/sign-in/options")
@open_to("whoever wants to sign in; the same question for everybody, nothing is written")
@_in_words
def ask_sign_in() -> Any:
    if not isinstance(session.get(_BROWSER), str):
        session[_BROWSER] = secrets.token_urlsafe(16)
    with access.store().read() as tx:
        return passkeys.begin_sign_in(tx, bound_to=session[_BROWSER])


@pages.post("/passkey/sign-in")
@open_to("whoever wants to sign in; wrong tries are counted and all answered alike")
@_in_words
def sign_in() -> Any:
    credential, bound_to = _sent().get("credential"), session.get(_BROWSER)
    token = None
    if isinstance(bound_to, str):
        with access.store().unit_of_work() as tx:
            token = passkeys.sign_in(tx, credential, bound_to=bound_to, **access.browser())
    if token is None:
        return {"error": _wrong()}, 401
    access.keep_signed_in(token)
    return {"go": page.then("/")}


@pages.post("/account/step-up/passkey/options")
@signed_in("confirming one's own second factor")
@_in_words
def ask_step_up() -> Any:
    with access.store().unit_of_work() as tx:
        return passkeys.begin_step_up(tx, access.required())


@pages.post("/account/step-up/passkey")
@signed_in("confirming one's own second factor")
@_in_words
def step_up() -> Any:
    credential = _sent().get("credential")
    with access.store().unit_of_work() as tx:
        right = passkeys.step_up(tx, access.required(), credential)
    return {"go": page.then("/")} if right else ({"error": _wrong()}, 401)


# ---------------------------------------------------------------- the parts


def _list(user: User, rows: list[Passkey], errors: dict[str, str] | None = None, *, code: int = 200) -> Response:
    return page.show(
        "passkeys/mine.html", rows=rows, user=user, then=page.then("/"), errors=errors or {}, values={},
        most=passkeys.LONGEST_NAME, code=code,
    )  # fmt: skip


def _list_address() -> str:
    return url_for("passkeys.mine")


def _fresh() -> Principal:
    """Whoever is signed in; where a second factor was given it must be a fresh one. (An account without factors has
    none to give: the service decides about that.)"""
    principal = access.required()
    if principal.second_factor_at is not None and not access.is_fresh(principal):
        raise StepUpNeeded()
    return principal


def _sent() -> dict[str, Any]:
    sent = parse_json(request.get_data(), max_bytes=MOST_BYTES)
    if not isinstance(sent, dict):
        raise NotParseable("Send a JSON object.")
    return sent


def _wrong() -> str:
    return _(
        "The passkey was not accepted: it is not known here, took over 5 minutes, or the account is resting after "
        "wrong tries. Try again, or use another way to sign in."
    )
