"""What trust rests on where no feature owns it: doors, keys at rest, the record on its way out."""

from __future__ import annotations

import base64
import getpass
import hashlib
import json
import re
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from coordinator import cli, config, timeline
from coordinator.accounts.service import create_link
from coordinator.alerts import service as alerts
from coordinator.alerts.letters import event_for
from coordinator.alerts.rungs import newest_delivery
from coordinator.app import create_app
from coordinator.config import Settings
from coordinator.errors import Misconfigured
from coordinator.incidents.models import Report
from coordinator.partners.models import EndpointKey
from coordinator.store import Store
from coordinator.timeline import queries as record
from coordinator.timeline import sending_hold
from coordinator.timeline.models import DataKey
from coordinator.timeline.verify import newest_checkpoint, verify
from coordinator.upkeep import doctor
from coordinator.vault import open_master_key
from tests.alerting import put_contact, put_incident, put_organisation, put_system, webhook
from tests.factories import PARTNER, PartnerSystem, World, add_secret, native, person, small_world, token_for
from workers import due
from workers.app import make_celery


@pytest.fixture
def https_store(sqlite_store: Store) -> Store:
    """A store behind a proxy that ends TLS."""
    sqlite_store.settings = replace(sqlite_store.settings, base_url="https://coordinator.example", trusted_proxies=1)
    return sqlite_store


# ---------------------------------------------------------------- doors


def test_readyz_fails_while_the_clock_is_doubted(sqlite_store: Store) -> None:
    client = create_app(sqlite_store, pages=False).test_client()
    assert client.get("/readyz").get_json()["parts"]["clock"] is True
    with sqlite_store.unit_of_work() as tx:
        sending_hold.begin(tx, sending_hold.CLOCK, reason="It jumped.", actor="system")
    answer = client.get("/readyz")
    assert answer.status_code == 503 and answer.get_json()["parts"]["clock"] is False


