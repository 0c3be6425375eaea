"""What is wrong with this installation: one finding a line, each with what to do."""

from __future__ import annotations

import os
import smtplib
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import timedelta
from urllib.parse import urlsplit

from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from coordinator import clock, migrations
from coordinator.accounts.models import User
from coordinator.alerts.queries import waiting_to_be_sent
from coordinator.config import Settings
from coordinator.errors import CoordinatorError
from coordinator.partners import http_hosts, openpgp
from coordinator.partners.models import Organisation
from coordinator.partners.queries import duty_role, pinned_keys
from coordinator.store import Store
from coordinator.tasks.models import Task
from coordinator.timeline import sending_hold
from coordinator.timeline.models import Heartbeat, Pending
from coordinator.upkeep import rotation
from coordinator.upkeep.backup import BACKUP

#: A process that said nothing for this long is taken for dead.
SILENT = timedelta(seconds=60)
#: A row that waits longer than this means that nobody does the work.
STUCK = timedelta(seconds=60)
STALE_BACKUP = timedelta(hours=24)
SECRET = {"secret_key", "metrics_token"}


SERVICE_PATIENCE = 2.0  # seconds for each service that playbooks call


@dataclass(frozen=True)
class Finding:
    """`state`: ok, warn or wrong."""

    name: str
    state: str
    text: str


def settings_listing(settings: Settings) -> list[str]:
    """Every setting as `NAME = value`; secrets only as set or not set, passwords in URLs left out."""
    lines = []
    for field in fields(settings):
        value = getattr(settings, field.name)
        shown = ("set" if value else "not set") if field.name in SECRET else _without_password(str(value))
        lines.append(f"COORDINATOR_{field.name.upper()} = {shown}")
    return lines


def examine(settings: Settings) -> list[Finding]:
    """All findings, in a fixed order. Never raises for something that is wrong: that is a finding."""
    try:
        store = Store(settings)
    except CoordinatorError as refused:
        return [Finding("settings", "wrong", refused.detail)]
    try:
        return look(store)
    finally:
        store.close()


def look(store: Store, *, patience: float = 5) -> list[Finding]:
    """`examine` for a store that is open. `patience`: seconds the mail server has to answer."""
    found, settings = [_database(store)], store.settings
    if found[0].state == "ok":
        for one in (_migrations, _people, _roles, _processes, _watched, _pending, _sending, _backup, _rotation,
                    _sealed_mail, _services):
            found.append(_guarded(one, store))
    return [*found, _broker(store), _mail(settings, patience), _disk(store), _master_key(settings)]


def _guarded(one: Callable[[Store], Finding], store: Store) -> Finding:
    try:
        return one(store)
    except SQLAlchemyError as error:
        return Finding(one.__name__.strip("_"), "wrong", f"could not be read ({type(error).__name__})")


def _database(store: Store) -> Finding:
    try:
        with store.read() as tx:
            tx.execute(text("SELECT 1")).one()
        return Finding("database", "ok", f"answers ({store.engine.dialect.name})")
    except SQLAlchemyError as error:
        return Finding("database", "wrong", f"does not answer ({type(error).__name__}): check COORDINATOR_DATABASE_URL")


def _migrations(store: Store) -> Finding:
    todo = migrations.pending_revisions(store.engine)
    if todo:
        return Finding("migrations", "wrong", f"{len(todo)} to do: run `coordinator migrate`")
    return Finding("migrations", "ok", "up to date")


def _people(store: Store) -> Finding:
    with store.read() as tx:
        own = tx.execute(select(Organisation.code).where(Organisation.is_own)).scalars().all()
        administrators = tx.execute(
            select(func.count()).where(User.role == "administrator", User.state == "active")
        ).scalar_one()
    if len(own) != 1:
        return Finding("own organisation", "wrong", "exactly one must be ours: load a world file that says which")
    if not administrators:
        return Finding("administrator", "warn", "nobody administers yet: use the link of the first start")
    return Finding("own organisation", "ok", own[0])


def _roles(store: Store) -> Finding:
    with store.read() as tx:
        needed = [duty_role(tx), "coordinator", "release-authority"]
        held = set(tx.execute(select(User.role).where(User.state == "active")).scalars())
        given = select(Task.role, Task.fallback_role).where(Task.state == "open", Task.assignee_id.is_(None)).distinct()
        needed += [row.role for row in tx.execute(given) if held.isdisjoint((row.role, row.fallback_role))]
    empty = sorted({role for role in needed if role not in held})
    if empty:
        return Finding("roles", "wrong", f"nobody holds: {', '.join(empty)}. Add a user with `coordinator user add`")
    return Finding("roles", "ok", "every needed role is held by somebody")


def _processes(store: Store) -> Finding:
    with store.read() as tx:
        alive = set(tx.execute(select(Heartbeat.kind).where(Heartbeat.at > clock.now() - SILENT)).scalars())
    missing = [kind for kind in ("worker", "relay") if kind not in alive]
    if missing:
        return Finding("processes", "wrong", f"no sign of life within 60 s from: {', '.join(missing)}")
    return Finding("processes", "ok", "worker and relay are alive")


def _pending(store: Store) -> Finding:
    now = clock.now()
    with store.read() as tx:
        oldest = tx.execute(
            select(func.min(Pending.ready_at)).where(Pending.dead.is_(False), Pending.ready_at <= now)
        ).scalar()
        dead = tx.execute(select(func.count()).where(Pending.dead)).scalar_one()
    if dead:
        return Finding("pending", "wrong", f"{dead} given up after failures: mend the cause, then `coordinator retry`")
    if oldest is not None and now - oldest > STUCK:
        return Finding("pending", "wrong", f"the oldest has waited {int((now - oldest).total_seconds())} s")
    return Finding("pending", "ok", "nothing waits too long")


