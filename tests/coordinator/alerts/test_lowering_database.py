"""The database itself refuses a looser label on what somebody else said, unless its originator's word is confirmed."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import DatabaseError

from coordinator.alerts import lowering
from coordinator.incidents.items import marking_of, newest_version
from coordinator.incidents.label_models import LabelWord
from coordinator.store import Store
from tests.alerting import put_incident
from tests.coordinator.alerts.test_lowering import told, word
from tests.factories import World
from tests.releasing import clearing

MORE = text("INSERT INTO label_word_items (word_id, item, exercise) VALUES (:id, 'itm-x', '')")
ITEM = text(
    "INSERT INTO item_versions (item, version, kind, incident_id, tlp, marking, originator_id, info_category, digest,"
    " data_key_id, sealed, author, created_at, exercise) SELECT item, version + 1, kind, incident_id, 'GREEN', marking,"
    " originator_id, info_category, digest, data_key_id, sealed, author, created_at, exercise FROM item_versions"
    " WHERE item = :item ORDER BY version DESC LIMIT 1"
)


def _refused(store: Store, statement: Any, **values: Any) -> None:
    with pytest.raises(DatabaseError, match="refused|append-only|denied"), store.unit_of_work() as tx:
        tx.execute(statement, values)


def test_the_database_refuses_it_to_everybody_else(store: Store, world: World) -> None:
    with store.unit_of_work() as tx:
        incident = put_incident(tx, tlp="AMBER+STRICT", originator_id=world.partner_id,
                                source_id=world.partner_id)  # fmt: skip
        item, (officer, second) = told(tx, incident), (clearing(tx, "coordinator"), clearing(tx))
        asked = lowering.record(tx, incident.id, word(), principal=officer)
        number, by, key = asked.id, officer.actor, incident.id
    _refused(store, ITEM, item=item.item)
    _refused(store, text("UPDATE incidents SET tlp = 'GREEN' WHERE id = :id"), id=key)
    _refused(store, update(LabelWord).where(LabelWord.id == number).values(state="effective", answered_by=by))
    _refused(store, update(LabelWord).where(LabelWord.id == number).values(state="effective"))
    _refused(store, update(LabelWord).where(LabelWord.id == number).values(state="raised"))
    _refused(store, update(LabelWord).where(LabelWord.id == number).values(tlp="CLEAR"))
    _refused(store, text("DELETE FROM label_words"))
    forged = ("INSERT INTO label_words (incident_id, from_id, tlp, channel, said_at, data_key_id, sealed, file_name,"
              " file_type, file_sha256, asked_by, asked_at, state, answered_by, answer, exercise) SELECT incident_id,"
              " from_id, tlp, channel, said_at, data_key_id, sealed, '', '', '', asked_by, asked_at, 'effective',"
              " 'user:1', '', exercise FROM label_words")  # fmt: skip
    _refused(store, text(forged))
    with store.unit_of_work() as tx:
        lowering.confirm(tx, number, principal=second)
    _refused(store, update(LabelWord).where(LabelWord.id == number).values(state="waiting"))
    _refused(store, MORE, id=number)
    with store.read() as tx:
        assert marking_of(newest_version(tx, item.item)).effective.value == "GREEN"
