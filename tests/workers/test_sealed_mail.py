"""Mail to an address with a pinned OpenPGP key: the text only inside, the subject says nothing, never clear text."""

from __future__ import annotations

from dataclasses import replace
from email import message_from_bytes, policy

import pytest
from sqlalchemy import update

from coordinator import config
from coordinator.alerts import service as alerts
from coordinator.alerts.sending import MailParcel
from coordinator.alerts.wording import Letter
from coordinator.markings import Tlp
from coordinator.partners.models import Channel
from coordinator.sharing.inputs import by_portal
from coordinator.store import Store
from tests.alerting import (
    MailBox,
    agreement,
    deliveries,
    mail_server,
    mailbox,
    phone,
    put_contact,
    put_incident,
    put_organisation,
    settings_of,
)
from tests.factories import PARTNER, World
from tests.openpgp import EXPIRED, opened, public_key
from tests.receiving import run_due
from tests.workers.test_channels import mail
from workers.channels import email

TEXT = "TLP:AMBER\n\ncanary ✓ text\nFrom here\n\nTLP:AMBER\n"


def sealed(text: str = TEXT, *, key: str = "") -> MailParcel:
    return replace(mail(), letter=Letter("[TLP:AMBER] Message for you (REF-1)", text), pgp_key=key or public_key())


def test_a_sealed_mail_is_what_mail_programs_know_and_its_owner_reads_it(settings: config.Settings) -> None:
    box = MailBox()
    with mail_server(box) as url:
        assert email.send(replace(settings, smtp_url=url), sealed()).result == "handed-over"
    raw = box.letters[0].content
    assert b"canary" not in raw and b"From here" not in raw
    taken = message_from_bytes(raw, policy=policy.default)
    assert taken.get_content_type() == "multipart/encrypted"
    assert taken.get_param("protocol") == "application/pgp-encrypted"
    control, content = taken.iter_parts()
    assert (control.get_content_type(), control.get_content().strip()) == ("application/pgp-encrypted", b"Version: 1")
    assert content.get_content_type() == "application/octet-stream"
    inner = message_from_bytes(opened(content.get_content()), policy=policy.default)
    assert inner.get_content().replace("\r\n", "\n") == TEXT


@pytest.mark.parametrize("key", [EXPIRED, "what was stored before keys were looked at"])
def test_a_key_that_cannot_be_used_closes_the_way_and_nothing_is_sent(settings: config.Settings, key: str) -> None:
    box = MailBox()
    with mail_server(box) as url:
        outcome = email.send(replace(settings, smtp_url=url), sealed(key=key))
    assert (outcome.result, box.letters) == ("refused", [])
    assert "OpenPGP key" in outcome.detail


# ---------------------------------------------------------------- an alert


def amber_to(store: Store, *channels: dict[str, str]) -> int:
    """An AMBER alert to a partner that can be reached by these channels alone; its id."""
    with store.unit_of_work() as tx:
        put_organisation(tx, PARTNER)
        put_contact(tx, *channels)
        agreement(tx)
        told = alerts.tell(
            tx, kind="initial", title="canary title", body="canary ✓ text", purpose="network-defence",
            info_category="incident-notification", requested_by="user:99", incident=put_incident(tx, tlp="AMBER"),
            ack="any", audience={"organisations": [PARTNER]},
        )  # fmt: skip
    return told.permitted[0].id


def test_amber_goes_whole_in_a_sealed_mail_whose_outside_names_nothing(store: Store, world: World) -> None:
    box = MailBox()
    with mail_server(box) as url, settings_of(store, smtp_url=url):
        amber_to(store, mailbox() | {"pgp_key": public_key()})
        run_due(store)
    (letter,) = box.letters
    assert b"canary" not in letter.content
    taken = message_from_bytes(letter.content, policy=policy.default)
    assert taken["Subject"].startswith("[TLP:AMBER] Message for you")
    inner = message_from_bytes(opened(list(taken.iter_parts())[1].get_content()), policy=policy.default).get_content()
    assert "canary title" in inner and "canary ✓ text" in inner and "/a/" in inner


def test_red_is_read_on_the_portal_even_where_the_mail_is_sealed(store: Store) -> None:
    assert by_portal(Tlp.RED, sealed=True) and by_portal(None, sealed=True)
    assert not by_portal(Tlp.AMBER_STRICT, sealed=True) and by_portal(Tlp.AMBER, sealed=False)


def test_where_the_key_has_ended_the_ladder_goes_on_and_no_mail_leaves(store: Store, world: World) -> None:
    box = MailBox()
    with mail_server(box) as url, settings_of(store, smtp_url=url):
        alert_id = amber_to(store, mailbox() | {"pgp_key": EXPIRED}, phone())
        run_due(store)
        with store.unit_of_work() as tx:
            alerts.climb(tx, alert_id)
        run_due(store)
    assert box.letters == []
    assert [(each.kind, each.state) for each in deliveries(store, alert_id)] == [
        ("email", "failed"), ("voice", "handed-over"),
    ]  # fmt: skip


def test_another_key_under_way_holds_the_mail_back_for_a_person(store: Store, world: World) -> None:
    box = MailBox()
    with mail_server(box) as url, settings_of(store, smtp_url=url):
        alert_id = amber_to(store, mailbox() | {"pgp_key": public_key()})
        with store.unit_of_work() as tx:
            tx.execute(update(Channel).values(pgp_key=public_key("Mallory <duty@fi.example>")))
        run_due(store)
    assert box.letters == [] and deliveries(store, alert_id)[0].state == "withheld"
