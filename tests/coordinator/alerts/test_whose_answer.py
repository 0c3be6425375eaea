"""Who answered, and what that proves; each link is for one alert and one contact."""

from __future__ import annotations

import base64

import pytest
from sqlalchemy import select

from coordinator.alerts import service as alerts
from coordinator.alerts.models import Acknowledgement
from coordinator.alerts.released import answer_page
from coordinator.errors import Invalid, NotFound
from coordinator.partners.models import Contact
from coordinator.store import Store
from tests.alerting import alert_of
from tests.coordinator.alerts.test_acknowledge_service import answer, desk, token, told, ways  # noqa: F401


@pytest.mark.parametrize("fields", [{"kind": "system"}, {"assurance": "session"}, {"by": "愛野"}, {"by": "ع"}])
def test_a_machine_and_one_who_signed_in_need_no_name_and_a_name_may_be_in_any_script(
    desk: Store, fields: dict[str, object]  # noqa: F811
) -> None:
    assert answer(desk, told(desk), **{"by": "", **fields}).answer == "acknowledged"


def test_a_gateway_that_presses_every_button_stops_nothing(desk: Store) -> None:  # noqa: F811
    alert = told(desk)
    for pressed in ("acknowledged", "question", "not-for-me"):
        with pytest.raises(Invalid) as refusal:
            answer(desk, alert, answer=pressed, by="", note="x")
        [fault] = refusal.value.errors
        assert fault.pointer == "/by" and "not who answers" in fault.detail
    assert (alert_of(desk, alert).state, ways(desk, alert)) == ("queued", [("fi-duty", "email", "queued")])
    with desk.read() as tx:
        assert tx.execute(select(Acknowledgement)).first() is None
        assert tx.execute(select(Contact.suspect_since).where(Contact.code == "fi-duty")).scalar_one() is None


def test_each_link_is_for_one_alert_and_one_contact_and_cannot_be_guessed(desk: Store) -> None:  # noqa: F811
    first, second = told(desk), told(desk)
    for alert in (first, second):
        with desk.unit_of_work() as tx:
            alerts.next_rung(tx, alert, to="next-contact", reason="a test")
    tokens = [token(desk, alert, rung) for alert in (first, second) for rung in (0, 1)]
    assert len(set(tokens)) == 4 and {each[0] for each in ways(desk, first)} == {"fi-duty", "fi-second"}
    assert all(len(base64.urlsafe_b64decode(each + "=" * (-len(each) % 4))) * 8 >= 128 for each in tokens)
    assert len({each[:8] for each in tokens}) == 4, "no part of it says what it is for"
    answer(desk, first, token=tokens[1])
    assert [alert_of(desk, alert).state == "acknowledged" for alert in (first, second)] == [True, False]
    with desk.read() as tx:
        taken = tx.execute(select(Acknowledgement.alert_id, Acknowledgement.delivery_id)).all()
        assert [row.alert_id for row in taken] == [first] and taken[0].delivery_id is not None


def test_a_link_that_was_never_given_opens_nothing(desk: Store) -> None:  # noqa: F811
    alert = told(desk)
    for bad in ("", "x", token(desk, alert)[:-1], token(desk, alert) + "A"):
        with desk.unit_of_work() as tx, pytest.raises(NotFound):
            alerts.acknowledge(tx, token=bad, kind="person", by="Aino", answer="acknowledged")
        with desk.read() as tx, pytest.raises(NotFound):
            answer_page(tx, bad)
