"""One request of a playbook step, under the guard that alerts to partners' systems go through (webhook.py)."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import requests

from coordinator.config import Settings
from workers.channels.deadline import Deadline, TimeOver
from workers.channels.webhook import (
    CONNECT_SECONDS,
    MOST_ANSWER_BYTES,
    READ_SECONDS,
    WHOLE_SECONDS,
    AddressRefused,
    check_written_address,
    guarded_session,
    ranges,
    retry_after,
)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is sent. `headers` hold the credential and the idempotency key; they are written to no log."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    allow_private: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of one attempt: `outcome` is done, retry or refused; `said` says it for people, without content."""

    outcome: str
    said: str
    status: int | None = None
    body: bytes = b""
    retry_after: float | None = None
    left: bool = True  # False where nothing of it can have been read


def call(settings: Settings, request: Request) -> Answer:
    """One attempt. 2xx is done; 429, 5xx and whatever did not answer is to be repeated; the rest is refused."""
    allowed = ranges(request.allow_private, settings)
    try:
        check_written_address(request.url, allowed)
        with Deadline(WHOLE_SECONDS) as deadline, guarded_session(settings, allowed) as session, session.request(
            request.method, request.url, data=request.body or None, headers=dict(request.headers), stream=True,
            timeout=(CONNECT_SECONDS, READ_SECONDS), allow_redirects=False,
        ) as answer:
            deadline.check()
            body = _bounded(answer)
            return _judged(answer, body)
    except TimeOver:
        return Answer(outcome="retry", said="it did not answer in time")
    except AddressRefused:
        return Answer(outcome="refused", said="its address is not allowed", left=False)
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.InvalidHeader):
        return Answer(outcome="refused", said="the request cannot be sent as it is", left=False)
    except requests.exceptions.SSLError:
        return Answer(outcome="retry", said="its certificate could not be verified", left=False)
    except requests.RequestException as fault:
        return Answer(outcome="retry", said=f"no connection: {type(fault).__name__}")


def _judged(answer: requests.Response, body: bytes) -> Answer:
    status = answer.status_code
    said = f"answered {status}"
    if 200 <= status < 300:
        return Answer(outcome="done", said=said, status=status, body=body)
    if status == 429 or status >= 500:
        wait = retry_after(answer.headers.get("Retry-After"))
        return Answer(outcome="retry", said=said, status=status, body=body, retry_after=wait)
    return Answer(outcome="refused", said=said, status=status, body=body)


def _bounded(answer: requests.Response) -> bytes:
    """The answer, as far as it is read: it may be endless."""
    found = b""
    with contextlib.suppress(requests.RequestException):
        for part in answer.iter_content(8192):
            found += part
            if len(found) > MOST_ANSWER_BYTES:
                return found[:MOST_ANSWER_BYTES]
    return found
