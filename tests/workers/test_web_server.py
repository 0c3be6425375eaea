"""The real web server: a connection that is kept asks often, cheaply and rightly, whatever else comes over it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator import timeline
from coordinator.accounts import sessions
from coordinator.app import create_app
from coordinator.store import Store
from tests.alerting import put_incident
from tests.factories import person, small_world, user_row
from tests.harness.processes import PATIENCE, wait_for
from workers.children import die_with_parent


@pytest.fixture
def web(sqlite_store: Store, tmp_path: Path) -> Iterator[int]:
    """The port of a server on the store."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.set_inheritable(True)
        port = door.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "workers.processes", "web", f"fd://{door.fileno()}"], pass_fds=(door.fileno(),),
            env=os.environ | {"COORDINATOR_DATA_DIR": str(sqlite_store.settings.data_dir)}, preexec_fn=die_with_parent,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        yield port
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


def some(kept: socket.socket) -> bytes:
    found = kept.recv(65536)
    assert found, "the server closed the connection"
    return found


def ask(kept: socket.socket, path: str, cookie: str, tag: str = "") -> tuple[int, dict[str, str], str]:
    """(status, headers, body) of one request over a connection that stays open."""
    told = f'If-None-Match: "{tag}"\r\n' if tag else ""
    kept.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n{told}\r\n".encode())
    data = b""
    while b"\r\n\r\n" not in data:
        data += some(kept)
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += some(kept)
    return int(first.split()[1]), headers, body.decode()


def test_a_kept_connection_asks_for_news_beside_everything_else(sqlite_store: Store, web: int) -> None:
    store = sqlite_store
    small_world(store)
    officer = person(store, "liaison-officer")
    with store.unit_of_work() as tx:
        token = sessions.open_session(tx, user_row(tx, officer.user_id), how="test", second_factor=True)
    app = create_app(store)
    signed = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    cookie = f"{app.config['SESSION_COOKIE_NAME']}={signed.dumps({'token': token})}"
    with socket.create_connection(("127.0.0.1", web), timeout=PATIENCE) as kept:
        status, headers, _ = ask(kept, "/board/live", cookie)
        tag = headers["etag"].strip('"')
        assert status == 200 and tag
        quick = 0
        for _look in range(40):
            status, headers, body = ask(kept, "/board/live", cookie, tag)
            assert (status, headers["etag"], body) == (304, f'"{tag}"', "")
            quick += "content-security-policy" not in headers  # the short answer has no use for one
        assert quick
        assert "<html" in ask(kept, "/board", cookie)[2]
        with store.unit_of_work() as tx:
            timeline.append(tx, "incident.opened", "", actor="system", incident=put_incident(tx))
        wait_for(lambda: ask(kept, "/board/live", cookie, tag)[0] == 200, what="the news")
        poll = f"GET /board/live HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n".encode()
        kept.sendall(poll + poll[:30])  # the next one begins in the same packet, and is whole a little later
        time.sleep(0.2)
        kept.sendall(poll[30:])
        answers = b""
        while answers.count(b"\r\n\r\n") < 2:
            answers += some(kept)
        assert answers.count(b"HTTP/1.1 200 OK") == 2
