"""A version without the originator: no form, no id and no property of a file leads to the source (R21)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator.alerts import drafts, letters, versions
from coordinator.alerts.handing_out import permit
from coordinator.alerts.models import Alert, Delivery
from coordinator.alerts.telling import raise_approved
from coordinator.incidents.items import write_item
from coordinator.interchange import exits
from coordinator.interchange.contents import Party, contents_of
from coordinator.interchange.misp_out import _organisation
from coordinator.interchange.stix_definitions import stix_id
from coordinator.markings import Iep, Marking
from coordinator.sharing.approvals import approve
from coordinator.sharing.models import ShareDecision
from coordinator.store import Store
from tests.alerting import mailbox, put_contact, put_organisation, put_system, webhook
from tests.coordinator.sharing.test_source_withheld import NAMES, SAYS, put_source
from tests.drawn import words_of
from tests.factories import OTHER, OWN, PARTNER, World
from tests.releasing import clearing

POLICY = Iep(encrypt_in_transit="must", external_reference="https://terms.example/of-theirs",
             id="0224bfdf-ea3a-49c3-96f6-66d908bb1845")  # fmt: skip


@pytest.fixture
def tx(sqlite_store: Store, world: World) -> Iterator[Session]:
    with sqlite_store.unit_of_work() as tx:
        yield tx


@pytest.fixture
def store(sqlite_store: Store) -> Store:
    return sqlite_store


@pytest.fixture
def told(tx: Session, world: World) -> tuple[Alert, ShareDecision]:
    """What FI told us as GREEN goes on to LV in a version without the originator, under a clearance."""
    incident, officer = put_source(tx, world), clearing(tx, "coordinator")
    put_organisation(tx, OTHER, kind="ministry")
    put_system(tx, "https://lv.example/hook", code=OTHER, slug="lv-out")
    put_contact(tx, webhook("lv-out"), mailbox("desk@lv.example"), code="lv-cyber", organisation=OTHER)
    whose = {"originator_id": world.partner_id, "author": "user:1", "incident": incident}
    said = write_item(tx, kind="note", content=SAYS, marking=Marking(tlp="GREEN", iep=POLICY),
                      info_category="incident-notification", **whose)  # fmt: skip
    seen = {"observables": [{"type": "domain-name", "value": "evil.example"}]}
    indicators = write_item(tx, kind="details", content=seen, marking=Marking(tlp="GREEN"),
                            info_category="technical-indicators", **whose)  # fmt: skip
    base = drafts.draft(
        tx, incident=incident, principal=officer, kind="initial", title="FI-CSIRT saw a loader", body="",
        items=[said.id], enclosed=[indicators.id], purpose="incident-response", info_category="incident-notification",
    )  # fmt: skip
    version = versions.make(tx, base.id, audience={"organisations": [OTHER]}, principal=officer,
                            include=["title", said.item, "observables"])  # fmt: skip
    (waiting,) = drafts.submit(tx, base.id, codes=[OTHER], principal=officer).referred
    alert = raise_approved(tx, approve(tx, waiting.id, principal=clearing(tx)).id)
    assert alert is not None and alert.release_id == version.id
    return alert, tx.get_one(ShareDecision, alert.decision_id)


def leads_to(text: str) -> list[str]:
    ids = [stix_id("identity", PARTNER), _organisation(Party(PARTNER, ""))["uuid"], stix_id("identity", OWN),
           *POLICY.addresses, str(POLICY.id)]  # fmt: skip
    return [each for each in (*NAMES, *ids) if each.casefold() in text.casefold()]


def test_what_is_pushed_leads_nowhere(tx: Session, told: tuple[Alert, ShareDecision]) -> None:
    alert, _ = told
    delivery = tx.execute(select(Delivery).where(Delivery.alert_id == alert.id)).scalar_one()
    event = letters.event_for(tx, alert, delivery)
    letter, _ = letters.letter_for(tx, alert, delivery)
    assert (event.data["originator"], event.data["iep"]) == (None, {"encrypt_in_transit": "must"})
    assert leads_to(json.dumps(event.data, default=str) + letter.subject + letter.body) == []


@pytest.mark.parametrize("form", exits.FORMS)
def test_no_form_leads_to_the_source(
    tx: Session, told: tuple[Alert, ShareDecision], form: str, tmp_path: Path
) -> None:
    alert, decision = told
    contents = contents_of(tx, alert, decision)
    assert (contents.sender, contents.originator, contents.objects) == (None, None, ())
    file = exits.render(form, contents, data_dir=tmp_path)
    said = file.body.decode("latin-1")
    if form == "pdf":  # its properties, and the words on its pages
        assert "/Producer" in said
        said += words_of(file.body)
        assert "evil.example" in said
    if form != "pdf":
        found: Any = json.loads(said)
        assert "evil.example" in said
        assert "created_by_ref" not in said
        assert form != "misp" or found["Event"]["Orgc"]["name"] == found["Event"]["Org"]["name"] == "Withheld"
    assert leads_to(said + file.name + contents.title + contents.body) == []


def test_a_permit_for_the_portal_withholds_it_as_well(tx: Session, told: tuple[Alert, ShareDecision]) -> None:
    alert, _ = told
    given = permit(tx, alert)
    assert given is None or "O-NO-ATTRIBUTION" in given.obligations
