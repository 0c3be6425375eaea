"""Two persons put a playbook into use, two persons trust a key; one is enough to stop either."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from sqlalchemy import select

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.errors import Invalid, NoRight, NotFound, Refused
from coordinator.runs import activation, catalogue, service, signers
from coordinator.runs.models import PlaybookVersion, Run
from coordinator.store import Store
from coordinator.timeline.models import Entry, Pending
from playbooks import signatures
from playbooks.document import load
from tests.factories import World, person
from tests.playbooks.documents import line
from tests.playbooks.test_signatures import ED, key_text, signed

ED_TOO = ed25519.Ed25519PrivateKey.from_private_bytes(b"\2" * 32)


@pytest.fixture
def people(store: Store, world: World) -> dict[str, Principal]:
    return {role: person(store, role) for role in ("coordinator", "legal-adviser", "duty-officer")}


def taken(store: Store, document: dict[str, object] | None = None) -> int:
    document = document or line()
    with store.unit_of_work() as tx:
        catalogue.import_playbook(tx, json.dumps(document).encode(), actor="cli:test")
        query = select(PlaybookVersion.id).where(PlaybookVersion.version == document["modified"])
        return tx.execute(query).scalar_one()


def agree(store: Store, version_id: int, who: Principal) -> str:
    with store.unit_of_work() as tx:
        return activation.agree(tx, version_id, principal=who).state


def test_an_imported_playbook_is_inert_until_a_second_person_agrees(store: Store, people: dict[str, Principal]) -> None:
    version_id = taken(store)
    with pytest.raises(Refused), store.unit_of_work() as tx:
        service.start_run(tx, version_id, started_by="user:1")
    with pytest.raises(NoRight):
        agree(store, version_id, people["legal-adviser"])  # somebody who manages playbooks has to ask first
    assert agree(store, version_id, people["coordinator"]) == "imported"
    with pytest.raises(Refused):
        agree(store, version_id, people["coordinator"])
    with store.read() as tx:
        assert catalogue.active_playbooks(tx) == []
    assert agree(store, version_id, people["legal-adviser"]) == "active"
    with store.unit_of_work() as tx:
        service.start_run(tx, version_id, started_by="user:1")
        kinds = tx.execute(select(Entry.kind).where(Entry.kind.startswith("playbook."))).scalars().all()
    assert kinds == ["playbook.imported", "playbook.agreed", "playbook.activated"]


def test_a_version_that_was_replaced_takes_two_persons_again(store: Store, people: dict[str, Principal]) -> None:
    first, second = taken(store), taken(store, line() | {"modified": "2026-02-15T09:00:00.000Z"})
    for version_id in (first, second):
        agree(store, version_id, people["coordinator"])
        agree(store, version_id, people["legal-adviser"])
    assert agree(store, first, people["coordinator"]) == "imported"
    with store.read() as tx:
        assert tx.get_one(PlaybookVersion, second).state == "active"
    assert agree(store, first, people["legal-adviser"]) == "active"


def test_one_person_takes_it_out_of_use_and_running_ones_are_told(store: Store, people: dict[str, Principal]) -> None:
    version_id = taken(store)
    agree(store, version_id, people["coordinator"])
    agree(store, version_id, people["legal-adviser"])
    with store.unit_of_work() as tx:
        run_id = service.start_run(tx, version_id, started_by="user:1").id
    with pytest.raises(Refused), store.unit_of_work() as tx:
        activation.withdraw(tx, version_id, actor="user:1", reason=" ")
    with store.unit_of_work() as tx:
        activation.withdraw(tx, version_id, actor="user:1", reason="It names the wrong role.")
    with store.read() as tx:
        assert tx.get_one(Run, run_id).state == "running"
        waiting = tx.execute(select(Pending.object_id).where(Pending.kind == "run.notice")).scalars().all()
    assert waiting == [run_id]
    with pytest.raises(Refused):
        agree(store, version_id, people["coordinator"])


def test_a_key_is_trusted_when_two_persons_say_so(store: Store, people: dict[str, Principal]) -> None:
    def verdict() -> str:
        with store.read() as tx:
            return signers.verdicts(tx, load(signed()))[0].verdict

    assert verdict() == "unknown-key"
    with store.unit_of_work() as tx:
        signer = signers.propose(tx, name="FI-MFA", key=key_text(ED), principal=people["coordinator"]).id
    assert verdict() == "unknown-key"
    for who, refused in (("coordinator", Refused), ("legal-adviser", None)):
        if refused:
            with pytest.raises(refused), store.unit_of_work() as tx:
                signers.agree(tx, signer, principal=people[who])
            continue
        with store.unit_of_work() as tx:
            signers.agree(tx, signer, principal=people[who])
    assert verdict() == "trusted"
    with pytest.raises(Refused), store.unit_of_work() as tx:
        signers.propose(tx, name="Again", key=key_text(ED), principal=people["coordinator"])
    with store.unit_of_work() as tx:
        signers.revoke(tx, signer, principal=people["legal-adviser"], reason="It was stolen.")
    assert verdict() == "unknown-key"


def test_what_is_no_key_or_has_no_name_is_refused_by_field(store: Store, people: dict[str, Principal]) -> None:
    with pytest.raises(Invalid) as refused, store.unit_of_work() as tx:
        signers.propose(tx, name=" ", key="x", principal=people["coordinator"])
    assert [fault.pointer for fault in refused.value.errors] == ["/name", "/key"]
    with pytest.raises(NotFound), store.unit_of_work() as tx:
        signers.agree(tx, 99, principal=people["coordinator"])


def test_a_document_changed_under_a_trusted_signature_is_never_put_into_use(
    store: Store, people: dict[str, Principal]
) -> None:
    with store.unit_of_work() as tx:
        signer = signers.propose(tx, name="FI-MFA", key=key_text(ED), principal=people["coordinator"]).id
        signers.agree(tx, signer, principal=people["legal-adviser"])
    version_id = taken(store, signed() | {"name": "Changed on the way"})
    with pytest.raises(Refused) as refused:
        agree(store, version_id, people["coordinator"])
    assert "signature" in refused.value.detail


def test_what_we_export_is_signed_and_comes_back_as_the_same_version(store: Store, world: World) -> None:
    version_id = taken(store)
    with store.unit_of_work() as tx:
        plain, raw = (catalogue.export_playbook(tx, str(version_id), sign=sign) for sign in (False, True))
        own = signers.own_key(tx)
        assert signatures.verify(load(raw).raw, {own: "us"}, now=clock.now())[0].verdict == "trusted"
        assert load(raw).digest == load(plain).digest
        assert "here already" in catalogue.import_playbook(tx, raw, actor="cli:test")


def test_signatures_that_come_later_stay_with_the_version_and_leave_with_it(
    store: Store, people: dict[str, Principal]
) -> None:
    version_id = taken(store)
    both = signatures.sign(signed(), ED_TOO, identifier=f"jss--{uuid.uuid4()}", signee="Another",
                           at="2026-11-22T10:00:00.000Z")  # fmt: skip
    assert "signatures added: 1" in again(store, signed())
    assert "signatures added: 1" in again(store, both)
    assert "added" not in again(store, both) and "added" not in again(store, line())
    with store.read() as tx:
        out = load(catalogue.export_playbook(tx, str(version_id)))
        (row,) = tx.execute(select(PlaybookVersion)).scalars()
        assert [each["signee"] for each in out.raw["signatures"]] == [each["signee"] for each in both["signatures"]]
        assert (out.digest, row.digest) == (load(line()).digest,) * 2
        assert {each.verdict for each in signers.verdicts(tx, out)} == {"unknown-key"}
    assert again(store, json.loads(out.canonical)) == again(store, line())


def test_a_wrong_signature_of_a_trusted_key_is_not_added(store: Store, people: dict[str, Principal]) -> None:
    with store.unit_of_work() as tx:
        signer = signers.propose(tx, name="FI-MFA", key=key_text(ED), principal=people["coordinator"]).id
        signers.agree(tx, signer, principal=people["legal-adviser"])
    taken(store)
    touched = signed()
    touched["signatures"][0]["signee"] = "Somebody else"
    with pytest.raises(Refused):
        again(store, touched)
    with store.read() as tx:
        assert "signatures" not in load(catalogue.export_playbook(tx, line()["id"])).raw


@pytest.mark.parametrize("other", [{"created_by": f"identity--{uuid.UUID(int=5, version=4)}"},
                                   {"created": "2026-01-14T09:00:00.000Z"}])  # fmt: skip
def test_only_its_maker_makes_a_further_version(store: Store, people: dict[str, Principal], other: Any) -> None:
    taken(store)
    newer = line() | {"modified": "2026-02-15T09:00:00.000Z"}
    with pytest.raises(Refused) as refused:
        again(store, newer | other)
    assert "derived_from" in refused.value.detail
    assert "imported" in again(store, newer)


def again(store: Store, document: dict[str, Any]) -> str:
    with store.unit_of_work() as tx:
        return catalogue.import_playbook(tx, json.dumps(document).encode(), actor="cli:test")
