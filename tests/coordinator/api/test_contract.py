"""The API answers as its own description says, whatever is sent: the short form of `python -m tests.contract`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from coordinator.api import shapes, work
from coordinator.api.described import Operation
from coordinator.app import create_app
from coordinator.store import Store
from tests.contract.asking import ask, by_role
from tests.factories import small_world, token_for
from tests.hostile.site import Site


@pytest.fixture
def site(sqlite_store: Store) -> Iterator[Site]:
    server = make_server("127.0.0.1", 0, create_app(sqlite_store), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Site(f"http://127.0.0.1:{server.server_port}", sqlite_store, small_world(sqlite_store))
    server.shutdown()
    thread.join(10)
    server.server_close()


def _known(site: Site) -> dict[str, object]:
    return {"known": site.known, "secret": site.world.secret}


@pytest.mark.slow
def test_every_operation_answers_as_the_description_says_to_one_who_may_and_to_nobody(
    site: Site, tmp_path: Path
) -> None:  # fmt: skip
    for role, operations in by_role(site.url).items():
        token = token_for(site.store, role.value)
        code, said = ask(
            site.url, token=token, site=_known(site), folder=tmp_path / role, phases="fuzzing", examples=3,
            only=operations,
        )  # fmt: skip
        assert code == 0, f"{role}: {said}"


def test_an_answer_that_is_not_described_would_be_found(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(work.me, "operation", Operation(answer=shapes.TaskSchema))
    code, said = ask(
        site.url, token=token_for(site.store), site=_known(site), folder=tmp_path, phases="fuzzing", examples=1,
        only=["work_me"],
    )  # fmt: skip
    assert code == 1 and "Response violates schema" in said
