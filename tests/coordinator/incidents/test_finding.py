"""Finding incidents on both stores: among the newest and by the index of words alike, and never what is not to be."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, text, update

from coordinator import clock, config, migrations, timeline
from coordinator.accounts.principal import Principal
from coordinator.app import create_app
from coordinator.incidents import changes, finding
from coordinator.incidents.finding import Wanted, find_incidents, named_incidents
from coordinator.incidents.models import TO_CLEAR, Incident, IncidentMember, PartnerReference
from coordinator.incidents.references import reference_of
from coordinator.store import Store
from coordinator.vault import open_master_key
from tests.alerting import put_incident
from tests.factories import PartnerSystem, World, native, person, small_world

TITLES = {
    "Hôpital de l'Île: gateway encrypted": {"states_affected": ["FI", "EE"], "sectors": ["health"], "severity": 4},
    "المُسْتَشْفَى المركزي": {"states_affected": ["LV"], "sectors": ["health"], "severity": 2},
    "医院网络攻击": {"states_affected": ["LV"], "sectors": ["public-administration"]},
    "Ransomware in the EU, gateway": {"sectors": ["energy"], "severity": 1, "external_id": "FI-2026/0017"},
    'Quote " and % and _ and \\ and \' and *': {},
}
HOSTILE = (
    "%", "_", '"', "'", "\\", "*", "a*", "NEAR(a b)", "a AND b OR NOT c", "words : x", "state:fi", '"state:fi"', "^a",
    "a:*", "'a' | 'b'", "!", "\u202e", "\x00", "a\x00b", "💥", "x" * 5000, "a " * 3000, "';DROP TABLE incidents;--",
)  # fmt: skip


@pytest.fixture
def partner(client: Any, world: World) -> PartnerSystem:
    return PartnerSystem(client, world)


@pytest.fixture
def filed(store: Store, partner: PartnerSystem) -> Principal:
    for title, more in TITLES.items():
        assert partner.post(native(title=title, **more)).status_code == 202
    return person(store, "coordinator")


@pytest.fixture(params=["newest", "index"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Nothing is looked through: all must come by the index."""
    if request.param == "index":
        monkeypatch.setattr(finding, "WINDOW", 0)
    return str(request.param)


def titles(store: Store, principal: Principal, **wanted: Any) -> list[str]:
    with store.read() as tx:
        return [row.title[:9] for row in find_incidents(tx, Wanted(**wanted), principal=principal)]


@pytest.mark.parametrize("wanted, expected", [
    ({"q": "hopital ILE"}, ["Hôpital d"]),
    ({"q": "المستشفى"}, ["المُسْتَش"]),
    ({"q": "网络"}, ["医院网络攻击"]),
    ({"q": "击"}, ["医院网络攻击"]),
    ({"q": "eu"}, ["Ransomwar"]),
    ({"q": "gateway"}, ["Ransomwar", "Hôpital d"]),
    ({"q": "gateway encr"}, ["Hôpital d"]),
    ({"q": "fi-2026/0017"}, ["Ransomwar"]),
    ({"q": "gateway", "sector": "energy"}, ["Ransomwar"]),
    ({"state": "LV"}, ["医院网络攻击", "المُسْتَش"]),
    ({"state": "LV", "sector": "health"}, ["المُسْتَش"]),
    ({"sector": "public-administration"}, ["医院网络攻击"]),
    ({"sector": "health", "severities": (3, 4, 5)}, ["Hôpital d"]),
    ({"sector": "health", "statuses": ("closed",)}, []),
    ({"state": "FI", "owner": 0, "statuses": ("reported", "triage")}, ["Hôpital d"]),
    ({"q": "nowhere"}, []),
    ({"q": "???"}, []),
])  # fmt: skip
def test_words_and_codes_find_the_same_either_way(
    store: Store, filed: Principal, way: str, wanted: dict[str, Any], expected: list[str]
) -> None:
    assert titles(store, filed, **wanted) == expected


def test_hostile_searches_find_nothing_and_break_nothing(store: Store, filed: Principal, way: str) -> None:
    for asked in HOSTILE:
        assert len(titles(store, filed, q=asked)) < len(TITLES), asked
        with store.read() as tx:
            assert named_incidents(tx, asked, principal=filed) == []


def test_pages_by_the_index_hold_every_hit_once(store: Store, partner: PartnerSystem, way: str) -> None:
    for number in range(7):
        partner.post(native(title=f"Gateway {number}"))
    officer, seen, before = person(store), [], None
    with store.read() as tx:
        while page := find_incidents(tx, Wanted(q="gateway"), principal=officer, before=before, limit=3):
            seen += [row.title for row in page]
            before = (page[-1].updated_at, page[-1].id)
    assert seen == [f"Gateway {number}" for number in range(6, -1, -1)]


def test_an_incident_is_found_at_once_and_by_its_new_title_only(store: Store, filed: Principal, way: str) -> None:
    with store.unit_of_work() as tx:
        incident = tx.execute(select(Incident).where(Incident.title.startswith("Ransomware"))).scalar_one()
        changes.apply(tx, incident, {"title": "Wiper", "states_affected": ["SE"]}, principal=filed)
    assert titles(store, filed, q="wiper") == ["Wiper"]
    assert titles(store, filed, q="ransomware") == []
    assert titles(store, filed, q="fi-2026/0017") == titles(store, filed, state="SE") == ["Wiper"]