def _watched(store: Store) -> Finding:
    with store.read() as tx:
        seen = tx.execute(select(func.max(Heartbeat.at)).where(Heartbeat.kind == "sweeper")).scalar()
    if seen is not None and abs(clock.now() - seen) <= SILENT:
        return Finding("clocks", "ok", "are watched")
    since = f" since {clock.rfc3339(seen)}" if seen is not None else ""
    return Finding("clocks", "wrong", f"not watched{since}: is the relay running, and the broker?")


def _sending(store: Store) -> Finding:
    with store.read() as tx:
        kinds, waiting = sorted(sending_hold.kinds(tx)), waiting_to_be_sent(tx)
    if kinds:
        what = f"on hold ({', '.join(kinds)}), {waiting} wait: `coordinator sending resume` when settled"
        return Finding("sending", "warn", what)
    return Finding("sending", "ok", f"goes on, {waiting} wait")


def _backup(store: Store) -> Finding:
    with store.read() as tx:
        last = tx.execute(select(Heartbeat.at).where(Heartbeat.name == BACKUP)).scalar_one_or_none()
    if last is None:
        return Finding("backup", "warn", "none was made: run `coordinator backup`")
    if clock.now() - last > STALE_BACKUP:
        return Finding("backup", "warn", f"the last one is of {clock.rfc3339(last)}: run `coordinator backup`")
    return Finding("backup", "ok", f"the last one is of {clock.rfc3339(last)}")


def _rotation(store: Store) -> Finding:
    with store.read() as tx:
        key_id, left = rotation.state(tx)
    if left:
        text = f"{left} data keys are not under the master key in use: run `coordinator keys rotate`"
        return Finding("keys", "wrong", text)
    return Finding("keys", "ok", f"every data key is under the master key {key_id}")


def _sealed_mail(store: Store) -> Finding:
    with store.read() as tx:
        pinned = pinned_keys(tx)
    broken = sorted(code for code, key in pinned if not openpgp.usable(key))
    ending = sorted(code for code, key in pinned if code not in broken and not openpgp.usable(key, in_days=30))
    if broken:
        text = f"nothing goes by mail to {', '.join(broken)}: their OpenPGP key is of no use"
        return Finding("sealed mail", "wrong", text)
    if ending:
        text = f"the OpenPGP key of {', '.join(ending)} ends within 30 days: ask for the renewed one"
        return Finding("sealed mail", "warn", text)
    return Finding("sealed mail", "ok", f"{len(pinned)} addresses have an OpenPGP key")


def _services(store: Store) -> Finding:
    """The services that playbooks call by themselves: whether each can be reached, still counts, and has its secret."""
    with store.read() as tx:
        rows = http_hosts.in_use(tx)
    wrong = [f"{row.code}: {row.fault}" for row in rows if row.fault]
    if not store.settings.egress_proxy:  # else only the proxy reaches them
        wrong += [f"{row.code}: does not answer" for row in rows if not row.fault and not _answers(row.origin)]
    if wrong:
        return Finding("services", "warn", f"playbooks call services that they cannot: {', '.join(wrong)}")
    return Finding("services", "ok", f"{len(rows)} that playbooks call")


def _answers(origin: str) -> bool:
    parts = urlsplit(origin)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=SERVICE_PATIENCE).close()
    except OSError:
        return False
    return True


def _broker(store: Store) -> Finding:
    if not store.settings.redis_url:
        return Finding("broker", "warn", "COORDINATOR_REDIS_URL is not set: `coordinator up` brings its own")
    if store.live.answers():
        return Finding("broker", "ok", "answers")
    return Finding("broker", "wrong", "does not answer: check COORDINATOR_REDIS_URL")


def _mail(settings: Settings, patience: float) -> Finding:
    if not settings.smtp_url:
        return Finding("mail", "warn", "COORDINATOR_SMTP_URL is not set: nobody can be told by mail")
    url = urlsplit(settings.smtp_url)
    kind = smtplib.SMTP_SSL if url.scheme == "smtps" else smtplib.SMTP
    try:
        with kind(url.hostname or "localhost", url.port or 0, timeout=patience) as server:
            server.noop()
        return Finding("mail", "ok", "the mail server answers")
    except (OSError, smtplib.SMTPException) as error:
        return Finding("mail", "wrong", f"the mail server does not answer ({type(error).__name__})")


def _disk(store: Store) -> Finding:
    free, reserve = store.free_bytes(), store.settings.disk_reserve_bytes
    if free < reserve:
        return Finding("disk", "wrong", f"only {free // 2**20} MiB are free: no report is taken until there is room")
    if free < 2 * reserve:
        return Finding("disk", "wrong", f"only {free // 2**20} MiB are free under the data directory")
    return Finding("disk", "ok", f"{free // 2**30} GiB free")


def _master_key(settings: Settings) -> Finding:
    path = settings.master_key_file
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return Finding("master key", "wrong", "others can read the file: chmod 600 it")
    if settings.database_url.startswith("sqlite") and os.stat(path).st_dev == os.stat(settings.data_dir).st_dev:
        return Finding("master key", "warn", "it shares the disk with the database: set COORDINATOR_MASTER_KEY_FILE")
    return Finding("master key", "ok", "kept apart, readable by its owner only")


def _without_password(value: str) -> str:
    parts = urlsplit(value) if "://" in value else None
    if parts is None or parts.password is None:
        return value
    return value.replace(f":{parts.password}@", ":…@")


