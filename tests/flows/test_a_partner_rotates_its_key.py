"""A partner's key is rotated in the middle of a case: both work for a while, each report says which one it was."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from sqlalchemy import select

from coordinator import clock
from coordinator.errors import Invalid
from coordinator.incidents.models import Incident, Report
from coordinator.interchange.world import load_world
from coordinator.partners.models import Endpoint, EndpointKey
from coordinator.partners.queries import keys_of, out_endpoint, state_of
from coordinator.partners.signing import verify
from coordinator.store import Store
from tests.alerting import put_system
from tests.coordinator.web.conftest import Desk
from tests.factories import PartnerSystem, at_endpoint, native, signed, small_world


def rotated(desk: Desk, endpoint_id: int) -> str:
    """The administrator makes a new secret; it is on that one page and never again."""
    browser = desk.sit("administrator")
    browser.get("/partners/FI-CSIRT")
    page = browser.post(f"/endpoints/{endpoint_id}/rotate", {"overlap_days": "7"})
    found = re.search(r"whsec_[A-Za-z0-9+/=]+", page.text)
    assert found is not None and page.headers["Cache-Control"] == "no-store"
    assert "whsec_" not in browser.get("/partners/FI-CSIRT").text
    return found[0]


def test_both_keys_work_until_the_overlap_is_over(sqlite_store: Store, tmp_path: Path) -> None:
    store, world = sqlite_store, small_world(sqlite_store)
    desk = Desk(store, world)
    before = PartnerSystem(desk.app.test_client(), world)
    assert before.post(native(external_id="FI-1"), "one").get_json()["disposition"] == "accepted"

    secret = rotated(desk, world.endpoint_id)
    after = at_endpoint(desk.app.test_client(), world, world.endpoint, secret)
    for number, system in enumerate((after, before, after)):
        said = system.post(native(external_id="FI-1", title=f"More {number}"), f"more-{number}").get_json()
        assert said["disposition"] == "update", "the same case on either side of the change"
    with store.read() as tx:
        old, new = tx.execute(select(EndpointKey.id).order_by(EndpointKey.id)).scalars()
        assert list(tx.execute(select(Report.endpoint_key_id).order_by(Report.id)).scalars()) == [old, new, old, new]
        assert [state_of(key) for key in keys_of(tx, world.endpoint_id)] == ["current", "previous"]
        reference = tx.execute(select(Incident)).scalar_one()
    officer = desk.sit("coordinator")
    page = officer.text(f"/incidents/INC-{reference.created_at.year}-{reference.id:06d}")
    assert f"verified by key {old}" in page and f"verified by key {new}" in page

    # The other direction is another secret: what we send is signed with both while they change.
    with store.unit_of_work() as tx:
        put_system(tx, "https://csirt.fi.example/hook")
        out = tx.execute(select(Endpoint.id).where(Endpoint.direction == "out")).scalar_one()
    theirs = rotated(desk, out)
    with store.read() as tx:
        assert len(out_endpoint(tx, out).secrets) == 1, "there is a second person by now: it waits for that one"
    with time_machine.travel(clock.now() + timedelta(minutes=11), tick=True):  # whoever has the old one was told
        officer.get("/changes/1")
        assert officer.post("/changes/1/accept").status_code == 303
    with store.read() as tx:
        secrets = out_endpoint(tx, out).secrets
    assert secrets[0] == theirs and len(secrets) == 2 and secret not in secrets
    for one in secrets:
        assert verify([one], signed(one, b"{}", "msg-1"), b"{}", clock.now()) == 0

    # A world file that repeats a secret, of whatever endpoint and age, is refused as a whole.
    for used in (secret, theirs):
        again = {"endpoints": [{"id": "fi-other", "organisation": "FI-CSIRT", "direction": "in", "secret": used}]}
        with pytest.raises(Invalid) as refused, store.unit_of_work() as tx:
            load_world(tx, json.dumps(again).encode(), actor="cli:test", digest="0" * 64)
        assert [fault.pointer for fault in refused.value.errors] == ["/endpoints/0/secret"]
        assert used not in str(refused.value.errors)
    with store.read() as tx:
        assert tx.execute(select(Endpoint).where(Endpoint.slug == "fi-other")).first() is None

    # To revoke is another act: at once. And what was only replaced ends with its overlap.
    with time_machine.travel(clock.now() + timedelta(days=8), tick=True):
        assert before.post(native(external_id="FI-1", title="Late"), "late").status_code == 401
        assert after.post(native(external_id="FI-1", title="On time"), "on-time").status_code == 202
        officer = desk.sit("duty-officer")
        officer.get(f"/keys/{new}/revoke")
        assert officer.post(f"/keys/{new}/revoke", {"reason": "A laptop was stolen."}).status_code == 303
        assert after.post(native(external_id="FI-1", title="Too late"), "too-late").status_code == 401
