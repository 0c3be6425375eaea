"""The page behind the link in an alert: for contacts abroad who have no account. Opening it changes nothing.

The link is the key: it was sent to one contact, for one alert. Text above GREEN is shown only to one who signed in; who
did finds it on their own pages.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, redirect, request

from coordinator.alerts.released import answer_page, is_reader, place_of
from coordinator.alerts.service import acknowledge
from coordinator.errors import Fault, Gone, Invalid, NotFound
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import open_to

pages = Blueprint("acknowledge", __name__, url_prefix="/a")

#: The token in the address is what a forged form would have to know; there is no session to misuse, and readers of mail
#: often refuse cookies: these forms carry no token of a session.
WITHOUT_SESSION = frozenset({"acknowledge.answer"})


@pages.get("/<token>")
@open_to("the holder of the link in an alert; looking changes nothing and shows only what the label allows")
def show(token: str) -> Any:
    if "thanks" not in request.args and (mine := _place(token)):
        return _private(redirect(f"/released/{mine}", code=303))
    return _page(token, {}, {})


@pages.post("/<token>")
@open_to("the holder of the link in an alert")
def answer(token: str) -> Any:
    given = {name: request.form.get(name, "").strip()[:5000] for name in ("answer", "by", "note")}
    reader = access.current()
    try:
        with access.store().unit_of_work() as tx:
            known = reader.name if reader is not None and is_reader(tx, token, reader=reader) else ""
            if not known:
                _left_empty()
            acknowledge(
                tx, token=token, kind="person", by=known or given["by"], answer=given["answer"],
                note=given["note"] or None, assurance="session" if known else "link",
            )  # fmt: skip
    except Invalid as error:
        return _page(token, given, page.errors_by_field(error), code=422)
    except (Gone, NotFound) as error:
        return _gone(error)
    return _private(redirect(f"/a/{token}?thanks={given['answer']}", code=303))


def _left_empty() -> None:
    """A scanner of mails that fills in every field answers for nobody. Raises Invalid."""
    if request.form.get("subject", "").strip():
        raise Invalid([Fault("/subject", "Leave this field empty and send it again: only programs fill it in.")])


def _place(token: str) -> str:
    with access.store().read() as tx:
        try:
            return place_of(tx, token, reader=access.current())
        except (Gone, NotFound):
            return ""


def _page(token: str, values: dict[str, str], errors: dict[str, str], *, code: int = 200) -> Response:
    with access.store().read() as tx:
        try:
            shown = answer_page(tx, token, reader=access.current())
        except (Gone, NotFound) as error:
            return _gone(error)
    thanks = request.args.get("thanks", "") if request.method == "GET" else ""
    return _private(page.show(
        "acknowledge/alert.html", alert=shown, values=values, errors=errors, code=code, exercise=shown["exercise"],
        thanks=thanks if any(one["answer"] == thanks for one in shown["answers"]) else "",
    ))  # fmt: skip


def _gone(error: Gone | NotFound) -> Response:
    return _private(page.show("acknowledge/gone.html", error=error, code=error.status))


def _private(answer: Any) -> Any:
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer
