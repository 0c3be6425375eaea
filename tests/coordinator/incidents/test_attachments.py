"""Files: announced, sent signed, kept sealed, within a quota, and only what was announced. Drafts beside them."""

from __future__ import annotations

import hashlib
import os

import pytest
from sqlalchemy import func, select

from coordinator.errors import NotFound
from coordinator.incidents import attachments, drafts
from coordinator.incidents.models import Attachment, AttachmentChunk, Draft, ItemVersion
from coordinator.partners.models import Setting
from coordinator.timeline.models import DataKey
from tests.factories import native, person


def announce(partner, *bodies, **more):
    files = [{"name": f"file-{number}.bin", "media_type": "application/octet-stream", "size": len(body),
              "sha256": hashlib.sha256(body).hexdigest()} for number, body in enumerate(bodies)]  # fmt: skip
    answer = partner.post(native(attachments=files, **more))
    assert answer.status_code == 202
    return [file["sha256"] for file in files]


def test_a_file_of_several_parts_comes_back_to_the_byte_and_is_sealed(store, partner):
    body = os.urandom(attachments.PART * 2 + 17)
    [digest] = announce(partner, body)
    assert partner.put(digest, body).get_json() == {"sha256": digest, "size": len(body), "state": "stored"}
    with store.unit_of_work() as tx:
        file = tx.execute(select(Attachment)).scalar_one()
        _, parts = attachments.open_file(tx, file.id, principal=person_of(store))
        assert b"".join(parts) == body
        sealed = tx.execute(select(AttachmentChunk.sealed)).scalars().all()
        assert len(sealed) == 3 and body[:64] not in sealed[0]
        item = tx.get(ItemVersion, file.item_version_id)
        assert (item.kind, item.tlp, item.originator_id is not None) == ("attachment", "GREEN", True)


def person_of(store):
    from coordinator.accounts.principal import Principal

    return Principal(0, "nobody in particular", "auditor")


def test_sent_again_nothing_changes(store, partner):
    [digest] = announce(partner, b"abc")
    assert partner.put(digest, b"abc").status_code == 200
    assert partner.put(digest, b"abc").status_code == 200
    with store.read() as tx:
        assert tx.execute(select(func.count()).select_from(AttachmentChunk)).scalar_one() == 1


def test_an_empty_file_is_a_file(store, partner):
    [digest] = announce(partner, b"")
    assert partner.put(digest, b"").status_code == 200


def test_another_file_than_announced_is_refused(store, partner):
    [digest] = announce(partner, b"abc")
    assert partner.put(digest, b"abd").status_code == 422
    assert partner.put(digest, b"ab").status_code == 422
    assert partner.put(digest, b"abcd").status_code == 413
    with store.read() as tx:
        assert tx.execute(select(Attachment.state)).scalar_one() == "awaited"


def test_up_to_25_mib_may_be_announced(store, partner):
    file = {"name": "x", "media_type": "text/plain", "sha256": "a" * 64, "size": 25 * 2**20}
    assert partner.post(native(attachments=[file])).status_code == 202
    answer = partner.post(native(title="Another", attachments=[file | {"size": 25 * 2**20 + 1}]))
    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.get_json()["errors"]] == ["/attachments/0/size"]


def test_what_was_not_announced_is_not_taken(partner):
    assert partner.put("a" * 64, b"abc").status_code == 404
    assert partner.put("../../etc", b"abc").status_code == 404
    assert partner.put("a" * 64, b"x" * (1024 * 1024 + 1)).status_code == 413


def test_a_file_without_a_signature_is_not_taken(client, partner):
    [digest] = announce(partner, b"abc")
    assert client.put(f"/api/v1/intake/fi-in/attachments/{digest}", data=b"abc").status_code == 400


def test_the_quota_of_an_organisation_holds(store, partner):
    with store.unit_of_work() as tx:
        tx.add(Setting(name="attachment_quota", value=5))
    first, second = announce(partner, b"abc", b"def")
    assert partner.put(first, b"abc").status_code == 200
    assert partner.put(second, b"def").status_code == 409


def test_a_file_of_a_quarantined_report_is_kept_and_not_shown(store, partner):
    [digest] = announce(partner, b"abc", originator="EE-MFA")
    assert partner.put(digest, b"abc").status_code == 200
    with store.unit_of_work() as tx, pytest.raises(NotFound):
        file = tx.execute(select(Attachment)).scalar_one()
        attachments.open_file(tx, file.id, principal=person_of(store))


@pytest.mark.parametrize("body, kind", [
    (b"%PDF-1.7\n%x", "application/pdf"), (b"\x89PNG\r\n\x1a\n" + b"\0" * 32, "image/png"), (b"", ""),
    (b"\0" * 10, None),
])  # fmt: skip
def test_a_look_at_the_first_bytes_never_fails(body, kind):
    assert attachments.seems(body) == kind or kind is None


# ---------------------------------------------------------------- drafts


def test_a_draft_is_sealed_and_its_own_writers_only(store):
    writer, other = person(store), person(store, "analyst")
    with store.unit_of_work() as tx:
        draft = drafts.save_draft(tx, {"title": "CANARY"}, principal=writer)
        drafts.save_draft(tx, {"title": "CANARY 2"}, principal=writer, draft=draft)
    with store.read() as tx:
        assert drafts.read_draft(tx, draft, principal=writer) == {"title": "CANARY 2"}
        assert [one["title"] for one in drafts.drafts_of(tx, principal=writer)] == ["CANARY 2"]
        assert b"CANARY" not in tx.execute(select(Draft.sealed)).scalar_one()
        with pytest.raises(NotFound):
            drafts.read_draft(tx, draft, principal=other)
    with store.unit_of_work() as tx:
        drafts.drop_draft(tx, draft, principal=other)
        assert drafts.drafts_of(tx, principal=writer)


def test_a_dropped_draft_is_erased_with_its_key(store):
    writer = person(store)
    with store.unit_of_work() as tx:
        draft = drafts.save_draft(tx, {"title": "x"}, principal=writer)
        key = tx.execute(select(Draft.data_key_id)).scalar_one()
    with store.unit_of_work() as tx:
        drafts.drop_draft(tx, draft, principal=writer)
        drafts.drop_draft(tx, draft, principal=writer)
    with store.read() as tx:
        assert tx.get(DataKey, key).wrapped is None
        assert drafts.drafts_of(tx, principal=writer) == []
