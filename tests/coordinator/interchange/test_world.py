"""World files: all or nothing, twice without harm, every fault with its pointer."""

from __future__ import annotations

import json
import threading

import pytest
from sqlalchemy import func, select

from coordinator.accounts.models import User
from coordinator.agreements import queries as agreements
from coordinator.errors import Invalid, NotParseable
from coordinator.interchange.world import load_world
from coordinator.partners import queries
from coordinator.partners.models import EndpointKey, Organisation
from coordinator.timeline.queries import entries

IN, OUT, NEW = (f"whsec_{letter * 43}=" for letter in "ABC")


def world(**changes):
    base = {
        "settings": {"own_organisation": "AA-MFA", "community": "cyber-defence", "duty_role": "duty-officer"},
        "organisations": [
            {"code": "AA-MFA", "name": "Ours", "kind": "ministry", "country": "EE", "communities": ["cyber-defence"]},
            {"code": "BB-CSIRT", "name": "Theirs", "kind": "national-csirt", "country": "FI", "communities": []},
        ],
        "endpoints": [
            {"id": "bb-in", "organisation": "BB-CSIRT", "direction": "in", "secret": IN},
            {"id": "bb-out", "organisation": "BB-CSIRT", "direction": "out", "url": "https://bb.example/in",
             "secret": OUT},
        ],
        "contacts": [
            {"code": "bb-duty", "organisation": "BB-CSIRT", "kind": "technical", "person": None, "function": "Desk",
             "languages": ["en"], "time_zone": "Europe/Helsinki", "hours": "24x7", "order": 1,
             "verified_on": "2026-10-01T08:00:00Z", "tlp_max": "AMBER",
             "channels": [{"kind": "webhook", "endpoint": "bb-out"}, {"kind": "email", "address": "d@bb.example"}]},
        ],
        "users": [{"email": "duty@aa.example", "name": "Duty", "role": "duty-officer"}],
    }  # fmt: skip
    return {**base, **changes}


def load(store, document):
    with store.unit_of_work() as tx:
        return load_world(tx, json.dumps(document).encode(), actor="cli:test", digest="0" * 64)


def test_a_world_is_there_after_loading_and_loading_again_changes_nothing(store):
    assert len(load(store, world())) >= 8
    assert load(store, world()) == []
    with store.read() as tx:
        assert queries.own_organisation(tx).code == "AA-MFA"
        assert [secret for _, secret in queries.intake_endpoint(tx, "bb-in").keys] == [IN]
        (contact,) = queries.contacts(tx)
        assert [channel.kind for channel in queries.channels_of(tx, contact.id)] == ["webhook", "email"]


def test_what_was_loaded_is_on_record_with_the_files_digest(store):
    load(store, world())
    with store.read() as tx:
        said = entries(tx, incident_id=None, limit=100)
    assert said[-1]["kind"] == "world.loaded" and said[-1]["values"]["sha256"] == "0" * 64
    assert {"organisation.added", "endpoint.added", "key.added", "user.added"} <= {each["kind"] for each in said}


def test_no_secret_stands_in_the_record(store):
    load(store, world())
    with store.read() as tx:
        assert IN not in json.dumps(entries(tx, incident_id=None, limit=100), default=str)


def test_a_changed_field_is_changed_with_its_old_value_kept(store):
    load(store, world())
    changed = world()
    changed["organisations"][1]["name"] = "Theirs, renamed"
    assert load(store, changed) == ["organisation BB-CSIRT: changed name"]
    with store.read() as tx:
        (entry,) = [each for each in entries(tx, incident_id=None, limit=100) if each["kind"] == "organisation.changed"]
    assert entry["values"] == {"old": {"name": "Theirs"}, "new": {"name": "Theirs, renamed"}}


def test_a_new_secret_is_a_rotation_in_which_both_work(store):
    load(store, world())
    rotated = world()
    rotated["endpoints"][0]["secret"] = NEW
    assert load(store, rotated) == ["endpoint bb-in: secret rotated"]
    with store.read() as tx:
        assert [secret for _, secret in queries.intake_endpoint(tx, "bb-in").keys] == [NEW, IN]


def test_a_secret_that_was_used_before_is_refused_and_nothing_of_the_file_stays(store):
    load(store, world())
    repeated = world()
    repeated["organisations"].append({"code": "CC", "name": "C", "kind": "csirt", "country": "LV", "communities": []})
    repeated["endpoints"].append({"id": "cc-in", "organisation": "CC", "direction": "in", "secret": IN})
    repeated["endpoints"].pop(0)
    with pytest.raises(Invalid) as refused:
        load(store, repeated)
    assert [fault.pointer for fault in refused.value.errors] == ["/endpoints/1/secret"]
    with store.read() as tx:
        assert queries.organisation_by_code(tx, "CC") is None
        assert tx.execute(select(func.count()).select_from(EndpointKey)).scalar_one() == 2


def test_everything_that_is_named_and_missing_is_said_at_once(store):
    broken = world(
        settings={"own_organisation": "ZZ"},
        contacts=[{**world()["contacts"][0], "organisation": "YY",
                   "channels": [{"kind": "webhook", "endpoint": "nowhere"}]}],
    )  # fmt: skip
    with pytest.raises(Invalid) as refused:
        load(store, broken)
    assert {fault.pointer for fault in refused.value.errors} == {
        "/settings/own_organisation", "/contacts/0/organisation", "/contacts/0/channels/0/endpoint",
    }  # fmt: skip
    with store.read() as tx:
        assert tx.execute(select(func.count()).select_from(Organisation)).scalar_one() == 0


def test_a_file_that_is_no_json_is_refused(store):
    with pytest.raises(NotParseable), store.unit_of_work() as tx:
        load_world(tx, b"{", actor="cli:test", digest="")


def test_two_at_once_leave_one_world(store):
    faults = []

    def go():
        try:
            load(store, world())
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as tx:
        assert tx.execute(select(func.count()).select_from(User)).scalar_one() == 1
        assert agreements.current(tx) == []
    assert faults == []