def test_what_is_done_at_the_command_line_names_the_machines_user(sqlite_store: Store, tmp_path: Path) -> None:
    file = tmp_path / "world.json"
    file.write_text('{"organisations": [{"code": "AA-MFA", "name": "A", "kind": "ministry", "communities": []}]}')
    assert cli.main(["load", str(file), "--data", str(sqlite_store.settings.data_dir)]) == 0
    with sqlite_store.read() as tx:
        said = record.entries(tx, incident_id=None, limit=100)
    assert {each["actor"] for each in said} == {f"cli:{getpass.getuser()}"}
    [loaded] = [each for each in said if each["kind"] == "world.loaded"]
    assert loaded["values"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.10", "coordinator.example"])
@pytest.mark.parametrize(
    "said", [{}, {"base_url": "https://coordinator.example"}, {"trusted_proxies": 1},
             {"base_url": "http://coordinator.example", "trusted_proxies": 1}],
)  # fmt: skip
def test_listening_beyond_this_machine_needs_https_and_a_proxy(
    settings: Settings, host: str, said: dict[str, Any]
) -> None:
    with pytest.raises(Misconfigured):
        config.check_bind(replace(settings, **said), host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_listening_on_this_machine_needs_nothing(settings: Settings, host: str) -> None:
    config.check_bind(settings, host)


def test_behind_https_the_cookie_is_the_hosts_own_and_the_browser_stays_with_https(https_store: Store) -> None:
    small_world(https_store)
    client = create_app(https_store).test_client()
    answer = client.get("/sign-in", headers={"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"})
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-")
    assert {"Secure", "HttpOnly", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert "Domain" not in cookie
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")


@pytest.mark.parametrize("path", ["/a/unknown-token", "/sign-in/unknown-token", "/api/v1/report-status/unknown-token"])
def test_answers_with_a_token_in_their_address_are_not_kept_and_send_no_referrer(
    sqlite_store: Store, path: str
) -> None:
    small_world(sqlite_store)
    answer = create_app(sqlite_store).test_client().get(path)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_each_report_keeps_the_id_of_the_key_that_verified_it(store: Store, client: Any, world: World) -> None:
    with store.unit_of_work() as tx:
        newer = add_secret(tx, world.endpoint_id)
    for secret in (world.secret, newer):
        system = PartnerSystem(client, replace(world, secret=secret))
        assert system.post(native(title=secret[-8:-2]), secret[-8:-2]).status_code == 202
    with store.read() as tx:
        kept = list(tx.execute(select(Report.endpoint_key_id).order_by(Report.id)).scalars())
        known = list(tx.execute(select(EndpointKey.id).order_by(EndpointKey.id)).scalars())
    assert kept == known and len(set(kept)) == 2


# ---------------------------------------------------------------- the record


def test_an_incidents_record_can_be_read_as_it_stood(store: Store, client: Any, partner: PartnerSystem) -> None:
    partner.post(native())
    headers = {"Authorization": f"Bearer {token_for(store)}"}
    (incident,) = client.get("/api/v1/incidents", headers=headers).json["items"]
    path = f"/api/v1/incidents/{incident['reference']}"
    before = client.get(f"{path}/timeline", headers=headers).json["items"]
    client.post(f"{path}/notes", json={"text": "Later."}, headers=headers)
    now = client.get(f"{path}/timeline", headers=headers).json["items"]
    then = client.get(f"{path}/timeline?until={before[-1]['at']}", headers=headers).json["items"]
    assert [entry["kind"] for entry in now[len(before):]] == ["note.added"]
    assert then == before


def test_the_newest_checkpoint_is_in_the_sink_file_and_holds(sqlite_store: Store, tmp_path: Path) -> None:
    sink = tmp_path / "elsewhere.json"
    sqlite_store.settings = replace(sqlite_store.settings, checkpoint_sink=str(sink))
    for number in (1, 2):
        with sqlite_store.unit_of_work() as tx:
            timeline.append(tx, "note.added", "Something happened.", actor="system")
        due.checkpoint(sqlite_store)
        assert json.loads(sink.read_bytes())["number"] == number
    with sqlite_store.read() as tx:
        verdict = verify(tx, against=sink.read_bytes())
    assert verdict.broken == "" and "Holds against checkpoint 2" in " ".join(verdict.notes)


def test_the_hash_of_the_newest_checkpoint_leaves_with_every_alert(sqlite_store: Store) -> None:
    small_world(sqlite_store)
    with sqlite_store.unit_of_work() as tx:
        put_organisation(tx, PARTNER)
        put_system(tx, "https://hooks.csirt.example/coordinator")
        put_contact(tx, webhook())
        incident = put_incident(tx, tlp="CLEAR")
    for _ in range(2):
        due.checkpoint(sqlite_store)
        with sqlite_store.unit_of_work() as tx:
            told = alerts.tell(
                tx, incident=incident, kind="initial", title="A title", body="A text.", purpose="incident-response",
                info_category="incident-notification", requested_by="user:1", audience={"organisations": [PARTNER]},
            )  # fmt: skip
            (alert,) = told.permitted
            event = event_for(tx, alert, newest_delivery(tx, alert))
            newest = newest_checkpoint(tx)
        assert newest is not None and event.data["checkpoint"] == newest["hash"]


@pytest.mark.postgresql
@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE mine (id int)", "TRUNCATE entries", "TRUNCATE item_versions CASCADE", "DROP TABLE pending",
     "ALTER TABLE entries DISABLE TRIGGER ALL", "DROP TRIGGER entries_no_update ON entries",
     "ALTER TABLE entries OWNER TO CURRENT_USER", "DROP FUNCTION coordinator_refuse() CASCADE",
     "UPDATE entries SET kind = kind", "DELETE FROM share_decisions", "UPDATE alembic_version SET version_num = '0'",
     "SET session_replication_role = replica"],
)  # fmt: skip
def test_on_postgresql_the_application_has_rows_and_no_structure(
    request: pytest.FixtureRequest, settings: Settings, statement: str
) -> None:
    server = request.getfixturevalue("postgres_server")
    database = server.new_database(template=request.getfixturevalue("postgres_template").name)
    vault = open_master_key(settings.master_key_file, create=True)
    store = Store(replace(settings, database_url=database.app_url), vault=vault)
    with pytest.raises(DBAPIError) as refused, store.unit_of_work() as tx:
        tx.execute(text(statement))
    assert "permission denied" in str(refused.value) or "must be owner" in str(refused.value)
    store.close()
    server.drop_database(database)


# ---------------------------------------------------------------- keys at rest


def test_the_master_key_has_a_file_of_its_own_for_its_owner_and_is_not_in_the_database(sqlite_store: Store) -> None:
    with sqlite_store.unit_of_work() as tx:
        timeline.append(tx, "note.added", "Something happened.", actor="system")
    file = sqlite_store.settings.master_key_file
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    key = file.read_bytes().strip()
    for part in sqlite_store.settings.data_dir.glob("coordinator.db*"):
        assert key not in part.read_bytes() and base64.b64decode(key) not in part.read_bytes()
    with sqlite_store.read() as tx:
        assert tx.execute(select(DataKey.master_key_id)).scalars().first() == sqlite_store.vault.key_id


def test_doctor_warns_while_the_key_shares_the_disk_and_refuses_one_that_others_can_read(sqlite_store: Store) -> None:
    def found() -> doctor.Finding:
        return next(each for each in doctor.examine(sqlite_store.settings) if each.name == "master key")

    assert found().state == "warn"
    sqlite_store.settings.master_key_file.chmod(0o644)
    assert found().state == "wrong"


def test_workers_take_and_send_json_only() -> None:
    settings = make_celery("redis://127.0.0.1:1/0").conf
    assert (settings.task_serializer, settings.result_serializer) == ("json", "json")
    assert set(settings.accept_content) == set(settings.result_accept_content) == {"json"}


# ---------------------------------------------------------------- pages


def officer(store: Store, role: str = "liaison-officer") -> Any:
    """A browser signed in by a one-time link, as somebody of ours."""
    user = person(store, role)
    with store.unit_of_work() as tx:
        token = create_link(tx, user.user_id, actor="cli:test")
    client = create_app(store).test_client()
    page = client.get(f"/sign-in/{token}").text
    assert client.post(f"/sign-in/{token}", data={"csrf_token": csrf(page)}).status_code == 303
    return client


def csrf(page: str) -> str:
    found = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', page)
    assert found is not None
    return found[1]


def test_foreign_text_on_a_page_is_text_and_keeps_its_direction_to_itself(sqlite_store: Store) -> None:
    world = small_world(sqlite_store)
    title = "<script>alert(1)</script> \u202eevil\u202c"
    app = create_app(sqlite_store)
    assert PartnerSystem(app.test_client(), world).post(native(title=title, description=title)).status_code == 202
    client = officer(sqlite_store)
    for path in ("/board", "/incidents/INC-2026-000001"):
        shown = client.get(path).text
        places = [found.start() for found in re.finditer("&lt;script&gt;alert", shown)]
        assert places and "<script>alert" not in shown
        body = shown[shown.index("<main") :]
        for found in re.finditer("&lt;script&gt;alert", body):
            opened = re.findall(r"<[a-z][^>]*>", body[: found.start()])[-1]
            assert opened.startswith("<bdi") or 'dir="auto"' in opened, opened
