"""docker-compose.yml and Dockerfile, looked at without an engine: valid, closed, complete.

That the commands of its services work together on a real PostgreSQL and a real Redis is shown in tests/flows.
"""

import json
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
import yaml

from coordinator import config
from tests.composition import ROOT, interpolate, load, local_command, local_environment
from tests.harness.processes import PATIENCE, answers, wait_for
from tests.postgres import APP, OWNER, PostgresServer, find_programs
from workers.app import QUEUES
from workers.broker import _server_binary

BASE_URL = {"COORDINATOR_BASE_URL": "https://coordinator.example"}
ONE_SHOT = {"migrate"}
OURS = {"migrate", "web", "worker", "worker-alerts", "relay"}


@pytest.fixture(scope="module")
def composition() -> dict[str, Any]:
    return load(BASE_URL)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compose") / "secrets"
    subprocess.run([ROOT / "docker" / "make-secrets", folder], check=True, capture_output=True)
    return folder


def faults(composition: dict[str, Any]) -> list[str]:
    """What an accreditor would refuse, one sentence a fault."""
    found = []
    for name, service in composition["services"].items():
        if "healthcheck" not in service and name not in ONE_SHOT:
            found.append(f"{name} has no health check")
        if (service.get("restart") == "no") is not (name in ONE_SHOT):
            found.append(f"{name} must restart unless it runs once")
        if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", str(service.get("user", ""))):
            found.append(f"{name} may run as root")
        if not service.get("read_only"):
            found.append(f"{name} can write to its own files")
        if service.get("cap_drop") != ["ALL"] or service.get("cap_add"):
            found.append(f"{name} keeps capabilities")
        if service.get("security_opt") != ["no-new-privileges:true"] or service.get("privileged"):
            found.append(f"{name} may gain privileges")
        if set(service) & {"network_mode", "pid", "ipc", "userns_mode", "devices", "env_file", "links"}:
            found.append(f"{name} shares more than it needs")
        if any("docker.sock" in str(volume) for volume in service.get("volumes", [])):
            found.append(f"{name} holds the engine")
        found += [f"{name} opens {port} beyond loopback" for port in ports(service) if port[0] != "127.0.0.1"]
        found += [f"{name} uses {each} undeclared" for each in secrets_of(service) - set(composition["secrets"])]
        found += [f"{name} reads {each} without being given it" for each in secrets_read(service) - secrets_of(service)]
        found += [
            f"{name} has {key} in the open" for key in service.get("environment", {}) if in_the_open(key, service)
        ]
        if image_tag(service) in ("", "latest"):
            found.append(f"{name} runs whatever version is newest")
    used = {each for service in composition["services"].values() for each in secrets_of(service)}
    found += [f"nobody uses the secret {each}" for each in set(composition["secrets"]) - used]
    return found


def ports(service: dict[str, Any]) -> list[tuple[str, ...]]:
    return [tuple(str(port).rsplit(":", 2)) for port in service.get("ports", [])]


def secrets_of(service: dict[str, Any]) -> set[str]:
    return set(service.get("secrets", []))


def secrets_read(service: dict[str, Any]) -> set[str]:
    text = json.dumps([service.get("command", []), service.get("environment", {})])
    return set(re.findall(r"/run/secrets/(\w+)", text))


def in_the_open(key: str, service: dict[str, Any]) -> bool:
    secret = re.search(r"PASSWORD|SECRET|TOKEN|DATABASE_URL|REDIS_URL|SMTP_URL|MASTER_KEY", key)
    return bool(secret) and not str(service["environment"][key]).startswith("/run/secrets/")


def image_tag(service: dict[str, Any]) -> str:
    return str(service["image"]).rpartition("/")[2].partition(":")[2]


def test_the_composition_is_valid_by_the_schema_of_the_specification(tmp_path: Path) -> None:
    def check(text: str) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "docker-compose.yml"
        file.write_text(text)
        check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
        return subprocess.run(check, capture_output=True, text=True)

    text = (ROOT / "docker-compose.yml").read_text()
    done = check(text)
    assert done.returncode == 0, done.stdout + done.stderr
    assert check(text.replace("cap_drop: [ALL]", "cap_drop: ALL")).returncode == 1


def test_every_service_is_closed_and_every_secret_is_a_file(composition: dict[str, Any]) -> None:
    assert faults(composition) == []


