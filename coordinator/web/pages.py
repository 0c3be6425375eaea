"""Making pages: what every template is given, errors as pages, and the way back after a form."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from flask import Response, current_app, flash, g, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.exceptions import HTTPException

from coordinator import clock
from coordinator.accounts.models import User
from coordinator.accounts.rules import Right
from coordinator.errors import (
    CoordinatorError,
    Invalid,
    NotFound,
    NotParseable,
    NotSignedIn,
    StepUpNeeded,
    TooLarge,
    TooMany,
    UnsupportedType,
)
from coordinator.vocabulary import COUNTRIES
from coordinator.web import access, frame
from coordinator.web.pulse import LIVE_HEADER

STATIC = Path(__file__).parent / "static"


def show(template: str, /, *, code: int = 200, **given: Any) -> Response:
    """A page. Pages of signed-in people are never stored by browsers or proxies."""
    answer = make_response(render_template(template, **given), code)
    answer.headers.setdefault("Cache-Control", "no-store")
    return answer


def fragment(html: str) -> Response:
    """A part of a page that was made before, under the same header as `show`."""
    answer = make_response(html)
    answer.headers.setdefault("Cache-Control", "no-store")
    return answer


def after(endpoint: str, message: str = "", **values: Any) -> Any:
    """Post, redirect, get: `message` is a fixed sentence of ours, never content (it rides in a cookie)."""
    if message:
        flash(message)
    return redirect(url_for(endpoint, **values), code=303)


def waits() -> str:
    """Said after asking for a change that two persons make."""
    return _("It waits for a second person. Nothing is changed until somebody else accepts it.")


def then(default: str) -> str:
    """Where the person wanted to go before being asked something; only paths of ours."""
    wanted = request.values.get("then", "")
    return wanted if _is_ours(wanted) else default


def _is_ours(path: str) -> bool:
    parts = _parts(path)
    safe = path.startswith("/") and not path.startswith(("//", "/\\")) and "\\" not in path
    within = parts is not None and not parts.scheme and not parts.netloc
    return safe and within and not any(ord(one) < 32 for one in path)


def _parts(address: str) -> SplitResult | None:
    """An address in its parts; None where it is none at all, such as half of an IPv6 one."""
    try:
        return urlsplit(address)
    except ValueError:
        return None


def errors_by_field(error: Invalid, *, field: Any = None) -> dict[str, str]:
    """The first sentence for each form field; `field` turns a pointer into a field's name."""
    name = field or (lambda pointer: pointer.removeprefix("/").split("/")[0])
    found: dict[str, str] = {}
    for fault in error.errors:
        found.setdefault(name(fault.pointer), fault.detail)
    return found


def zone() -> str:
    """The time zone of whoever looks; UTC for visitors."""
    if "zone" not in g:
        principal = access.current()
        g.zone = "UTC"
        if principal is not None:
            with access.store().read() as tx:
                user = tx.get(User, principal.user_id)
                g.zone = user.time_zone if user else "UTC"
    return g.zone


def error_page(error: Exception) -> Response:
    """What a person sees when something is refused: what happened and what to do, never the value that was wrong."""
    error = _ours(error)
    if isinstance(error, NotSignedIn) and request.method == "GET" and LIVE_HEADER not in request.headers:
        return redirect(url_for("sign_in.form", then=request.full_path.rstrip("?")))  # type: ignore[return-value]
    if isinstance(error, StepUpNeeded):
        return _step_up(error)
    template = "errors/refused.html" if getattr(error, "blocked_by", None) else "errors/plain.html"
    return show(template, code=error.status, error=error, faults=getattr(error, "errors", ()), advice=_advice(error))


def _step_up(error: StepUpNeeded) -> Response:
    """Asks for the second factor and keeps what was typed, so that confirming sends it: nothing is typed twice."""
    principal = access.required()
    with access.store().read() as tx:
        user = tx.get_one(User, principal.user_id)
        codes, enrolled = bool(user.password_hash), user.enrolled_at is not None
    kept = [(name, value) for name, value in request.form.items(multi=True) if name not in _NOT_KEPT]
    wrong = _("The code is wrong, was used already, or the account is resting after wrong tries.")
    files = any(one.filename for one in request.files.values())
    errors = {access.CODE: wrong} if request.form.get(access.CODE) else {}
    return show(
        "errors/step_up.html", code=error.status, error=error, then=_came_from(), kept=kept, codes=codes, files=files,
        enrolled=enrolled, errors=errors, values={}, field=access.CODE, goes_to=request.full_path.rstrip("?"),
    )  # fmt: skip


_NOT_KEPT = frozenset({"csrf_token", "password", "again", "code", access.CODE})


_OURS: dict[int, type[CoordinatorError]] = {
    400: NotParseable, 404: NotFound, 405: NotFound, 413: TooLarge, 415: UnsupportedType, 429: TooMany,
}  # fmt: skip


def _ours(error: Exception) -> CoordinatorError:
    """What the framework refuses by itself, in our own words."""
    if isinstance(error, CoordinatorError):
        return error
    code = error.code if isinstance(error, HTTPException) else None
    return _OURS.get(code or 500, CoordinatorError)()


def _advice(error: CoordinatorError) -> str:
    if error.status == 404:
        return _("Check the address. It may also be something you have no need to know of.")
    if error.status == 403:
        return _("Ask a coordinator or your administrator if you need this.")
    if error.status in (409, 412):
        return _("Go back, look at the present state and decide again.")
    if error.status == 413:
        return _("Send smaller or fewer files.")
    if error.status >= 500:
        return _(
            "Go back and try again. If it happens again, tell your operator."
        )
    return ""


def _came_from() -> str:
    """The page the form was on, where the browser says so and it is ours."""
    parts = _parts(request.referrer or "")
    if parts is None:
        return "/"
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return path if parts.netloc == request.host and _is_ours(path) else "/"


@lru_cache(maxsize=64)
def asset(name: str) -> str:
    """The address of a file of ours with its digest, so that it can be kept for long and changes at once."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def common() -> dict[str, Any]:
    """What the frame of every page needs."""
    return {
        "principal": access.current(),
        "may": access.may,
        "Right": Right,
        "asset": asset,
        "now": clock.now(),
        "zone": zone(),
        "pulse_every": current_app.config["LIVE_EVERY"],
        "frame": frame.frame(),
    }


def country_codes(text: str) -> list[str]:
    """Codes for names or codes with commas between ("Finland, EE"). What is neither stays as it is, and is refused."""
    found = []
    for part in text.replace(";", ",").replace("\n", ",").split(","):
        word = part.strip()
        if word:
            found.append(_by_name().get(word.casefold(), word.upper() if len(word) == 2 else word))
    return list(dict.fromkeys(found))


@lru_cache(maxsize=1)
def _by_name() -> dict[str, str]:
    """Names as they stand, and without commas as the suggestions write them."""
    names = {}
    for code, name in COUNTRIES.choices():
        names[name.casefold()] = names[name.replace(",", "").casefold()] = code
    return names
