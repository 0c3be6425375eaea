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
from coordinator.tasks.models import Task
from coordinator.timeline.models import Entry
from tests.alerting import alert_of, mailbox, put_contact
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


def test_a_second_person_at_the_same_link_is_a_second_answer_and_what_follows_follows_once(
    desk: Store,  # noqa: F811
) -> None:
    """The first may have been a machine that gave a name, or the wrong one of two colleagues."""
    alert = told(desk)
    first, again, other = (answer(desk, alert, by=by) for by in ("Gateway", "gateway ", "Aino"))
    assert [each.repeated for each in (first, again, other)] == [False, True, False] and first.at == again.at
    for by in ("Aino", "Bo"):
        answer(desk, alert, answer="question", note="Which hash?", by=by)
    with desk.read() as tx:
        taken = tx.execute(select(Acknowledgement.answer, Acknowledgement.by).order_by(Acknowledgement.id)).all()
        on_record = tx.execute(select(Entry).where(Entry.kind == "alert.acknowledged")).scalars().all()
        tasks = tx.execute(select(Task.title)).scalars().all()
    assert [tuple(row) for row in taken] == [("acknowledged", "Gateway"), ("acknowledged", "Aino"),
                                             ("question", "Aino"), ("question", "Bo")]  # fmt: skip
    assert len(on_record) == 4 and len([title for title in tasks if "has a question" in title]) == 1


def test_not_for_me_moves_on_from_each_contact_once_and_not_from_one_that_was_passed(
    desk: Store,  # noqa: F811
) -> None:
    with desk.unit_of_work() as tx:
        put_contact(tx, mailbox("third@fi.example"), code="fi-third", order=3)
    alert = told(desk)
    said = [("Aino", 0), ("Bo", 0), ("Aino", 0)]
    for by, rung in said:
        answer(desk, alert, answer="not-for-me", by=by, token=token(desk, alert, rung))
    assert [way[0] for way in ways(desk, alert)] == ["fi-duty", "fi-second"]
    answer(desk, alert, answer="not-for-me", by="Aino", token=token(desk, alert, 1))
    assert [way[0] for way in ways(desk, alert)] == ["fi-duty", "fi-second", "fi-third"]

    late = told(desk)
    with desk.unit_of_work() as tx:
        alerts.next_rung(tx, late, to="next-contact", reason="a test")
    asked = len(ways(desk, late))
    answer(desk, late, answer="not-for-me", by="Aino", token=token(desk, late, 0))
    assert len(ways(desk, late)) == asked, "somebody else is being asked already"


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
