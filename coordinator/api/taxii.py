"""TAXII 2.1, read only: to each partner one collection of what was released to it, decided again at each reading.

Source: OASIS TAXII 2.1. A token of a partner's person opens it, as Bearer or as the password of HTTP Basic. A
collection of another partner is answered exactly as one that does not exist.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from coordinator.accounts.rules import Right
from coordinator.api.access import needs, principal, store
from coordinator.api.bodies import instant_argument, text_argument, whole_argument, words_argument
from coordinator.errors import CoordinatorError, Invalid, NoRight, NotFound, NotReady, NotSignedIn, TooMany
from coordinator.interchange import collection
from coordinator.interchange.collection import Asked, Collection, Page

MEDIA_TYPE = "application/taxii+json;version=2.1"
ROOT = "/taxii2/released/"
#: Objects of one page, at most.
LONGEST_PAGE = 200
_STIX = "application/stix+json;version=2.1"

routes = Blueprint("taxii", __name__, url_prefix="/taxii2")
_partner = needs(Right.SEE_PARTNER_VIEW, basic=True)


class NotAcceptable(CoordinatorError):
    """The client takes no TAXII 2.1."""

    status = 406
    title = "Ask for TAXII 2.1"


# ---------------------------------------------------------------- what there is


@routes.get("/")
@_partner
def discovery() -> Response:
    """The server and its one root."""
    url = store().settings.base_url + ROOT
    return _said({
        "title": "Coordinator", "description": "What was released to you.", "default": url, "api_roots": [url],
    })  # fmt: skip


@routes.get("/released/")
@_partner
def root() -> Response:
    """The root: what it speaks."""
    return _said({
        "title": "Released to you", "versions": [MEDIA_TYPE], "max_content_length": 1024,
        "description": "Read only. Each reading is decided anew under the agreements in force.",
    })  # fmt: skip


@routes.get("/released/status/<status_id>/")
@_partner
def status(status_id: str) -> Response:
    """Nothing is added here, so that there is no status of an addition."""
    raise NotFound()


@routes.get("/released/collections/")
@_partner
def listed() -> Response:
    """Your collections."""
    with store().read() as tx:
        found = [_described(each) for each in collection.collections(tx, reader=principal())]
    return _said({"collections": found} if found else {})


@routes.get("/released/collections/<collection_id>/")
@_partner
def one(collection_id: str) -> Response:
    """One of them."""
    with store().read() as tx:
        return _said(_described(collection.one(tx, collection_id, reader=principal())))


def _described(each: Collection) -> dict[str, Any]:
    return {"id": each.id, "title": each.title, "can_read": True, "can_write": False, "media_types": [_STIX]}


# ---------------------------------------------------------------- what is in it


@routes.get("/released/collections/<collection_id>/manifest/")
@_partner
def manifest(collection_id: str) -> Response:
    """What there is, without what it says."""
    page = _page(collection_id, _asked(), whole=False)
    return _paged(page, "objects", [
        {"id": row.object_id, "date_added": _instant(row.added_at), "version": row.version, "media_type": _STIX}
        for row in page.rows
    ])  # fmt: skip


@routes.get("/released/collections/<collection_id>/objects/")
@_partner
def objects(collection_id: str) -> Response:
    """What was released to you, in the order in which it was added."""
    page = _page(collection_id, _asked())
    return _paged(page, "objects", page.objects)


@routes.get("/released/collections/<collection_id>/objects/<object_id>/")
@_partner
def one_object(collection_id: str, object_id: str) -> Response:
    """One object."""
    page = _page(collection_id, _asked(ids=(object_id[:300],)), must_be=object_id)
    return _paged(page, "objects", page.objects)


@routes.get("/released/collections/<collection_id>/objects/<object_id>/versions/")
@_partner
def versions(collection_id: str, object_id: str) -> Response:
    """The versions of one object."""
    page = _page(collection_id, _asked(ids=(object_id[:300],), versions=("all",)), whole=False, must_be=object_id)
    return _paged(page, "versions", [row.version for row in page.rows])


@routes.post("/released/collections/<collection_id>/objects/")
@routes.delete("/released/collections/<collection_id>/objects/<object_id>/")
@_partner
def written(collection_id: str, object_id: str = "") -> Response:
    """Nothing can be added or taken away."""
    with store().read() as tx:
        collection.one(tx, collection_id, reader=principal())
    raise NoRight("This collection can only be read.")


def _page(collection_id: str, asked: Asked, *, whole: bool = True, must_be: str = "") -> Page:
    """Reading brings the list up to date and goes on record, so that this is a transaction that may write."""
    with store().unit_of_work() as tx:
        found = collection.one(tx, collection_id, reader=principal())
        page = collection.read(tx, found, asked, reader=principal(), whole=whole)
        if must_be and not page.rows and not _is_there(tx, found, must_be):
            raise NotFound()
        return page


def _is_there(tx: Any, found: Collection, object_id: str) -> bool:
    """Whether it is there at all, though no version of it fits what was asked."""
    asked = Asked(ids=(object_id,), versions=("all",), limit=1)
    return bool(collection.read(tx, found, asked, reader=principal(), whole=False).rows)


def _asked(*, ids: tuple[str, ...] = (), versions: tuple[str, ...] = ()) -> Asked:
    """The filters and the place in the query. Raises Invalid."""
    return Asked(
        ids=ids or _matched("id"), types=_matched("type"), versions=versions or _matched("version") or ("last",),
        spec_versions=_matched("spec_version"), added_after=instant_argument("added_after"),
        after=whole_argument("next", 0, least=0), limit=min(whole_argument("limit", 100), LONGEST_PAGE),
    )  # fmt: skip


def _matched(name: str) -> tuple[str, ...]:
    text_argument(f"match[{name}]", longest=5000)
    return tuple(words_argument(f"match[{name}]"))[:100]


# ---------------------------------------------------------------- how it is said


def _paged(page: Page, name: str, listed: list[Any]) -> Response:
    body: dict[str, Any] = {"more": page.next is not None}
    if page.next is not None:
        body["next"] = str(page.next)
    response = _said(body | {name: listed} if listed else {})
    if page.rows:
        response.headers["X-TAXII-Date-Added-First"] = _instant(page.rows[0].added_at)
        response.headers["X-TAXII-Date-Added-Last"] = _instant(page.rows[-1].added_at)
    return response


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _said(body: dict[str, Any], code: int = 200) -> Response:
    said = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    return Response(said, status=code, content_type=MEDIA_TYPE)


@routes.before_request
def _acceptable() -> None:
    """TAXII 2.1, 1.6.8 (content negotiation): the client says that it takes this version, or anything."""
    said = request.headers.get("Accept", "").replace(" ", "").replace('"', "").lower()
    given = [part.partition(";q=")[0] for part in said.split(",")]
    if given != [""] and not {"*/*", "application/*", "application/taxii+json", MEDIA_TYPE} & set(given):
        raise NotAcceptable(f"Send Accept: {MEDIA_TYPE}.")


@routes.errorhandler(CoordinatorError)
def _refused(error: CoordinatorError) -> Response:
    code = 400 if isinstance(error, Invalid) else error.status
    detail = " ".join(fault.detail for fault in error.errors) if isinstance(error, Invalid) else error.detail
    response = _said({"title": error.title, "description": detail, "http_status": str(code)}, code)
    if isinstance(error, NotSignedIn):
        response.headers["WWW-Authenticate"] = 'Bearer, Basic realm="taxii"'
    if isinstance(error, NotReady | TooMany):
        response.headers["Retry-After"] = str(getattr(error, "retry_after", 5))
    return response


@routes.errorhandler(HTTPException)
def _refused_by_server(error: HTTPException) -> Response:
    return _said({"title": error.name, "http_status": str(error.code or 500)}, error.code or 500)


