"""Polls that are answered from their raw bytes: only what was looked at lately, only while it holds."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from coordinator.incidents import service
from coordinator.incidents.references import parse_reference
from coordinator.web.live import glance
from tests.coordinator.web.conftest import Browser, Desk
from tests.coordinator.web.test_board import poll

KNOWN = re.compile(
    rb'HTTP/1\.1 (\d+) [^\r]*\r\n(?:Content-Length: 0\r\n)?ETag: "([0-9a-f]{20})"\r\n.*\r\n\r\n', re.DOTALL
)


def raw(browser: Browser, path: str, tag: str = "") -> bytes:
    cookie = browser.client.get_cookie("coordinator")
    assert cookie is not None
    told = f'If-None-Match: "{tag}"\r\n' if tag else ""
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nX-Live: 1\r\ncookie: coordinator={cookie.value}\r\n{told}\r\n".encode()


def seen(desk: Desk, asked: bytes) -> tuple[int, str] | None:
    answer = glance(desk.app, asked)
    if answer is None:
        return None
    parts = KNOWN.fullmatch(answer)
    assert parts, answer
    return int(parts[1]), parts[2].decode()


def test_a_poll_is_answered_at_a_glance_once_it_was_looked_at(desk: Desk, file_report: Callable[..., str]) -> None:
    officer = desk.sit("liaison-officer")
    reference = file_report(officer)
    for path in ("/board/live", f"/incidents/{reference}/live"):
        assert seen(desk, raw(officer, path)) is None
        tag = poll(officer, path)[1].strip('"')
        assert seen(desk, raw(officer, path)) == (200, tag)
        assert seen(desk, raw(officer, path, tag)) == (304, tag)
        assert seen(desk, raw(officer, path, "older")) == (200, tag)


def test_a_glance_ends_with_what_it_stood_on(desk: Desk, file_report: Callable[..., str]) -> None:
    officer = desk.sit("liaison-officer")
    reference, coordinator = file_report(officer), desk.who("coordinator")
    tag = poll(officer, "/board/live")[1].strip('"')
    with desk.store.unit_of_work() as tx:
        service.transition(tx, parse_reference(reference) or 0, "triage", principal=coordinator)
    pulse = desk.app.extensions["pulse"]
    pulse.versions.forget()  # half a second later
    assert seen(desk, raw(officer, "/board/live", tag)) is None
    newer = poll(officer, "/board/live")[1].strip('"')
    assert seen(desk, raw(officer, "/board/live", tag)) == (200, newer)
    pulse.glances.forget()  # ten seconds later
    assert seen(desk, raw(officer, "/board/live", newer)) is None


def test_nobody_sees_by_the_glance_of_another(desk: Desk, file_report: Callable[..., str]) -> None:
    duty, officer = desk.sit("duty-officer"), desk.sit("liaison-officer")
    reference = file_report(officer, tlp="RED", caveats_named_recipients="x@y.example")
    path = f"/incidents/{reference}/live"
    assert poll(duty, path)[0] == 200
    assert seen(desk, raw(duty, path)) is not None
    other = desk.sit("coordinator")
    assert poll(other, path)[0] == 404
    assert seen(desk, raw(other, path)) is None
    assert poll(other, "/board/live")[1] != poll(duty, "/board/live")[1]
    assert seen(desk, raw(other, "/board/live")) != seen(desk, raw(duty, "/board/live"))


def test_who_is_signed_out_is_told_so(desk: Desk) -> None:
    officer = desk.sit("liaison-officer")
    poll(officer, "/board/live")
    asked = raw(officer, "/board/live")
    officer.text("/board")
    assert officer.post("/sign-out").status_code in (302, 303)
    assert seen(desk, asked) is None
    assert poll(officer, "/board/live")[0] == 401


@pytest.mark.parametrize("change", [
    lambda asked: asked + b"GET /board/live HTTP/1.1\r\n\r\n",
    lambda asked: asked[:-2],
    lambda asked: asked.replace(b"GET", b"POST"),
    lambda asked: asked.replace(b"HTTP/1.1", b"HTTP/1.0"),
    lambda asked: asked.replace(b"/board/live", b"/board/live?x=1"),
    lambda asked: asked.replace(b"\r\nHost", b"\r\nContent-Length: 5\r\nHost"),
    lambda asked: asked.replace(b"\r\nHost", b"\r\nTransfer-Encoding: chunked\r\nHost"),
    lambda asked: asked.replace(b"\r\nHost", b"\r\nConnection: close\r\nHost"),
    lambda asked: asked.replace(b"\r\nHost", b"\r\nCookie: coordinator=x\r\nHost"),
    lambda asked: asked.replace(b"\r\nHost", b'\r\nIf-None-Match: "a"\r\nIf-None-Match: "b"\r\nHost'),
    lambda asked: asked.replace(b"cookie:", b"x-cookie:"),
    lambda asked: b"",
])  # fmt: skip
def test_anything_unusual_goes_the_long_way(desk: Desk, change: Callable[[bytes], bytes]) -> None:
    officer = desk.sit("liaison-officer")
    poll(officer, "/board/live")
    asked = raw(officer, "/board/live")
    assert glance(desk.app, asked) is not None
    assert glance(desk.app, change(asked)) is None
