"""Versions of a draft: each recipient is told what is composed for it, and nothing of the rest."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from coordinator.accounts.principal import Principal
from coordinator.alerts import drafts, versions
from coordinator.alerts.models import Alert
from coordinator.alerts.pieces import pieces_of
from coordinator.alerts.recalls import recall_alert
from coordinator.alerts.telling import tell
from coordinator.errors import Invalid, Refused
from coordinator.incidents.items import write_item
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.markings import Marking
from coordinator.partners.queries import organisation_by_code
from coordinator.sharing.approvals import approve
from coordinator.sharing.inputs_from_world import text_of
from coordinator.sharing.models import Recalled, Release, ReleaseVersion, ShareDecision
from coordinator.sharing.service import check_text
from coordinator.status import release_desk
from coordinator.store import Store
from tests.alerting import put_contact, put_incident, put_organisation, put_system, webhook
from tests.coordinator.alerts.test_release_desk import terms
from tests.factories import OTHER, PARTNER, World
from tests.releasing import clearing

ALL = ["incident-notification", "technical-indicators", "impact-assessment", "request"]


@pytest.fixture
def store(sqlite_store: Store) -> Store:
    return sqlite_store


@pytest.fixture
def tx(store: Store, world: World) -> Any:
    """FI's agreement allows everything, LV's nothing but notifications."""
    with store.unit_of_work() as tx:
        for code, slug, allowed in ((PARTNER, "fi", ALL), (OTHER, "lv", ALL[:1])):
            put_organisation(tx, code)
            put_system(tx, f"https://{slug}.example/hook", code=code, slug=f"{slug}-out")
            put_contact(tx, webhook(f"{slug}-out"), code=f"{slug}-cyber", organisation=code, tlp_max="RED")
            terms(tx, f"MOU-{code}", code, info_categories_allowed=allowed, tlp_ceiling="AMBER")
        yield tx


def item(tx: Session, incident: Incident, content: Any, category: str = "incident-notification", *, tlp: str = "AMBER",
         **more: Any) -> ItemVersion:  # fmt: skip
    kind = "note" if isinstance(content, str) else "details"
    return write_item(tx, kind=kind, content=content, marking=Marking(tlp=tlp), info_category=category, author="user:1",
                      incident=incident, **more)  # fmt: skip


def indicators(tx: Session, incident: Incident, value: str = "evil.example") -> ItemVersion:
    return item(tx, incident, {"observables": [{"type": "domain-name", "value": value}]}, "technical-indicators")


def drafted(tx: Session, incident: Incident, officer: Principal, **more: Any) -> Release:
    return drafts.draft(tx, incident=incident, principal=officer, **{
        "kind": "initial", "title": "Ransomware", "body": "Servers stand still.", "purpose": "incident-response",
        "info_category": "incident-notification", **more})  # fmt: skip


def names(tx: Session, row: Release) -> list[str]:
    return [each.name for each in pieces_of(tx, row)]


def submitted(tx: Session, row: Release, officer: Principal) -> dict[str, Release]:
    told = drafts.submit(tx, row.id, codes=[PARTNER, OTHER], principal=officer)
    return {each.recipient: tx.get_one(Release, each.release_id) for each in told.permitted}


def test_a_draft_is_composed_of_its_words_the_facts_chosen_and_what_is_asked(tx: Session) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx, severity=3, cross_border="yes")
    row = drafted(tx, incident, officer, facts=["severity", "sectors", "cross_border"], asks="Tell us what you see.")
    assert text_of(tx, row)[1] == (
        "Servers stand still.\n\nSeverity: 3 (High)\nSectors affected: Health\nAcross borders: yes\n\n"
        "What we ask: Tell us what you see."
    )
    assert names(tx, row) == ["title", "description", "severity", "sectors", "cross_border", "asks", "originator"]
    assert row.facts["states_affected"] == []  # not chosen: not in the envelope either


def test_what_an_agreement_does_not_allow_is_left_out_of_that_partners_version_alone(tx: Session) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx, tlp="AMBER")
    row = drafted(tx, incident, officer, enclosed=[indicators(tx, incident).id], facts=["severity", "sectors"],
                  asks="Look at your logs.")  # fmt: skip
    before = release_desk.recipients(tx, row, principal=officer)
    assert [each["code"] for each in before["deny"]] == [OTHER]
    (version,) = versions.leave_out(tx, row.id, codes=[OTHER], principal=officer)
    said = versions.row_of(tx, version)
    assert (said.recipients, said.left_out) == ([OTHER], {OTHER: {
        "asks": ["D-NO-AGREEMENT"], "observables": ["D-NO-AGREEMENT"]}})
    assert text_of(tx, version) == ("Ransomware", "Servers stand still.\n\nSectors affected: Health")
    after = release_desk.recipients(tx, row, principal=officer)
    assert {each["code"]: each["version"] for each in after["permit"]} == {PARTNER: None, OTHER: version.id}
    got = submitted(tx, row, officer)
    assert got == {PARTNER: row, OTHER: version}
    assert version.content_digest != row.content_digest
    by = {each.recipient: each for each in tx.execute(select(ShareDecision)).scalars()}
    assert (by[PARTNER].content_digest, by[OTHER].content_digest) == (row.content_digest, version.content_digest)
    for decision in by.values():
        check_text(tx, tx.get_one(Release, decision.release_id), decision)


def test_an_item_that_may_not_go_takes_its_marking_its_originator_and_the_title_with_it(
    tx: Session, world: World
) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx)
    ours = item(tx, incident, "We see a loader.", tlp="GREEN")
    theirs = item(tx, incident, "It came by mail.", tlp="RED", originator_id=organisation_by_code(tx, PARTNER).id)
    row = drafted(tx, incident, officer, body="", items=[ours.id, theirs.id], title="A loader that came by mail")
    (version,) = versions.leave_out(tx, row.id, codes=[OTHER], principal=officer)
    assert text_of(tx, version) == ("Notification", "We see a loader.")
    assert Marking.from_json(version.marking) == Marking(tlp="GREEN")
    assert versions.row_of(tx, version).included == [ours.item, "states_affected", "noticed_at", "originator"]
    (alert,) = drafts.submit(tx, row.id, codes=[OTHER], principal=officer).permitted
    assert (alert.release_id, row.state) == (version.id, "withdrawn")


def test_a_version_is_chosen_part_by_part_for_partners_or_all_under_an_agreement(tx: Session) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx)
    row = drafted(tx, incident, officer, enclosed=[indicators(tx, incident).id], facts=["states_affected"])
    version = versions.make(tx, row.id, audience={"agreement": f"MOU-{PARTNER}"}, include=["observables"],
                            principal=officer)  # fmt: skip
    assert text_of(tx, version) == ("Notification", "Indicators are enclosed.")
    assert versions.row_of(tx, version).recipients == [PARTNER]
    assert versions.row_of(tx, version).left_out == {PARTNER: {
        "title": [], "description": [], "states_affected": [], "originator": []}}
    assert (version.info_category, version.facts["states_affected"]) == ("technical-indicators", [])
    assert Marking.from_json(version.marking).no_attribution
    with pytest.raises(Invalid):
        versions.make(tx, row.id, audience={"organisations": [PARTNER]}, include=["description"], principal=officer)


@pytest.mark.parametrize(("audience", "include", "field"), [
    ({"organisations": [OTHER]}, ["severity"], "/include"), ({"organisations": [OTHER]}, ["title"], "/include"),
    ({"organisations": [OTHER]}, [], "/include"), ({"organisations": ["XX-NONE"]}, ["description"], "/recipients"),
    ({"organisations": [OTHER, "EE-MFA"]}, ["description"], "/recipients"), ({}, ["description"], "/recipients"),
])  # fmt: skip
def test_what_is_wrong_with_a_version_is_said_by_field(
    tx: Session, audience: dict[str, Any], include: list[str], field: str
) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx)
    row = drafted(tx, incident, officer)
    with pytest.raises(Invalid) as raised:
        versions.make(tx, row.id, audience=audience, include=include, principal=officer)
    assert [fault.pointer for fault in raised.value.errors] == [field]


def test_versions_are_made_of_ones_own_draft_and_go_with_it(tx: Session) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx)
    row = drafted(tx, incident, officer, facts=["sectors"])
    wanted = {"audience": {"organisations": [OTHER]}, "include": ["description"]}
    with pytest.raises(Refused):
        versions.make(tx, row.id, principal=clearing(tx, "coordinator"), **wanted)
    version = versions.make(tx, row.id, principal=officer, **wanted)
    for refused in (lambda: drafts.submit(tx, version.id, codes=[OTHER], principal=officer),
                    lambda: versions.make(tx, version.id, principal=officer, **wanted)):  # fmt: skip
        with pytest.raises(Refused):
            refused()
    drafts.discard(tx, row.id, principal=officer)
    assert version.state == "withdrawn"
    with pytest.raises(Refused):
        versions.make(tx, row.id, principal=officer, **wanted)


def test_a_clearance_is_of_the_text_of_that_version_and_of_no_other(tx: Session) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx, tlp="AMBER")
    theirs = item(tx, incident, "From us both.", tlp="GREEN", originator_id=organisation_by_code(tx, PARTNER).id)
    row = drafted(tx, incident, officer, body="", items=[theirs.id], facts=["sectors"], marking=Marking(tlp="GREEN"))
    version = versions.make(tx, row.id, audience={"organisations": [OTHER]}, include=[theirs.item], principal=officer)
    (waiting,) = drafts.submit(tx, row.id, codes=[OTHER], principal=officer).referred
    assert (waiting.release_id, waiting.content_digest) == (version.id, version.content_digest)
    answer = approve(tx, waiting.id, principal=clearing(tx))
    assert (answer.result, answer.content_digest) == ("permit", version.content_digest)
    assert not tx.execute(select(ShareDecision).where(ShareDecision.release_id == row.id)).first()


def test_an_update_follows_the_version_that_each_recipient_had(tx: Session) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx)
    row = drafted(tx, incident, officer, enclosed=[indicators(tx, incident).id], facts=["sectors"])
    versions.make(tx, row.id, audience={"organisations": [OTHER]}, include=["title", "description"], principal=officer)
    submitted(tx, row, officer)
    more = {"kind": "update", "title": "More of it", "facts": ["sectors"]}
    update = drafted(tx, incident, officer, enclosed=[indicators(tx, incident, "two.example").id], **more)
    ((follower, said),) = versions.versions_of(tx, update)
    assert (said.recipients, said.included) == ([OTHER], ["title", "description"])
    assert Marking.from_json(follower.marking).no_attribution
    assert submitted(tx, update, officer) == {PARTNER: update, OTHER: follower}
    before = {each.recipient: each.id for each in tx.execute(select(Alert).order_by(Alert.id.desc())).scalars()}
    follows = {each.recipient: each.in_reply_to_id for each in tx.execute(
        select(Alert).where(Alert.kind == "update")).scalars()}  # fmt: skip
    assert follows == before
    assert versions.withheld_so_far(tx, incident.id) == {OTHER: {"observables", "sectors", "originator"}}


def test_a_recall_goes_to_everybody_who_had_any_version(tx: Session) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx)
    row = drafted(tx, incident, officer, facts=["sectors"])
    versions.make(tx, row.id, audience={"organisations": [OTHER]}, include=["description"], principal=officer)
    got = submitted(tx, row, officer)
    first = tx.execute(select(Alert).where(Alert.release_id == got[OTHER].id)).scalar_one()
    recall_alert(tx, first.id, principal=officer, reason="It was wrong.")
    assert {each.release_id for each in tx.execute(select(Recalled)).scalars()} == {each.id for each in got.values()}


def test_a_text_for_all_withholds_the_source_once_it_was_withheld_from_one_of_them(tx: Session) -> None:
    officer, incident = clearing(tx, "coordinator"), put_incident(tx)
    row = drafted(tx, incident, officer)
    versions.make(tx, row.id, audience={"organisations": [OTHER]}, include=["description"], principal=officer)
    submitted(tx, row, officer)
    said = {"incident": incident, "title": "Still going on", "body": "As before.", "purpose": "incident-response",
            "info_category": "incident-notification", "requested_by": "system"}  # fmt: skip
    update = tell(tx, kind="update", **said).release
    assert Marking.from_json(update.marking).no_attribution
    other = tell(tx, kind="update", **said | {"incident": put_incident(tx)}).release
    assert not Marking.from_json(other.marking).no_attribution


def test_what_a_version_was_made_of_is_never_changed(store: Store, world: World) -> None:
    with store.unit_of_work() as tx:
        officer, incident = clearing(tx, "coordinator"), put_incident(tx)
        put_organisation(tx, OTHER)
        row = drafted(tx, incident, officer, facts=["sectors"])
        versions.make(tx, row.id, audience={"organisations": [OTHER]}, include=["description"], principal=officer)
    with pytest.raises(DatabaseError), store.unit_of_work() as tx:
        tx.execute(select(ReleaseVersion)).scalar_one().recipients = [PARTNER]
        tx.flush()
