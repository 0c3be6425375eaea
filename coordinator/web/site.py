"""The way in, the files of the pages themselves, and help."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, redirect, request, send_from_directory

from coordinator import vocabulary
from coordinator.accounts.rules import Right
from coordinator.markings import Pap, Tlp
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import open_to

pages = Blueprint("site", __name__, template_folder="templates")

YEAR = 365 * 24 * 3600


@pages.get("/")
@open_to("the way in: sends everybody where they can work")
def home() -> Any:
    principal = access.current()
    if principal is None:
        return redirect("/sign-in")
    for right, path in (
        (Right.READ_INCIDENTS, "/board"), (Right.COMPLETE_TASK, "/tasks"), (Right.MANAGE_USERS, "/users"),
        (Right.SEE_PARTNER_VIEW, "/released"),
    ):  # fmt: skip
        if access.may(right):
            return redirect(path)
    return redirect("/account")


@pages.get("/static/<path:name>")
@open_to("style, script and marks of the pages: the same for everybody, no content")
def static_file(name: str) -> Response:
    answer = send_from_directory(page.STATIC, name)
    answer.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable" if request.args.get("v") else "no-cache"
    return answer


@pages.get("/help")
@open_to("how to use this: no content")
def help_page() -> Response:
    return page.show("site/help.html", here="help")


@pages.get("/help/labels")
@open_to("what the labels mean: public standards")
def labels() -> Response:
    return page.show(
        "site/labels.html", tlp=list(Tlp), pap=list(Pap), severities=vocabulary.SEVERITIES.choices(), here="help"
    )
