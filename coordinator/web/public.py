"""The public page: what a person published. No sign-in, no cookie, no script; the same bytes for everybody, to be kept
by caches for a minute. And the desk's way to it."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, current_app, request
from flask_babel import gettext as _

from coordinator import clock
from coordinator.accounts.rules import Right
from coordinator.alerts import publishing
from coordinator.errors import Invalid
from coordinator.incidents.queries import get_visible
from coordinator.status import public_page, release_desk
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs, open_to

pages = Blueprint("public", __name__)

#: Seconds that a cache may keep an answer: as long as a withdrawn text may still be read from one.
KEPT = 60
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
FEED = "application/feed+json"


@pages.get("/public")
@open_to("everybody: only texts that a release authority cleared for the public and a person published")
def listed() -> Response:
    with access.store().read() as tx:
        shown = public_page.notices(tx)
    return _page("public/list.html", shown=shown)


@pages.get("/public/feed.json")
@open_to("everybody, for their readers: the same as the page")
def feed() -> Response:
    """JSON Feed 1.1. A withdrawn notice stays in it and says so."""
    with access.store().read() as tx:
        shown = public_page.notices(tx)
    base = access.store().settings.base_url
    items = [_item(one, base) for one in shown["items"]]
    said = {"version": "https://jsonfeed.org/version/1.1", "title": shown["sender"],
            "home_page_url": f"{base}/public", "feed_url": f"{base}/public/feed.json", "items": items}  # fmt: skip
    return _kept(Response(json.dumps(said, ensure_ascii=False, indent=2), content_type=FEED))


@pages.get("/public/<public_id>")
@open_to("everybody: one of these texts")
def one(public_id: str) -> Response:
    with access.store().read() as tx:
        shown = public_page.one(tx, public_id)
    return _page("public/one.html", one=shown, shown=shown)


# ---------------------------------------------------------------- the desk


@pages.post("/incidents/<reference>/releases/<int:number>/ask-public")
@needs(Right.REQUEST_RELEASE, fresh=True)
def ask(reference: str, number: int) -> Any:
    with access.store().unit_of_work() as tx:
        _seen(tx, reference, number)
        publishing.ask(tx, number, principal=access.required())
    return page.after("releases.one", _("Asked. Nothing is published before it is cleared and a person publishes it."),
                      reference=reference, number=number)  # fmt: skip


@pages.post("/incidents/<reference>/releases/<int:number>/publish")
@needs(Right.REQUEST_RELEASE, fresh=True)
def publish(reference: str, number: int) -> Any:
    with access.store().unit_of_work() as tx:
        _seen(tx, reference, number)
        publishing.publish(tx, number, principal=access.required())
    return page.after("releases.one", _("Published."), reference=reference, number=number)


@pages.post("/incidents/<reference>/releases/<int:number>/withdraw-notice")
@needs(Right.REQUEST_RELEASE)
def withdraw(reference: str, number: int) -> Any:
    try:
        with access.store().unit_of_work() as tx:
            row = _seen(tx, reference, number)
            found = publishing.notice_of(tx, row)
            publishing.withdraw(tx, found.public_id, principal=access.required(), reason=request.form.get("reason", ""))
    except Invalid as error:
        message = next(iter(page.errors_by_field(error).values()))
        return page.after("releases.one", message, reference=reference, number=number)
    return page.after("releases.one", _("Withdrawn: the page says so, without the text."), reference=reference,
                      number=number)  # fmt: skip


def _seen(tx: Any, reference: str, number: int) -> Any:
    return release_desk.one(tx, get_visible(tx, reference, principal=access.required()), min(number, 2**53))


# ---------------------------------------------------------------- as everybody gets it


def _page(template: str, **given: Any) -> Response:
    """Rendered without what pages of signed-in people are given: nothing here depends on who looks."""
    text = current_app.jinja_env.get_template(template).render(asset=page.asset, **given)
    return _kept(Response(text, content_type="text/html; charset=utf-8"))


def _kept(answer: Response) -> Response:
    answer.headers["Content-Security-Policy"] = POLICY
    answer.headers["Cache-Control"] = f"public, max-age={KEPT}"
    answer.add_etag()
    answer.make_conditional(request)
    return answer


def _item(one: dict[str, Any], base: str) -> dict[str, Any]:
    state = "withdrawn" if one["withdrawn_at"] else "corrected" if one["corrected_by"] else "published"
    newest = one["withdrawn_at"] or (one["corrected_by"] or {}).get("at") or one["published_at"]
    gone = f"Withdrawn on {clock.rfc3339(one['withdrawn_at'])}." if one["withdrawn_at"] else "Not available."
    said = {"tlp": "CLEAR", "state": state, "kind": one["kind"]}
    if one["corrects"]:
        said["corrects"] = f"{base}/public/{one['corrects']['public_id']}"
    if one["corrected_by"]:
        said["corrected_by"] = f"{base}/public/{one['corrected_by']['public_id']}"
    return {
        "id": f"{base}/public/{one['public_id']}", "url": f"{base}/public/{one['public_id']}",
        **({"title": one["title"]} if one["title"] else {}),
        "content_text": one["body"] if one["body"] is not None else gone,
        "date_published": clock.rfc3339(one["published_at"]), "date_modified": clock.rfc3339(newest),
        "language": one["language"], "_coordinator": said,
    }  # fmt: skip
