"""The signed door for partner systems: reports and the files they announced."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request
from marshmallow import Schema, fields

from coordinator.accounts.rules import Right
from coordinator.api import shapes
from coordinator.api.access import needs, open_to, principal, signed_by_partner, signed_file, store
from coordinator.api.described import describes
from coordinator.api.limits import check_partner
from coordinator.errors import Fault, Invalid, UnsupportedType
from coordinator.incidents import attachments, bursts, intake
from coordinator.incidents.envelope import READERS
from coordinator.incidents.schema import ReportSchema
from coordinator.interchange import stix
from coordinator.partners.queries import IntakeEndpoint
from coordinator.together import Together, Work

routes = Blueprint("intake", __name__)


class AcceptedSchema(Schema):
    report = shapes.text()
    disposition = fields.String(required=True, metadata={"enum": ["accepted", "update", "duplicate", "quarantined"]})
    incident = shapes.text(none=True)
    status_url = shapes.text(format="uri")
    remarks = shapes.number()


class FileSchema(Schema):
    sha256 = shapes.text()
    size = shapes.number()
    state = shapes.text()


class ReportStatusSchema(Schema):
    report = shapes.text()
    disposition = shapes.text()
    remarks = fields.Nested(shapes.RemarksSchema, required=True)


_A_REPORT = describes(body=ReportSchema, answer=AcceptedSchema, status=202, foreign=tuple(READERS)[1:])


@routes.post("/intake/<endpoint>")
@signed_by_partner
@_A_REPORT
def receive(endpoint: IntakeEndpoint, key_id: int) -> Response:
    """A report of a partner system. Durable before it is parsed; answered the same again on a retry."""
    media_type = taken_media_type()
    check_partner(endpoint.slug)
    return answered(
        via="webhook", media_type=media_type, raw=request.get_data(), endpoint=endpoint,
        message_id=request.headers["webhook-id"], endpoint_key_id=key_id,
    )  # fmt: skip


@routes.put("/intake/<endpoint>/attachments/<sha256>")
@signed_file
@describes(answer=FileSchema, media_types=("application/octet-stream",))
def receive_file(endpoint: IntakeEndpoint, sha256: str, body: bytes) -> Response:
    """A file that a report announced. Sent again, it is there already."""
    check_partner(endpoint.slug)
    with store().unit_of_work() as tx:
        stored = attachments.store_announced(
            tx, endpoint_id=endpoint.id, sha256=sha256, body=body, actor=f"endpoint:{endpoint.slug}"
        )
        file = stored[0]
        return jsonify({"sha256": file.sha256, "size": file.size, "state": file.state})


@routes.post("/reports")
@needs(Right.FILE_REPORT)
@_A_REPORT
def file_report() -> Response:
    """A report of one of our own people, or of their tool."""
    media_type = taken_media_type()
    key = idempotency_key()
    return answered(via="api", media_type=media_type, raw=request.get_data(), message_id=key, principal=principal())


@routes.get("/report-status/<token>")
@open_to("the unguessable token was given to the sender; shown are the disposition and where STIX is remarked on")
@describes(answer=ReportStatusSchema)
def report_status(token: str) -> Response:
    with store().read() as tx:
        return jsonify(intake.report_by_status_token(tx, token))


def answered(*, raw: bytes, media_type: str, **how: Any) -> Response:
    """Keep the bytes, then read them in a second transaction, and tell the sender. Raises what is wrong with them."""
    together: Together = current_app.extensions["coordinator.together"]
    vault = store().vault
    arrival = intake.Arrival(raw=raw, media_type=media_type, **how)
    asks = arrival.endpoint.stix_asks if arrival.endpoint else ""

    def read(kept: intake.Kept) -> Work[intake.Answer]:
        answer = kept.answer
        if answer is not None:
            return Work(lambda tx: answer)
        parsed = intake.parse(raw, media_type, asks)
        return Work(
            lambda tx: intake.read_report(tx, kept.report_id, parsed, inbound=kept.inbound),
            bursts.read_all, bursts.unread(vault, kept.inbound, parsed),
        )  # fmt: skip

    answer = together.run(Work(lambda tx: intake.keep(tx, arrival), intake.keep_all, arrival), then=read)
    if answer.refusal is not None:
        raise answer.refusal
    status_url = f"{store().settings.base_url}/api/v1/report-status/{answer.status_token}"
    said: dict[str, Any] = {
        "report": answer.report, "disposition": answer.disposition, "incident": answer.incident,
        "status_url": status_url, "remarks": answer.remarks,
    }  # fmt: skip
    response = jsonify(said)
    response.status_code = 202
    response.headers["Location"] = status_url
    return response


def taken_media_type() -> str:
    """The media type of a report. Raises UnsupportedType for another one, or for another encoding than UTF-8."""
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype not in READERS or charset not in ("utf-8", "utf8"):
        raise UnsupportedType(f"Send one of: {', '.join(READERS)}, in UTF-8.")
    if request.mimetype == stix.MEDIA_TYPE and request.mimetype_params.get("version", stix.VERSION) != stix.VERSION:
        raise UnsupportedType(f"Send STIX in version {stix.VERSION}.")
    return request.mimetype


def idempotency_key() -> str:
    """The Idempotency-Key (IETF draft 07 of that name), with or without its quotes; "" where there is none."""
    text = request.headers.get("Idempotency-Key", "").strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
    if len(text) > 255 or not text.isprintable() or not text.isascii():
        raise Invalid([Fault("", "Send an Idempotency-Key of at most 255 printable ASCII characters.")])
    return text