def test_restricted_words_are_not_in_the_index_and_leave_it(store: Store, partner: PartnerSystem, way: str) -> None:
    partner.post(native(title="Canary one", tlp="RED", states_affected=["FI"], external_id="canary-17"))
    partner.post(native(title="Canary two"))
    duty = person(store, "duty-officer")
    assert titles(store, duty, q="canary") == ["Canary tw"]
    with store.unit_of_work() as tx:
        changes.close_off(tx, tx.execute(select(Incident).where(Incident.title == "Canary two")).scalar_one())
    assert titles(store, duty, q="canary") == []
    assert len(titles(store, duty, state="FI")) == 1  # for those who may know of it
    assert titles(store, person(store, "liaison-officer"), state="FI") == []
    with store.read() as tx:
        if tx.get_bind().dialect.name == "sqlite":
            tx.execute(text("CREATE VIRTUAL TABLE temp.held USING fts5vocab(main, incident_words, row)"))
            assert "canary" not in tx.execute(text("SELECT term FROM temp.held")).scalars().all()
        else:
            held = text("SELECT unnest(tsvector_to_array(to_tsvector('simple', search_text))) FROM incidents")
            assert "canary" not in tx.execute(held).scalars().all()


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)  # PostgreSQL writes over it when it vacuums
def test_in_the_file_nothing_is_left_of_the_title_of_what_was_restricted(store: Store, partner: PartnerSystem) -> None:
    partner.post(native(title="Wiper canaryzq5", description="of canaryzq6"))
    file = store.settings.data_dir / "coordinator.db"

    def kept() -> list[bytes]:
        with store.unit_of_work() as tx:
            tx.execute(text("SELECT 1"))
        with sqlite3.connect(file) as beside:
            beside.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        found = b"".join(each.read_bytes() for each in file.parent.glob("coordinator.db*")).lower()
        return [word for word in (b"canaryzq5", b"canaryzq6") if word in found]

    assert kept() == [b"canaryzq5", b"canaryzq6"]
    with store.unit_of_work() as tx:
        changes.close_off(tx, tx.execute(select(Incident)).scalar_one())
    assert kept() == []



def test_references_find_ours_the_partners_and_the_one_made_for_it(store: Store, filed: Principal) -> None:
    with store.read() as tx:
        theirs = tx.execute(select(Incident).where(Incident.title.startswith("Ransomware"))).scalar_one()
        made = tx.execute(select(PartnerReference.reference).where(PartnerReference.incident_id == theirs.id))
        for asked in (reference_of(theirs).lower(), made.scalar_one().lower(), " FI-2026/0017 ", "\u200eFI-2026/0017"):
            assert named_incidents(tx, asked, principal=filed) == [theirs], asked
        assert named_incidents(tx, "INC-1999-000001", principal=filed) == []
        assert named_incidents(tx, f"INC-2026-{'9' * 15}", principal=filed) == []
        assert named_incidents(tx, "FI-2026/0017", principal=filed, exercise="drill") == []


def test_a_partners_id_shows_a_restricted_incident_only_to_those_who_may_know(
    store: Store, partner: PartnerSystem
) -> None:
    partner.post(native(tlp="RED", external_id="RED-1"))
    with store.read() as tx:
        seen = {role: len(named_incidents(tx, "RED-1", principal=person(store, role)))
                for role in ("duty-officer", "liaison-officer")}  # fmt: skip
    assert seen == {"duty-officer": 1, "liaison-officer": 0}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def own_store(request: pytest.FixtureRequest, settings: config.Settings) -> Iterator[Store]:
    """A store whose structure may be changed: nobody else has it."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_store")
        return
    server, template = request.getfixturevalue("postgres_server"), request.getfixturevalue("postgres_template")
    database = server.new_database(template=template.name)
    settings = replace(settings, database_url=database.app_url, owner_database_url=database.owner_url)
    made = Store(settings, vault=open_master_key(settings.master_key_file, create=True))
    yield made
    made.close()


def test_whom_an_earlier_version_let_in_to_clear_something_is_named_by_nobody(own_store: Store) -> None:
    store = own_store
    small_world(store)
    users = [person(store, role).user_id for role in ("release-authority", "legal-adviser", "liaison-officer")]
    with store.unit_of_work() as tx:
        incident = put_incident(tx, restricted=True)
        for user, by, noted in zip(users, ("system", "system", "user:1"), (True, False, True), strict=True):
            tx.add(IncidentMember(incident_id=incident.id, user_id=user, added_by=by, added_at=clock.now()))
            if noted:
                timeline.append(tx, "member.added", "One more person may know of the incident.", actor=by,
                                incident=incident, values={"user": user}, about=("user", user))  # fmt: skip
    store.engine.dispose()
    migrations.downgrade(store.settings, "0034")
    migrations.upgrade(store.settings)
    with store.read() as tx:
        found = dict(tx.execute(select(IncidentMember.user_id, IncidentMember.added_by)).tuples().all())
    assert [found[user] for user in users] == [TO_CLEAR, "system", "user:1"]


def test_what_was_filed_before_the_index_is_found_and_the_way_back_works(
    own_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = own_store
    partner = PartnerSystem(create_app(store, pages=False).test_client(), small_world(store))
    partner.post(native(title="Hôpital", description="Gateway", external_id="FI-7", states_affected=["FI"]))
    officer = person(store)
    store.engine.dispose()
    migrations.downgrade(store.settings, "0009")
    with store.unit_of_work() as tx:
        tx.execute(update(Incident).values(search_text="hôpital\nfi-7\ngateway"))
    store.engine.dispose()
    migrations.upgrade(store.settings)
    monkeypatch.setattr(finding, "WINDOW", 0)
    for wanted in ({"q": "hopital fi-7 gate"}, {"state": "FI"}):
        assert titles(store, officer, **wanted) == ["Hôpital"]
    with store.unit_of_work() as tx:
        assert tx.execute(select(Incident.search_text)).scalar_one() == " hopital \n fi 7 \n gateway "
