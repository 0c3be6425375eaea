"""The OpenAPI 3.1 document, made from the routes and the marshmallow schemas they use, and a page that shows it."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flask_swagger_ui
from flask import Blueprint, Response, current_app, jsonify, send_from_directory
from werkzeug.exceptions import NotFound as NoSuchFile
from werkzeug.routing import Rule

from coordinator.api import shapes
from coordinator.api.access import open_to
from coordinator.api.described import Operation
from coordinator.incidents.schema import ReportSchema

if TYPE_CHECKING:
    from apispec import APISpec

routes = Blueprint("openapi", __name__)

PREFIX = "/api/v1"
_FILES = Path(flask_swagger_ui.__file__).parent / "dist"
_DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_WEBHOOK = ("webhook-id", "webhook-timestamp", "webhook-signature")


@routes.get("/openapi.json")
@open_to("the description of the API holds nothing of a case")
def document() -> Response:
    """This document."""
    return jsonify(describe())


def describe() -> dict[str, Any]:
    """The OpenAPI 3.1 document of the application that answers."""
    from apispec import APISpec
    from apispec.ext.marshmallow import MarshmallowPlugin

    spec = APISpec(
        title="Coordinator", version=version("coordinator"), openapi_version="3.1.0",
        info={"description": "Coordination of cyber incidents between states, ministries and CSIRTs."},
        plugins=[MarshmallowPlugin(schema_name_resolver=_name)],
    )  # fmt: skip
    spec.components.security_scheme("token", {"type": "http", "scheme": "bearer"})
    for rule in current_app.url_map.iter_rules():
        operation = getattr(current_app.view_functions[rule.endpoint], "operation", None)
        if operation:
            _add(spec, rule, operation)
    return spec.to_dict()


def _add(spec: APISpec, rule: Rule, operation: Operation) -> None:
    view: Any = current_app.view_functions[rule.endpoint]
    kind, what = view.access
    described: dict[str, Any] = {
        "operationId": rule.endpoint.removeprefix("api.").replace(".", "_"),
        "summary": (view.__doc__ or "").strip().partition("\n")[0],
        "parameters": _parameters(rule, operation, signed=kind == "signed"),
        "responses": _responses(operation),
        "security": [{"token": []}] if kind in ("needs", "signed-in") else [],
    }
    if kind == "needs":
        described["description"] = f"Needs the right `{what.value}`."
    if operation.body:
        content: dict[str, Any] = {media: {"schema": operation.body} for media in operation.media_types}
        content |= {media: {"schema": {"type": "object"}} for media in operation.foreign}
        described["requestBody"] = {"required": True, "content": content}
    elif "PUT" in (rule.methods or ()):
        binary = {"schema": {"type": "string", "format": "binary"}}
        described["requestBody"] = {"required": True, "content": dict.fromkeys(operation.media_types, binary)}
    path = re.sub(r"<(?:[a-z]+:)?([a-z0-9_]+)>", r"{\1}", rule.rule)
    method = next(one for one in ("GET", "POST", "PUT", "PATCH") if one in (rule.methods or ()))
    spec.path(path=path, operations={method.lower(): described})


def _parameters(rule: Rule, operation: Operation, *, signed: bool) -> list[dict[str, Any]]:
    numbers = re.findall(r"<int:([a-z0-9_]+)>", rule.rule)
    found = [
        {"name": name, "in": "path", "required": True,
         "schema": {"type": "integer", "minimum": 1} if name in numbers else {"type": "string"}}
        for name in sorted(rule.arguments)
    ]  # fmt: skip
    found += [{"name": name, "in": "query", "schema": {"type": "string"}} for name in operation.query]
    if operation.if_match:
        found.append({"name": "If-Match", "in": "header", "required": True, "schema": {"type": "string"}})
    if signed:
        found += [{"name": name, "in": "header", "required": True, "schema": {"type": "string"}} for name in _WEBHOOK]
    if rule.endpoint == "api.intake.file_report":
        found.append({"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255}})
    return found


def _responses(operation: Operation) -> dict[str, Any]:
    good: dict[str, Any] = {"description": "As asked."}
    if operation.answer:
        good["content"] = {"application/json": {"schema": operation.answer}}
    elif operation.media_types == ("application/octet-stream",):
        good["content"] = {"application/octet-stream": {}}
    problem = {"application/problem+json": {"schema": shapes.ProblemSchema}}
    return {str(operation.status): good, "default": {"description": "Refused (RFC 9457).", "content": problem}}


def _name(schema: Any) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    name = kind.__name__.removesuffix("Schema")
    return f"Native{name}" if kind is ReportSchema else name


# ---------------------------------------------------------------- the page

docs = Blueprint("docs", __name__)

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Coordinator API</title>
<link rel="stylesheet" href="/api/docs/swagger-ui.css"><link rel="stylesheet" href="/api/docs/index.css">
</head><body><div id="swagger-ui"></div>
<script src="/api/docs/swagger-ui-bundle.js"></script><script src="/api/docs/start.js"></script>
</body></html>
"""
_START = "SwaggerUIBundle({url: '/api/v1/openapi.json', dom_id: '#swagger-ui', validatorUrl: null});\n"


@docs.get("/api/docs")
@docs.get("/api/docs/")
@open_to("the description of the API holds nothing of a case")
def page() -> Response:
    """The API described for people."""
    response = Response(_PAGE, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _DOCS_POLICY
    return response


@docs.get("/api/docs/<name>")
@open_to("files of the page that describes the API")
def file(name: str) -> Response:
    """A file of that page."""
    if name == "start.js":
        return Response(_START, content_type="text/javascript; charset=utf-8")
    if not re.fullmatch(r"[a-z0-9-]+\.(?:css|js|png)", name):
        raise NoSuchFile()
    return send_from_directory(_FILES, name)
