"""Many reports as a set: what stands in the tables afterwards is what reading them one by one leaves."""

from __future__ import annotations

import json
import shutil

import pytest
from sqlalchemy import event, select

from coordinator import config
from coordinator.incidents import bursts, intake
from coordinator.incidents.models import ExternalReference, Incident, ItemVersion, PartnerReference, Report
from coordinator.partners.models import Organisation
from coordinator.partners.queries import intake_endpoint
from coordinator.store import Store
from coordinator.timeline.models import Chain, DataKey, Entry, Pending
from coordinator.timeline.verify import verify
from tests.alerting import settings_of
from tests.factories import native, small_world


def arrivals(store, world, reports):
    with store.read() as tx:
        endpoint = intake_endpoint(tx, world.endpoint)
    return [
        intake.Arrival(via="webhook", media_type="application/json", raw=json.dumps(report).encode(),
                       message_id=name, endpoint=endpoint)
        for name, report in reports
    ]  # fmt: skip


def kept_as_a_set(store, came):
    with store.unit_of_work() as tx:
        return intake.keep_all(tx, came)


def read_as_a_set(store, came, kept):
    unread = [bursts.unread(store.vault, one.inbound, intake.parse(each.raw, each.media_type))
              for each, one in zip(came, kept, strict=True)]  # fmt: skip
    with store.unit_of_work() as tx:
        return bursts.read_all(tx, unread)


def filed_as_a_set(store, world, reports):
    came = arrivals(store, world, reports)
    return read_as_a_set(store, came, kept_as_a_set(store, came))


def different(count, **fields):
    return [(f"m{n}", native(title=f"Report {n}", external_id=f"FI-{n}", **fields)) for n in range(count)]


OPEN_TO_CHANCE = {
    "id", "public_id", "created_at", "updated_at", "received_at", "aware_at", "at", "ready_at", "data_key_id", "sealed",
    "wrapped", "item", "reference", "status_hash", "commitment", "prev", "hash", "head", "entry_id",
}  # fmt: skip


def plain_rows(store):
    """What all tables of intake say, without ids, instants and what is random."""
    said = {}
    with store.read() as tx:
        for model in (Report, Incident, ItemVersion, ExternalReference, PartnerReference, Chain, Entry, Pending):
            rows = tx.execute(select(model.__table__).order_by(*model.__table__.primary_key)).mappings()
            said[model.__name__] = [{k: v for k, v in row.items() if k not in OPEN_TO_CHANCE} for row in rows]
    return said


@pytest.fixture
def beside(tmp_path, sqlite_template):
    """Another store with the same small world."""
    folder = tmp_path / "beside"
    folder.mkdir()
    shutil.copy(sqlite_template, folder / "coordinator.db")
    made = Store(config.load({}, data_dir=folder))
    yield made, small_world(made)
    made.close()


def test_a_set_leaves_what_one_by_one_leaves(store, world, beside):
    reports = different(5, severity=3, states_affected=["FI"], humanitarian_flags=["life-at-risk"])
    answers = filed_as_a_set(store, world, reports)
    assert [answer.disposition for answer in answers] == ["accepted"] * 5
    other, other_world = beside
    for arrival in arrivals(other, other_world, reports):
        with other.unit_of_work() as tx:
            kept = intake.keep(tx, arrival)
        with other.unit_of_work() as tx:
            intake.read_report(tx, kept.report_id)
    one, many = plain_rows(other), plain_rows(store)
    for rows in (one, many):
        rows["Pending"].sort(key=lambda row: (row["kind"], row["object_id"]))
        for table in ("Entry", "ItemVersion"):
            rows[table].sort(key=lambda row: json.dumps(row, default=str, sort_keys=True))
    assert many == one
    with store.read() as tx:
        assert verify(tx).broken == ""


