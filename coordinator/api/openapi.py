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

from coordinator.api import refusals, shapes
from coordinator.api.access import open_to
from coordinator.api.described import Operation
from coordinator.incidents.schema import ReportSchema
from coordinator.outside.faults import Shape

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

    spec = APISpec(
        title="Coordinator", version=version("coordinator"), openapi_version="3.1.0",
        info={"description": "Coordination of cyber incidents between states, ministries and CSIRTs."},
        plugins=[_plugin()],
    )  # fmt: skip
    spec.components.security_scheme("token", {"type": "http", "scheme": "bearer"})
    for status_name, said in refusals.components(shapes.ProblemSchema).items():
        spec.components.response(status_name, said)
    for rule in current_app.url_map.iter_rules():
        operation = getattr(current_app.view_functions[rule.endpoint], "operation", None)
        if operation:
            _add(spec, rule, operation)
    return spec.to_dict()


def _add(spec: APISpec, rule: Rule, operation: Operation) -> None:
    view: Any = current_app.view_functions[rule.endpoint]
    kind, what = view.access
    method = next(one for one in ("GET", "POST", "PUT", "PATCH") if one in (rule.methods or ()))
    described: dict[str, Any] = {
        "operationId": rule.endpoint.removeprefix("api.").replace(".", "_"),
        "summary": (view.__doc__ or "").strip().partition("\n")[0],
        "parameters": _parameters(rule, operation, signed=kind == "signed"),
        "responses": _responses(operation, refusals.refusals(
            method=method, access=kind, body=operation.body is not None or method == "PUT",
            argued=bool(operation.query), addressed=bool(rule.arguments), if_match=operation.if_match,
            more=operation.more,
        )),
        "security": [{"token": []}] if kind in ("needs", "signed-in") else [],
    }
    if kind == "needs":
        described["description"] = f"Needs the right `{what.value}`."
    if operation.body:
        content: dict[str, Any] = {media: {"schema": operation.body} for media in operation.media_types}
        content |= {media: {"schema": {"type": "object"}} for media in operation.foreign}
        described["requestBody"] = {"required": not operation.bare, "content": content}
    elif "PUT" in (rule.methods or ()):
        binary = {"schema": {"type": "string", "format": "binary"}}
        described["requestBody"] = {"required": True, "content": dict.fromkeys(operation.media_types, binary)}
    path = re.sub(r"<(?:[a-z]+:)?([a-z0-9_]+)>", r"{\1}", rule.rule)
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
    if operation.tagged:
        found.append({"name": "If-None-Match", "in": "header", "schema": {"type": "string"}})
    if signed:
        found += [{"name": name, "in": "header", "required": True, "schema": {"type": "string"}} for name in _WEBHOOK]
    if rule.endpoint == "api.intake.file_report":
        found.append({"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255}})
    return found


def _responses(operation: Operation, refused: list[int]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": "As asked."}
    if operation.answer:
        good["content"] = {"application/json": {"schema": operation.answer}}
    elif operation.media_types == ("application/octet-stream",):
        good["content"] = {"application/octet-stream": {}}
    same = {"304": {"description": "It is still as it was."}} if operation.tagged else {}
    return {str(operation.status): good} | same | {str(status): refusals.name_of(status) for status in refused}


def _plugin() -> Any:
    """What we take is exactly its shape, and null in a field that may be missing means that it is (faults.Shape). What
    we answer may hold more than its shape: clients ignore what they do not know."""
    from apispec.ext.marshmallow import MarshmallowPlugin, OpenAPIConverter

    class Converter(OpenAPIConverter):
        def schema2jsonschema(self, schema: Any) -> Any:
            found = super().schema2jsonschema(schema)
            if not isinstance(schema, Shape) and not (isinstance(schema, type) and issubclass(schema, Shape)):
                found.pop("additionalProperties", None)
                return found
            needed = found.get("required", ())
            return found | {"properties": {
                name: said if name in needed else _or_null(said) for name, said in found["properties"].items()
            }}  # fmt: skip

    class Plugin(MarshmallowPlugin):
        pass

    Plugin.Converter = Converter
    return Plugin(schema_name_resolver=_name)


def _or_null(said: dict[str, Any]) -> dict[str, Any]:
    if "type" not in said:
        return {"anyOf": [said, {"type": "null"}]} if said else said
    kinds = said["type"] if isinstance(said["type"], list) else [said["type"]]
    more = {"enum": [*said["enum"], None]} if "enum" in said and None not in said["enum"] else {}
    return said | {"type": list(dict.fromkeys([*kinds, "null"]))} | more


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