def change(service: str, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda composition: composition["services"][service].update(values)


@pytest.mark.parametrize(
    ("break_it", "fault"),
    [
        (lambda c: c["services"]["web"].pop("healthcheck"), "web has no health check"),
        (change("web", ports=["8080:8080"]), "web opens ('8080', '8080') beyond loopback"),
        (change("web", ports=["0.0.0.0:80:8080"]), "web opens ('0.0.0.0', '80', '8080') beyond loopback"),
        (change("redis", user="0:0"), "redis may run as root"),
        (change("redis", user="redis"), "redis may run as root"),
        (lambda c: c["services"]["relay"].pop("user"), "relay may run as root"),
        (change("worker", read_only=False), "worker can write to its own files"),
        (change("worker", cap_add=["SYS_ADMIN"]), "worker keeps capabilities"),
        (change("worker", privileged=True), "worker may gain privileges"),
        (change("worker", network_mode="host"), "worker shares more than it needs"),
        (change("migrate", restart="always"), "migrate must restart unless it runs once"),
        (change("web", restart="no"), "web must restart unless it runs once"),
        (change("web", secrets=[]), "web reads secret_key without being given it"),
        (change("redis", image="valkey/valkey"), "redis runs whatever version is newest"),
        (lambda c: c["secrets"].pop("redis_url"), "web uses redis_url undeclared"),
        (lambda c: c["secrets"].update(spare={}), "nobody uses the secret spare"),
        (lambda c: c["services"]["postgres"]["environment"].update(POSTGRES_PASSWORD="x"), "in the open"),
        (change("web", volumes=["/var/run/docker.sock:/var/run/docker.sock"]), "web holds the engine"),
    ],
)
def test_a_hole_in_the_composition_is_seen(
    composition: dict[str, Any], break_it: Callable[[dict[str, Any]], object], fault: str
) -> None:
    broken = deepcopy(composition)
    break_it(broken)
    assert any(fault in found for found in faults(broken)), faults(broken)


def test_the_migration_runs_once_before_any_other_part_and_alone_holds_the_owner(composition: dict[str, Any]) -> None:
    services = composition["services"]
    assert {name for name in services if "owner_database_url" in secrets_of(services[name])} == ONE_SHOT
    for name in OURS - ONE_SHOT:
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert set(services["migrate"]["depends_on"]) == {"postgres", "redis"}


def test_every_part_of_ours_runs_the_same_image_with_the_same_settings(composition: dict[str, Any]) -> None:
    services = composition["services"]
    assert set(services) - OURS == {"postgres", "redis"}
    assert all(services[name]["command"][0] == "coordinator" for name in OURS)
    assert len({services[name]["image"] for name in OURS}) == 1
    plain = {name: services["web"]["environment"][name] for name in services["web"]["environment"]}
    for name in OURS - ONE_SHOT:
        assert services[name]["environment"] == plain
    assert "COORDINATOR_OUTBOUND_ALLOW_PRIVATE" not in plain


def test_what_an_operator_chooses_is_handed_on_and_left_out_it_is_the_default(composition: dict[str, Any]) -> None:
    plain = composition["services"]["web"]["environment"]
    chosen = {"BACKUP_KEY", "EGRESS_PROXY", "FLOOD_LIMIT", "LOG_LEVEL"}
    assert {name: plain[f"COORDINATOR_{name}"] for name in chosen} == dict.fromkeys(chosen, "")
    handed = load({"COORDINATOR_BASE_URL": "https://c.example", "COORDINATOR_BACKUP_KEY": "age1x"})
    assert handed["services"]["worker"]["environment"]["COORDINATOR_BACKUP_KEY"] == "age1x"
    empty, unset = (config.load(env, data_dir="x") for env in ({f"COORDINATOR_{each}": "" for each in chosen}, {}))
    assert empty == unset


def test_workers_can_be_multiplied_and_each_queue_has_one(composition: dict[str, Any]) -> None:
    workers = {name: service for name, service in composition["services"].items() if "worker" in service["command"]}
    served = [queue for service in workers.values() for queue in service["command"][-1].split(",")]
    assert sorted(served) == sorted(QUEUES)
    assert not any({"container_name", "ports", "hostname"} & set(service) for service in workers.values())


def test_the_stores_have_no_way_out_and_only_the_door_and_the_senders_have(composition: dict[str, Any]) -> None:
    assert composition["networks"]["inside"] == {"internal": True}
    outside = {name for name, service in composition["services"].items() if "outside" in service["networks"]}
    assert outside == {"web", "worker-alerts"}


def test_without_a_public_address_it_does_not_start() -> None:
    with pytest.raises(LookupError, match="https address"):
        load({})
    assert interpolate("${A:-b} ${C}", {"C": "d"}) == "b d"
    with pytest.raises(LookupError, match="C is not set"):
        interpolate("${C}", {})


def test_the_secrets_are_made_once_complete_and_behind_a_closed_door(
    composition: dict[str, Any], secrets: Path
) -> None:
    declared = {Path(each["file"]).name for each in composition["secrets"].values()}
    assert {path.name for path in secrets.iterdir()} == declared
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    writable = {path.name for path in secrets.iterdir() if path.stat().st_mode & 0o222}
    assert writable == {"smtp_url"}, "the one that an operator writes"
    before = {path.name: path.read_text() for path in secrets.iterdir()}
    again = subprocess.run([ROOT / "docker" / "make-secrets", secrets], capture_output=True, text=True)
    assert again.returncode == 1
    assert "nothing was changed" in again.stderr
    assert {path.name: path.read_text() for path in secrets.iterdir()} == before
    words = [before[name] for name in ("postgres_password", "postgres_owner_password", "postgres_app_password")]
    assert len(set(words)) == 3
    assert all(re.fullmatch(r"[0-9a-f]{64}\n", word) for word in words)


def test_the_secrets_never_reach_the_repository_or_the_image() -> None:
    ignored = subprocess.run(["git", "check-ignore", "-q", "secrets/master_key"], cwd=ROOT)
    assert ignored.returncode == 0
    allowed = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"
    assert "!secrets" not in allowed


def test_the_broker_of_the_composition_asks_for_its_password_and_forgets_nothing(
    composition: dict[str, Any], secrets: Path, tmp_path: Path
) -> None:
    _, *arguments = local_command(composition["services"]["redis"], secrets)
    path = tmp_path / "s"
    door = ["--port", "0", "--unixsocket", str(path), "--dir", str(tmp_path)]
    process = subprocess.Popen([_server_binary(), *arguments, *door], stdout=subprocess.DEVNULL)
    try:
        password = redis.connection.parse_url((secrets / "redis_url").read_text())["password"]
        client = redis.Redis(unix_socket_path=str(path), password=password)
        wait_for(lambda: path.exists() and answers(client), what="the broker")
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("save") == {"save": ""}
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(unix_socket_path=str(path)).ping()
        client.close()
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.mark.postgresql
def test_the_first_start_of_the_database_makes_an_owner_and_a_role_without_structure(
    server: PostgresServer, secrets: Path, tmp_path: Path
) -> None:
    with psycopg.connect(server.superuser_url, autocommit=True) as connection:
        connection.execute(f"DROP ROLE {OWNER}").connection.execute(f"DROP ROLE {APP}")  # as in a new cluster
    script = (ROOT / "docker" / "postgres-roles.sql").read_text().replace("/run/secrets", str(secrets))
    psql = shutil.which("psql") or str(find_programs() / "psql")
    command = [psql, "-X", "-v", "ON_ERROR_STOP=1", "--no-password", "--dbname", server.superuser_url]
    done = subprocess.run(command, input=script, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with psycopg.connect(server.superuser_url) as connection:
        stored = dict(connection.execute("SELECT rolname, rolpassword FROM pg_authid").fetchall())
        rights = connection.execute(
            "SELECT has_database_privilege(%s, 'coordinator', 'CREATE'), has_database_privilege(%s, 'coordinator', "
            "'TEMP'), has_database_privilege(%s, 'coordinator', 'CONNECT')",
            (APP, APP, APP),
        ).fetchone()
    assert rights == (False, False, True)
    assert stored[OWNER].startswith("SCRAM-SHA-256$") and stored[APP].startswith("SCRAM-SHA-256$")


def instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(words[0], words[1]) for words in lines]


def test_the_image_runs_as_nobody_in_particular_from_locked_packages() -> None:
    steps = instructions()
    assert [value for name, value in steps if name == "USER"] == ["10001:10001"]
    assert [name for name, _ in steps].index("USER") > max(at for at, (name, _) in enumerate(steps) if name == "COPY")
    assert not [value for name, value in steps if name == "ADD"]
    installs = [value for name, value in steps if name == "RUN" and " install " in value and "pip" in value]
    assert len(installs) == 2
    assert all("--require-hashes" in value or "--no-build-isolation" in value for value in installs)
    assert all("--no-deps" in value for value in installs)
    copied = {word for name, value in steps if name == "COPY" and "--from" not in value for word in value.split()[:-1]}
    assert [path for path in copied if not (ROOT / path).exists()] == []
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == allowed


def test_the_image_and_the_composition_agree_on_user_and_data(composition: dict[str, Any]) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    for name in OURS:
        service = composition["services"][name]
        assert service["user"] == "10001:10001"
        assert service["volumes"] == ["data:/var/lib/coordinator"]
    assert "COORDINATOR_DATA_DIR=/var/lib/coordinator" in dockerfile
    assert "install -d -o coordinator -g coordinator -m 0700 /var/lib/coordinator" in dockerfile


def test_a_service_can_be_run_here_with_the_secrets_it_was_given(composition: dict[str, Any], secrets: Path) -> None:
    web = composition["services"]["web"]
    environment = local_environment(web, secrets)
    assert environment["COORDINATOR_SECRET_KEY_FILE"] == str(secrets / "secret_key")
    assert environment["COORDINATOR_BASE_URL"] == "https://coordinator.example"
    assert local_environment({**web, "secrets": []}, secrets)["COORDINATOR_SECRET_KEY_FILE"].startswith("/run/secrets/")
    assert yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["web"]["command"] == web["command"]
