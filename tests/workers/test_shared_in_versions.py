"""What a playbook shares by itself: each recipient is told what they may have, and nothing that the rules refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator.accounts.principal import Principal
from coordinator.alerts import drafts, versions
from coordinator.alerts.models import Alert
from coordinator.incidents.items import write_item
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.incidents.service import transition
from coordinator.markings import Marking
from coordinator.sharing.approvals import approve
from coordinator.sharing.files import files_of
from coordinator.sharing.inputs_from_world import text_of
from coordinator.sharing.models import Release, ShareDecision
from coordinator.store import Store
from coordinator.timeline.models import Entry
from tests.alerting import agreement, mailbox, put_contact, put_organisation, settings_of
from tests.factories import OTHER, PARTNER, World, person
from tests.leaving import put_cleaned, put_file
from tests.playbooks.documents import action, document, end
from tests.workers.drained import drain
from tests.workers.running import Running, run_of

CATEGORY = "mitigation-guidance"
ALL, COUNTED = {"result": "__result__", "permitted_count": "__told__", "refused_count": "__refused__"}, {
    "__result__": {"type": "string", "value": ""}, "__told__": {"type": "integer", "value": "0"},
    "__refused__": {"type": "integer", "value": "0"},
}  # fmt: skip


@pytest.fixture
def store(sqlite_store: Store) -> Store:
    return sqlite_store


@pytest.fixture
def officer(store: Store, world: World) -> Iterator[Principal]:
    with store.unit_of_work() as tx:
        for code in (PARTNER, OTHER):
            put_organisation(tx, code)
            put_contact(tx, mailbox(f"desk@{code.lower()}.example"), code=code, organisation=code)
        agreement(tx)
    with settings_of(store, smtp_url="smtp://127.0.0.1:1"):
        yield person(store, "coordinator")


def shared(store: Store, officer: Principal, hold: Callable[[Session, Incident], Any], **more: Any) -> Running:
    """A run that shares what `hold` put into its incident with both partners."""
    wait = {"kind": "wait", "event": "status", "match": {"status": "monitoring"}}
    share = {"kind": "share", "audience": {"organisations": [PARTNER, OTHER]}, "purpose": "network-defence",
             "items": [CATEGORY], "attribution": "named", "out": ALL, **more}  # fmt: skip
    step = action(work=share, on_completion="end", out_args=list(COUNTED))
    steps = {"w": action(work=wait, on_completion="a"), "a": step, "end": end()}
    run = run_of(store, document(steps, "w", variables=COUNTED), with_incident=True)
    with store.unit_of_work() as tx:
        hold(tx, tx.get_one(Incident, run.incident_id))
        transition(tx, run.incident_id, "monitoring", principal=officer)
    drain(store)
    return run


def note(tx: Session, incident: Incident, text: Any, *, kind: str = "note", category: str = CATEGORY,
         originator_id: int | None = None, **caveats: Any) -> ItemVersion:  # fmt: skip
    return write_item(tx, kind=kind, content=text, marking=Marking(**{"tlp": "GREEN"} | caveats), author="user:1",
                      info_category=category, incident=incident, originator_id=originator_id)  # fmt: skip


def told(store: Store) -> dict[str, tuple[str, str]]:
    """Recipient -> title and text of the update that went to them."""
    with store.read() as tx:
        query = select(Alert.recipient, Release).join(Release, Release.id == Alert.release_id)
        return {code: text_of(tx, row) for code, row in tx.execute(query.where(Release.kind == "update"))}


def counts(run: Running) -> tuple[Any, ...]:
    return tuple(str(run.variables[name]) for name in COUNTED)


def test_who_may_not_have_one_item_is_told_the_others_and_nobody_less_for_their_sake(
    store: Store, officer: Principal
) -> None:
    def hold(tx: Session, incident: Incident) -> None:
        note(tx, incident, "Block the address.")
        note(tx, incident, "Look at the mail gateway.", not_rel_to=[OTHER])

    run = shared(store, officer, hold)
    said = {code: body for code, (_, body) in told(store).items()}
    assert said == {PARTNER: "Block the address.\n\nLook at the mail gateway.", OTHER: "Block the address."}
    assert counts(run) == ("permit", "2", "0")
    with store.read() as tx:
        [(version, row)] = [
            (release, row) for base in tx.execute(select(Release)).scalars()
            for release, row in versions.versions_of(tx, base)
        ]  # fmt: skip
        [reasons] = row.left_out[OTHER].values()
        assert row.recipients == [OTHER] and reasons == ["D-NOT-RELEASABLE"]
        assert Marking.from_json(version.marking).not_rel_to == frozenset()


def test_where_nothing_is_left_the_refusal_and_its_reason_stand_on_record(store: Store, officer: Principal) -> None:
    run = shared(store, officer, lambda tx, incident: note(tx, incident, "Block it.", not_rel_to=[OTHER]))
    assert set(told(store)) == {PARTNER} and counts(run) == ("permit", "1", "1")
    with store.read() as tx:
        said = tx.execute(select(ShareDecision).where(ShareDecision.recipient == OTHER)).scalar_one()
        assert (said.result, said.reasons) == ("deny", ["D-NOT-RELEASABLE"])


def test_a_version_that_waits_for_a_second_person_keeps_its_step_waiting(
    store: Store, officer: Principal, world: World
) -> None:
    def hold(tx: Session, incident: Incident) -> None:
        note(tx, incident, "Block the address.", originator_id=world.partner_id)
        note(tx, incident, "Look at the mail gateway.", not_rel_to=[OTHER])

    run = shared(store, officer, hold, out={})
    assert run.state == "waiting" and set(told(store)) == {PARTNER}
    authority = person(store, "release-authority")
    with store.unit_of_work() as tx:
        waiting = tx.execute(select(ShareDecision.id).where(ShareDecision.result == "refer")).scalar_one()
        approve(tx, waiting, principal=authority)
    drain(store)
    assert run.state == "completed" and told(store)[OTHER][1] == "Block the address."


def test_whoever_had_the_source_withheld_has_it_withheld_again_and_nobody_else(
    store: Store, officer: Principal
) -> None:
    def hold(tx: Session, incident: Incident) -> None:
        base = drafts.draft(
            tx, incident=incident, principal=officer, kind="initial", title="Loader", body="We saw it.",
            purpose="network-defence", info_category="incident-notification", marking=Marking(tlp="GREEN"),
        )  # fmt: skip
        versions.make(tx, base.id, audience={"organisations": [OTHER]}, principal=officer,
                      include=["title", "description"])  # fmt: skip
        drafts.submit(tx, base.id, codes=[PARTNER, OTHER], principal=officer)
        note(tx, incident, "Block the address.")

    shared(store, officer, hold)
    with store.read() as tx:
        query = select(Alert.recipient, Release).join(Release, Release.id == Alert.release_id)
        found = {code: Marking.from_json(row.marking).no_attribution
                 for code, row in tx.execute(query.where(Release.kind == "update"))}  # fmt: skip
    assert found == {PARTNER: False, OTHER: True}


def test_a_version_of_what_withholds_the_source_withholds_it_too(store: Store, officer: Principal) -> None:
    def hold(tx: Session, incident: Incident) -> None:
        note(tx, incident, "Block the address.")
        note(tx, incident, "Look at the mail gateway.", not_rel_to=[OTHER])

    shared(store, officer, hold, attribution="withhold")
    with store.read() as tx:
        rows = tx.execute(select(Release).where(Release.kind == "update")).scalars().all()
        assert [Marking.from_json(row.marking).no_attribution for row in rows] == [True, True]


def test_a_cleaned_file_of_the_category_goes_along_and_one_nobody_had_cleaned_stays(
    store: Store, officer: Principal
) -> None:
    def hold(tx: Session, incident: Incident) -> None:
        note(tx, incident, "See the file.", category="incident-notification")
        put_cleaned(tx, incident, "a list of addresses")
        put_file(tx, incident, b"MZ sample", name="sample.exe")

    shared(store, officer, hold, items=["incident-notification"])
    with store.read() as tx:
        rows = tx.execute(select(Release).where(Release.kind == "update")).scalars().all()
        [file] = [each for row in rows for each in files_of(tx, row.id)]
        assert file.name == "file-1.txt" and file.copy_id is not None
        notices = tx.execute(select(Entry).where(Entry.kind == "run.notice")).scalars().all()
        assert [entry.object_type for entry in notices] == ["run"]
    assert set(told(store)) == {PARTNER, OTHER}


def test_of_what_a_report_said_besides_the_indicators_are_shared_and_nothing_else(
    store: Store, officer: Principal
) -> None:
    said = {"observables": [{"type": "ipv4", "value": "192.0.2.7"}], "contact": "Jane Doe", "asks": "Call her."}

    def hold(tx: Session, incident: Incident) -> None:
        note(tx, incident, said, kind="details", category="technical-indicators")
        note(tx, incident, {"contact": "Jane Doe"}, kind="details", category="technical-indicators")

    shared(store, officer, hold, items=["technical-indicators"])
    assert {body for _, body in told(store).values()} == {"ipv4: 192.0.2.7"}


@pytest.mark.parametrize(("tlp", "result"), [("GREEN", "permit"), ("AMBER", "failed")])
def test_nothing_above_the_ceiling_of_the_step_is_shared_its_title_neither(
    store: Store, officer: Principal, tlp: str, result: str
) -> None:
    def hold(tx: Session, incident: Incident) -> None:
        note(tx, incident, "Embassy in the capital", kind="title", category="incident-notification", tlp="AMBER")
        note(tx, incident, "Block the address.", tlp=tlp)

    run = shared(store, officer, hold, tlp_max="GREEN")
    if result == "failed":
        assert told(store) == {} and run.state == "needs-attention"
    else:
        assert {title for title, _ in told(store).values()} == {"Update"}