def test_a_set_costs_as_many_statements_as_one(sqlite_store):
    costs, world = [], small_world(sqlite_store)
    for count, mark in ((1, "a"), (12, "b")):
        said = []
        note = lambda *of, said=said: said.append(of[2])  # noqa: E731
        came = arrivals(sqlite_store, world, [(f"{mark}{name}", {**report, "external_id": mark + name})
                                                           for name, report in different(count)])
        kept = kept_as_a_set(sqlite_store, came)
        event.listen(sqlite_store.engine, "before_cursor_execute", note)
        assert None not in read_as_a_set(sqlite_store, came, kept)
        event.remove(sqlite_store.engine, "before_cursor_execute", note)
        costs.append(len(said))
    assert costs[0] == costs[1]


@pytest.mark.parametrize("odd", [
    {"originator": "LV-MFA"}, {"exercise": "drill-1"}, {"description": "NATO SECRET\nnot for here"}, {"tlp": "nope"},
])  # fmt: skip
def test_what_needs_a_closer_look_is_left_alone_and_hinders_nobody(store, world, odd):
    came = arrivals(store, world, [*different(2), ("odd", native(external_id="FI-odd") | odd)])
    answers = read_as_a_set(store, came, kept_as_a_set(store, came))
    assert [answer and answer.disposition for answer in answers] == ["accepted", "accepted", None]
    with store.read() as tx:
        left = tx.execute(select(Report.disposition).where(Report.message_id == "odd")).scalar_one()
    assert left == "received"


def test_a_sender_that_is_no_longer_active_is_left_to_be_set_aside(store, world):
    with store.unit_of_work() as tx:
        tx.execute(select(Organisation).where(Organisation.code == "FI-CSIRT")).scalar_one().active = False
    assert filed_as_a_set(store, world, different(2)) == [None, None]


def test_of_the_same_bytes_or_the_same_name_only_the_first_opens(store, world):
    same = native(title="Same", external_id="FI-1")
    reports = [("a", same), ("b", same), ("c", native(title="Other", external_id="FI-1")), ("d", native(title="New"))]
    answers = filed_as_a_set(store, world, reports)
    assert [answer is not None for answer in answers] == [True, False, False, True]


def test_what_is_known_already_is_left_to_be_a_duplicate_or_an_update(store, world):
    assert None not in filed_as_a_set(store, world, [("a", native(title="One", external_id="FI-1"))])
    again = [("b", native(title="One", external_id="FI-1")), ("c", native(title="Two", external_id="FI-1")),
             ("d", native(title="Three", external_id="FI-3"))]  # fmt: skip
    assert [answer is not None for answer in filed_as_a_set(store, world, again)] == [False, False, True]


def test_what_somebody_has_read_meanwhile_is_left_alone(store, world):
    came = arrivals(store, world, different(2))
    kept = kept_as_a_set(store, came)
    with store.unit_of_work() as tx:
        intake.read_report(tx, kept[0].report_id)
    assert [answer is not None for answer in read_as_a_set(store, came, kept)] == [False, True]


def test_a_message_id_that_came_before_is_left_alone_and_leaves_no_key(store, world):
    came = arrivals(store, world, [("a", native(title="A")), ("a", native(title="A")), ("b", native(title="B"))])
    kept = kept_as_a_set(store, came)
    assert sorted(one is None for one in kept) == [False, False, True] and kept[2] is not None
    with store.read() as tx:
        assert len(tx.execute(select(DataKey.id)).all()) == 3  # the webhook secret's and two reports'


def test_a_restricted_one_has_no_title_in_the_open_in_a_set_either(store, world):
    caveats = {"named_recipients": ["somebody@partner.example"]}
    assert None not in filed_as_a_set(store, world, [*different(1), ("red", native(tlp="RED", caveats=caveats))])
    with store.read() as tx:
        rows = tx.execute(select(Incident.title, Incident.restricted).order_by(Incident.id)).all()
    assert [tuple(row) for row in rows] == [("Report 0", False), ("", True)]


def test_more_than_an_endpoint_may_open_is_left_to_be_set_aside(store, world):
    with settings_of(store, flood_limit=3):
        assert None not in filed_as_a_set(store, world, different(3))
        more = [(f"x{n}", native(title=f"More {n}", external_id=f"X-{n}")) for n in range(2)]
        assert filed_as_a_set(store, world, more) == [None, None]
