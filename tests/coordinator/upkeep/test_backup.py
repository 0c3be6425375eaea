"""A sealed backup while everything runs, and a restore into an empty store: a new epoch, on hold."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import zlib
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest
from sqlalchemy import func, select, text

from coordinator import clock, config, timeline
from coordinator.accounts import service as accounts
from coordinator.accounts import sessions
from coordinator.accounts.service import create_link, create_token
from coordinator.alerts.models import Alert, Delivery
from coordinator.errors import Misconfigured, NotParseable, Refused
from coordinator.incidents.models import Incident
from coordinator.sharing.service import redecide
from coordinator.store import Store
from coordinator.timeline import sending_hold
from coordinator.timeline.models import Epoch
from coordinator.timeline.queries import entries
from coordinator.timeline.verify import checkpoint, newest_checkpoint, verify
from coordinator.upkeep import dump
from coordinator.upkeep.backup import make_backup, read_identity
from coordinator.upkeep.restore import _ASKED, restore
from coordinator.vault import open_master_key
from tests.alerting import alert_of, deliveries, put_organisation, put_system, settings_of
from tests.factories import PARTNER, PartnerSystem, World, native, person, user_row
from tests.postgres import PostgresServer
from tests.receiving import told
from workers import deliver as worker
from workers.jobs import Later

SECRET = "Ransomware at a hospital, not to be read in a backup"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    made = pyrage.x25519.Identity.generate()
    file = tmp_path / "backup-key.txt"
    file.write_text(f"# public key: {made.to_public()}\n{made}\n")
    return file


def back_up(store: Store, key: Path, name: str = "a.age") -> Path:
    with settings_of(store, backup_key=str(read_identity(key).to_public())):
        made = make_backup(store, key.parent / name, actor="cli:test")
    assert made.digest == hashlib.sha256(made.path.read_bytes()).hexdigest() and not made.own_pair
    return made.path


def empty_home(store: Store, folder: Path) -> config.Settings:
    """Settings of an empty one-machine store with the master key in place."""
    settings = config.load({}, data_dir=folder)
    settings.master_key_file.parent.mkdir(parents=True)
    shutil.copy(store.settings.master_key_file, settings.master_key_file)
    return settings


def plain(file: Path, key: Path) -> bytes:
    opened = io.BytesIO()
    pyrage.decrypt_io(io.BytesIO(file.read_bytes()), opened, [read_identity(key)])
    return zlib.decompress(opened.getvalue())


def counts(store: Store) -> dict[str, int]:
    with store.read() as tx:
        return {table.name: tx.execute(select(func.count()).select_from(table)).scalar_one() for table in dump.tables()}


def asks_of_new_rows(store: Store) -> bool:
    """Whether the database refuses new rows that would let something out: all that it ever refuses."""
    query = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND sql LIKE '%BEFORE INSERT%'"
    if not store.one_machine:
        query = "SELECT trigger_name FROM information_schema.triggers WHERE event_manipulation = 'INSERT'" \
                " AND action_timing = 'BEFORE'"
    with store.read() as tx:
        there = set(tx.execute(text(query)).scalars())
    return there == {name for rows in _ASKED for name, *_rest in rows}


@pytest.fixture
def filled(store: Store, world: World, partner: PartnerSystem) -> Store:
    """A report, an alert that waits to be sent and is refused by now, somebody signed in, a link and a token."""
    assert partner.post(native(title="Something at a hospital", description=SECRET, tlp="AMBER")).status_code == 202
    officer = person(store, "coordinator")
    with store.unit_of_work() as tx:
        put_organisation(tx, PARTNER)
        put_system(tx, "https://hooks.fi.example/hook")
        sessions.open_session(tx, user_row(tx, officer.user_id), how="test")
        create_link(tx, officer.user_id, actor="cli:test")
        create_token(tx, officer.user_id, name="t", scopes=["read"], actor="cli:test")
    alert = told(store)
    with store.unit_of_work() as tx:
        row = tx.get_one(Alert, alert)
        tx.get_one(Incident, row.incident_id).tlp = "AMBER"
        tx.flush()
        assert redecide(tx, row.decision_id, now=clock.now()).result == "deny"
    return store


def test_what_was_backed_up_is_there_after_a_restore_and_waits_on_hold(
    filled: Store, key: Path, tmp_path: Path
) -> None:
    file = back_up(filled, key)
    before, [sent] = counts(filled), deliveries(filled, 1)
    public_id = alert_of(filled, sent.alert_id).public_id
    settings = empty_home(filled, tmp_path / "new")
    done = restore(settings, file, key, actor="cli:anna")
    assert done.epoch == 2 and done.lost_entries is None
    there = Store(settings)
    after = counts(there)
    grown = {"entries", "entry_values", "epochs", "sending_holds", "pending"}
    assert {name: count for name, count in after.items() if name not in grown} == {
        name: count for name, count in before.items() if name not in grown
    }
    assert asks_of_new_rows(there)
    with there.read() as tx:
        assert verify(tx).broken == ""
        assert tx.execute(select(Incident.id)).scalars().all() and tx.execute(select(Epoch.number)).scalar_one() == 2
        row = tx.get_one(Delivery, sent.id)
        assert (row.webhook_id, row.state) == (sent.webhook_id, "queued")
        assert tx.get_one(Alert, sent.alert_id).public_id == public_id
        said = [(entry["kind"], entry["actor"]) for entry in entries(tx, incident_id=None)]
        assert ("record.restored", "cli:anna") in said and ("sending.held", "cli:anna") in said
        assert sending_hold.kinds(tx) == {"restore"}
        assert tx.execute(text("SELECT count(*) FROM user_sessions")).scalar_one() == 0
        assert tx.execute(text("SELECT count(*) FROM sign_in_links")).scalar_one() == 0
        assert tx.execute(text("SELECT count(*) FROM api_tokens WHERE revoked_at IS NULL")).scalar_one() == 0
    with pytest.raises(Later):
        worker.deliver(there, sent.id)
    there.close()


@pytest.mark.postgresql
def test_a_backup_of_one_machine_goes_into_postgresql_and_new_rows_follow_the_old(
    filled: Store, key: Path, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    file = back_up(filled, key)
    database = postgres_server.new_database()
    settings = replace(
        empty_home(filled, tmp_path / "new"), database_url=database.app_url, owner_database_url=database.owner_url
    )
    restore(settings, file, key, actor="cli:anna")
    there = Store(settings)
    assert asks_of_new_rows(there)
    with there.unit_of_work() as tx:
        assert verify(tx).broken == ""
        accounts.create_user(tx, email="new@aa.example", name="New", role="analyst", actor="cli:test")
    with there.read() as tx:
        owners = tx.execute(text("SELECT count(*) FROM pg_constraint WHERE contype = 'f'")).scalar_one()
    with filled.read() as tx:
        if not filled.one_machine:
            assert owners == tx.execute(text("SELECT count(*) FROM pg_constraint WHERE contype = 'f'")).scalar_one()
    there.close()
    postgres_server.drop_database(database)


def test_a_backup_opens_with_its_private_key_only_and_holds_neither_content_nor_the_master_key(
    filled: Store, key: Path, tmp_path: Path
) -> None:
    file = back_up(filled, key)
    opened, master = plain(file, key), filled.settings.master_key_file.read_bytes().strip()
    for hidden in (SECRET.encode(), master, base64.b64decode(master), base64.b64decode(master).hex().encode()):
        assert hidden not in opened and hidden not in file.read_bytes()
    header = json.loads(opened.splitlines()[0])
    with filled.read() as tx:
        assert header["checkpoint"] == newest_checkpoint(tx)
        assert entries(tx, incident_id=None)[-1]["kind"] == "backup.made"
    other = tmp_path / "other.txt"
    other.write_text(str(pyrage.x25519.Identity.generate()))
    with pytest.raises(Misconfigured, match="does not open"):
        restore(empty_home(filled, tmp_path / "new"), file, other, actor="cli:anna")


def test_only_an_empty_store_takes_a_backup_and_only_with_the_master_key_of_that_time(
    sqlite_store: Store, key: Path, tmp_path: Path
) -> None:
    person(sqlite_store)
    file = back_up(sqlite_store, key)
    with pytest.raises(Refused, match="empty store"):
        restore(sqlite_store.settings, file, key, actor="cli:anna")
    bare = config.load({}, data_dir=tmp_path / "bare")
    with pytest.raises(Misconfigured, match="Put the master key"):
        restore(bare, file, key, actor="cli:anna")
    open_master_key(bare.master_key_file, create=True)
    with pytest.raises(Misconfigured, match="master key with id"):
        restore(bare, file, key, actor="cli:anna")


def test_a_backup_that_is_cut_short_or_made_by_another_leaves_the_store_empty(
    sqlite_store: Store, key: Path, tmp_path: Path
) -> None:
    person(sqlite_store)
    file = back_up(sqlite_store, key)
    lines = plain(file, key).splitlines(keepends=True)
    end = json.loads(lines[-1])
    forged = [b"".join(lines[:-1]), b"".join(lines[:-1]) + json.dumps(end | {"mac": "0" * 64}).encode() + b"\n",
              b"".join(lines).replace(b"coordinator@", b"intruder@"), b"{}\n", b"[]\n", b"\xff\n"]  # fmt: skip
    settings = empty_home(sqlite_store, tmp_path / "new")
    broken = tmp_path / "broken.age"
    for content in forged:
        broken.write_bytes(pyrage.encrypt(zlib.compress(content), [read_identity(key).to_public()]))
        with pytest.raises(NotParseable):
            restore(settings, broken, key, actor="cli:anna")
    broken.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(NotParseable):
        restore(settings, broken, key, actor="cli:anna")
    restore(settings, file, key, actor="cli:anna")  # still empty


def test_a_later_checkpoint_finds_the_rollback_says_so_and_counts_what_is_missing(
    sqlite_store: Store, key: Path, tmp_path: Path
) -> None:
    person(sqlite_store)
    file = back_up(sqlite_store, key)
    with sqlite_store.unit_of_work() as tx:
        for number in range(5):
            timeline.append(tx, "test.said", str(number), actor="system")
        checkpoint(tx)
        tx.flush()
        kept = json.dumps(newest_checkpoint(tx)).encode()
    later = tmp_path / "later.json"
    later.write_bytes(kept)
    settings = empty_home(sqlite_store, tmp_path / "new")
    done = restore(settings, file, key, actor="cli:anna", against=later)
    assert done.lost_entries == 6  # five, and that a backup was made
    there = Store(settings)
    with there.unit_of_work() as tx:
        assert verify(tx).broken == ""
        found = verify(tx, against=kept).broken
        assert "is gone" in found and "It was restored at" in found
        checkpoint(tx)  # takes the number of the lost one
    with there.read() as tx:
        assert "is not the one that was signed" in verify(tx, against=kept).broken
    there.close()


def test_without_a_key_one_machine_makes_a_pair_and_others_are_refused(sqlite_store: Store) -> None:
    made = make_backup(sqlite_store, None, actor="cli:test")
    own = sqlite_store.settings.data_dir / "keys" / "backup.key"
    assert made.own_pair and made.path.parent.name == "backups" and own.stat().st_mode & 0o077 == 0
    assert plain(made.path, own) and made.path.stat().st_mode & 0o077 == 0
    with pytest.raises(Refused):
        make_backup(sqlite_store, made.path, actor="cli:test")
    for settings in (replace(sqlite_store.settings, backup_key="age1nonsense"),
                     replace(sqlite_store.settings, database_url="postgresql+psycopg://x@/x")):  # fmt: skip
        sqlite_store.settings = settings
        with pytest.raises(Misconfigured, match="COORDINATOR_BACKUP_KEY"):
            make_backup(sqlite_store, None, actor="cli:test")
    assert clock.now() and not list(made.path.parent.glob("*.partial"))
