"""An originator lowers its label on record, with evidence, confirmed by a second person; nobody else does, anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.alerts import drafts, lowering
from coordinator.alerts.evidence import Evidence
from coordinator.alerts.models import Alert
from coordinator.alerts.reach import who_could_receive
from coordinator.errors import Invalid, NoRight, NotFound, Refused
from coordinator.incidents import tightening
from coordinator.incidents.items import newest_version, write_item
from coordinator.incidents.models import Incident, ItemVersion, Report
from coordinator.markings import Marking
from coordinator.store import Store
from coordinator.tasks.models import Task
from coordinator.timeline.models import Entry
from tests.alerting import agreement, put_contact, put_incident, put_organisation, put_system, webhook
from tests.factories import OTHER, PARTNER, World
from tests.releasing import clearing

pytestmark = pytest.mark.parametrize("store", ["sqlite"], indirect=True)


@pytest.fixture
def tx(store: Store, world: World) -> Iterator[Session]:
    with store.unit_of_work() as tx:
        yield tx


@pytest.fixture
def incident(tx: Session, world: World) -> Incident:
    """One that FI told us of as AMBER+STRICT."""
    return put_incident(tx, tlp="AMBER+STRICT", originator_id=world.partner_id, source_id=world.partner_id)


@pytest.fixture
def officer(tx: Session) -> Principal:
    return clearing(tx, "coordinator")


@pytest.fixture
def second(tx: Session) -> Principal:
    return clearing(tx, "release-authority")


def told(tx: Session, incident: Incident, tlp: str = "AMBER+STRICT", **more: Any) -> ItemVersion:
    fields = {"originator_id": incident.originator_id} | more
    return write_item(tx, kind="note", content="What FI saw.", marking=Marking(tlp=tlp), author="system",
                      info_category="incident-notification", incident=incident, **fields)  # fmt: skip


def word(tlp: str = "GREEN", **more: Any) -> dict[str, Any]:
    return {
        "from": PARTNER, "tlp": tlp, "channel": "email", "said_at": clock.now(), "said_by": "Head of the duty desk",
        "words": "You may treat it as TLP:GREEN from now on.", "reason": "They wrote to us.", **more,
    }  # fmt: skip


def label(tx: Session, item: ItemVersion) -> str:
    return newest_version(tx, item.item).tlp or ""


def test_recorded_by_one_confirmed_by_another_it_is_the_next_version(
    tx: Session, incident: Incident, officer: Principal, second: Principal
) -> None:
    one, other = told(tx, incident), told(tx, incident, "CLEAR")
    letter = Evidence("letter.pdf", "application/pdf", b"%PDF-1.4 signed")
    asked = lowering.record(tx, incident.id, word(), principal=officer, file=letter)
    assert (label(tx, one), incident.tlp, asked.state) == ("AMBER+STRICT", "AMBER+STRICT", "waiting")
    lowering.confirm(tx, asked.id, principal=second)
    newest = newest_version(tx, one.item)
    assert (newest.version, newest.tlp, newest.originator_id, newest.author) == (
        2, "GREEN", incident.originator_id, second.actor)  # fmt: skip
    assert (incident.tlp, newest_version(tx, other.item).version) == ("GREEN", 1)
    assert len(asked.file_sha256) == 64 and b"PDF" not in (asked.file_sealed or b"")
    kinds = tx.execute(select(Entry.kind).where(Entry.incident_id == incident.id, Entry.kind.like("label.%"))).scalars()
    assert list(kinds) == ["label.word-recorded", "label.lowered"]
    with pytest.raises(Refused):
        lowering.confirm(tx, asked.id, principal=second)


def test_nobody_confirms_their_own_nor_without_the_role_nor_what_they_may_not_know(
    tx: Session, incident: Incident, officer: Principal
) -> None:
    item = told(tx, incident)
    asked = lowering.record(tx, incident.id, word(), principal=officer)
    with pytest.raises(Refused, match="yourself"):
        lowering.confirm(tx, asked.id, principal=officer)
    for role in ("duty-officer", "analyst", "agreement-manager", "administrator", "auditor"):
        with pytest.raises((NoRight, NotFound)):
            lowering.confirm(tx, asked.id, principal=clearing(tx, role))
    incident.restricted = True
    tx.flush()
    with pytest.raises(NotFound):
        lowering.confirm(tx, asked.id, principal=clearing(tx))
    assert label(tx, item) == "AMBER+STRICT"


def test_refused_or_withdrawn_it_never_holds(
    tx: Session, incident: Incident, officer: Principal, second: Principal
) -> None:
    item = told(tx, incident)
    first = lowering.record(tx, incident.id, word(), principal=officer)
    with pytest.raises(Invalid):
        lowering.refuse(tx, first.id, principal=second, reason=" ")
    lowering.refuse(tx, first.id, principal=second, reason="That is not their address.")
    again = lowering.record(tx, incident.id, word(), principal=officer)
    with pytest.raises(NotFound):
        lowering.withdraw(tx, again.id, principal=second)
    lowering.withdraw(tx, again.id, principal=officer)
    for each in (first, again):
        with pytest.raises(Refused):
            lowering.confirm(tx, each.id, principal=second)
    assert label(tx, item) == "AMBER+STRICT"


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"from": "XX-NOBODY"}, "/from"), ({"from": "EE-MFA"}, "/from"), ({"reason": " "}, "/reason"),
        ({"words": ""}, "/words"), ({"channel": ""}, "/channel"), ({"said_by": ""}, "/said_by"),
        ({"said_at": None}, "/said_at"), ({"items": ["itm-nothing"]}, "/items"), ({"report": "rep-x"}, "/report"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(
    tx: Session, incident: Incident, officer: Principal, changed: dict[str, Any], field: str
) -> None:
    told(tx, incident)
    with pytest.raises(Invalid) as refused:
        lowering.record(tx, incident.id, word(**changed), principal=officer)
    assert [fault.pointer for fault in refused.value.errors] == [field]


def test_only_what_is_theirs_and_was_there_when_they_said_it(
    tx: Session, world: World, incident: Incident, officer: Principal, second: Principal
) -> None:
    theirs, others = told(tx, incident), told(tx, incident, originator_id=world.other_id)
    with pytest.raises(Refused, match="not theirs"):
        lowering.record(tx, incident.id, word(items=[others.item]), principal=officer)
    before = clock.now() - timedelta(hours=1)
    with pytest.raises(Refused):
        lowering.record(tx, incident.id, word(said_at=before), principal=officer)
    with pytest.raises(Refused, match="no lower"):
        lowering.record(tx, incident.id, word("RED", items=[theirs.item]), principal=officer)
    lowering.confirm(tx, lowering.record(tx, incident.id, word(), principal=officer).id, principal=second)
    assert (label(tx, theirs), label(tx, others), incident.tlp) == ("GREEN", "AMBER+STRICT", "AMBER+STRICT")


def test_what_somebody_claims_for_another_needs_the_word_of_both(
    tx: Session, world: World, incident: Incident, officer: Principal, second: Principal
) -> None:
    item = told(tx, incident, originator_id=world.partner_id, source_id=world.other_id)
    for giver, after in ((PARTNER, "AMBER+STRICT"), (OTHER, "AMBER")):
        said = word("GREEN" if giver == PARTNER else "AMBER", items=[item.item], **{"from": giver})
        lowering.confirm(tx, lowering.record(tx, incident.id, said, principal=officer).id, principal=second)
        assert label(tx, item) == after


def test_what_we_raised_stays_until_we_take_it_back_and_never_below_theirs(
    tx: Session, incident: Incident, officer: Principal, second: Principal
) -> None:
    item = told(tx, incident, "AMBER")
    tightening.tighten(tx, incident.id, {"tlp": "AMBER+STRICT"}, principal=officer, item=item.item, reason="A name.")
    lowering.confirm(tx, lowering.record(tx, incident.id, word(items=[item.item]), principal=officer).id,
                     principal=second)  # fmt: skip
    assert label(tx, item) == "AMBER+STRICT"
    ours = {"tlp": "CLEAR", "items": [item.item], "reason": "The name is out of it."}
    with pytest.raises(Refused, match="TLP:GREEN"):
        lowering.record(tx, incident.id, ours, principal=officer)
    back = lowering.record(tx, incident.id, ours | {"tlp": "GREEN"}, principal=officer)
    with pytest.raises(Refused):
        lowering.confirm(tx, back.id, principal=officer)
    lowering.confirm(tx, back.id, principal=second)
    assert label(tx, item) == "GREEN"


def test_what_the_originator_wanted_stricter_is_not_ours_to_take_back(
    tx: Session, incident: Incident, officer: Principal
) -> None:
    item = told(tx, incident, "GREEN")
    with pytest.raises(Invalid) as refused:
        tightening.tighten(tx, incident.id, {"tlp": "AMBER", "asked_by": OTHER}, principal=officer, item=item.item,
                           reason="Said who?")  # fmt: skip
    assert [fault.pointer for fault in refused.value.errors] == ["/asked_by"]
    tightening.tighten(tx, incident.id, {"tlp": "AMBER", "asked_by": PARTNER}, principal=officer, item=item.item,
                       reason="They called.")  # fmt: skip
    with pytest.raises(Refused):
        lowering.record(tx, incident.id, {"tlp": "GREEN", "items": [item.item], "reason": "Ours?"}, principal=officer)
    late = word("CLEAR", items=[item.item], said_at=clock.now() - timedelta(seconds=30))
    with pytest.raises(Refused, match="newer"):  # a mail from before they called
        lowering.record(tx, incident.id, late, principal=officer)


def test_raised_while_it_waits_it_stays_raised(
    tx: Session, incident: Incident, officer: Principal, second: Principal
) -> None:
    item = told(tx, incident, "AMBER")
    asked = lowering.record(tx, incident.id, word(items=[item.item]), principal=officer)
    tightening.tighten(tx, incident.id, {"tlp": "AMBER+STRICT"}, principal=officer, item=item.item, reason="A name.")
    lowering.confirm(tx, asked.id, principal=second)
    assert label(tx, item) == "AMBER+STRICT"


def test_nothing_leaves_by_itself_and_what_was_drafted_is_pointed_out(
    tx: Session, incident: Incident, officer: Principal, second: Principal
) -> None:
    put_organisation(tx, OTHER, kind="ministry")
    put_system(tx, "https://mfa.lv.example/hook", code=OTHER, slug="lv-out")
    put_contact(tx, webhook("lv-out"), code="lv-cyber", organisation=OTHER)
    agreement(tx, code=OTHER)
    item = told(tx, incident, "AMBER")

    def drafted() -> Any:
        release = drafts.draft(
            tx, incident=incident, principal=officer, kind="initial", title="Ransomware", body="Text.",
            purpose="network-defence", info_category="incident-notification", items=[newest_version(tx, item.item).id],
        )  # fmt: skip
        (one,) = who_could_receive(tx, release, now=clock.now(), codes=[OTHER])
        assert one.decision is not None
        return release, one.decision.reasons

    before, reasons = drafted()
    assert "D-AMBER-ONWARD" in reasons
    lowering.confirm(tx, lowering.record(tx, incident.id, word(items=[item.item]), principal=officer).id,
                     principal=second)  # fmt: skip
    (still,) = who_could_receive(tx, before, now=clock.now(), codes=[OTHER])
    assert still.decision is not None and "D-AMBER-ONWARD" in still.decision.reasons  # it says AMBER on it
    assert drafted()[1] == ("R-TWO-PERSON",)
    assert tx.execute(select(Alert.id)).first() is None
    tasks = [each for each in tx.execute(select(Task.title)).scalars() if "lowered" in each]
    assert tasks == ["A label was lowered to TLP:GREEN: look at what was drafted before"]


def test_their_own_message_with_a_looser_label_lowers_nothing_and_a_person_is_asked_once(
    tx: Session, world: World, incident: Incident, officer: Principal, second: Principal
) -> None:
    item = told(tx, incident)
    report = Report(
        public_id="rep-1", received_at=clock.now() + timedelta(seconds=1), via="webhook", raw_digest="0" * 64,
        organisation_id=world.partner_id, message_id="m", raw_size=1, media_type="application/json",
        data_key_id=incident.data_key_id, status_hash="1" * 64, incident_id=incident.id, tlp="GREEN",
    )  # fmt: skip
    tx.add(report)
    tx.flush()
    told(tx, incident, "GREEN", report_id=report.id)
    assert lowering.offer(tx, report.id) is not None
    assert lowering.offer(tx, report.id) is None
    assert label(tx, item) == "AMBER+STRICT"
    said = word(channel="message", words="", report="rep-1", said_at=report.received_at)
    lowering.confirm(tx, lowering.record(tx, incident.id, said, principal=officer).id, principal=second)
    assert (label(tx, item), incident.tlp) == ("GREEN", "GREEN")
