"""What schemathesis must be told of a site: ids that are there, versions last seen, and how partner systems sign.

Read by the command of schemathesis (SCHEMATHESIS_HOOKS); CONTRACT_SITE names a file with what is there.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from pathlib import Path
from typing import Any

import schemathesis

from coordinator.partners.signing import signed_headers

_SITE = json.loads(Path(os.environ["CONTRACT_SITE"]).read_text("utf-8"))
_COUNT = itertools.count()


@schemathesis.hook
def map_case(context: Any, case: Any) -> Any:
    """Three of four go to something that is there: else every answer would be that there is no such thing."""
    if case.path_parameters and _lawful(case, "path") and next(_COUNT) % 4:
        known = _SITE["known"]
        case.path_parameters |= {name: known[name] for name in case.path_parameters if name in known}
    if case.headers and _lawful(case, "header") and "If-Match" in case.headers and next(_COUNT) % 4:
        case.headers["If-Match"] = "*" if next(_COUNT) % 8 == 0 else f'"v{next(_COUNT) % 6}"'
    return case


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """What is taken on purpose though the shape says otherwise: "" for what may be missing, and documents that are
    there to be checked."""
    if type(failure).__name__ != "AcceptedNegativeData":
        return True
    return not (case.operation.path.endswith(("/playbooks/check", "/simulate")) or _holds_empty(case.body))


def _lawful(case: Any, place: str) -> bool:
    """Whether this part of the request was made to be right."""
    parts = case.meta.components if case.meta is not None else {}
    return all(part.mode.is_positive for location, part in parts.items() if location.value == place)


def _holds_empty(body: Any) -> bool:
    if isinstance(body, dict):
        return any(_holds_empty(each) for each in body.values())
    return any(_holds_empty(each) for each in body) if isinstance(body, list) else body == ""


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Partner systems sign what is really sent."""
    if "/intake/" in case.operation.path and _lawful(case, "header") and next(_COUNT) % 8:
        kwargs["auth"] = _sign


def _sign(request: Any) -> Any:
    body = request.body or b""
    raw = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
    name = f"contract_{os.getpid()}_{next(_COUNT)}"
    for header, value in dict(signed_headers([_SITE["secret"]], name, int(time.time()), raw)).items():
        request.headers[header] = value
    return request
