"""The channels by themselves: what they refuse to touch, what they make of every answer, what a mail looks like."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.utils import format_datetime
from pathlib import Path

import pytest
import requests
import trustme
from pytest_httpserver import HTTPServer

from coordinator import clock, config
from coordinator.alerts.letters import Event
from coordinator.alerts.sending import MailParcel, WebhookParcel
from coordinator.alerts.wording import Letter
from coordinator.errors import Misconfigured
from coordinator.partners.queries import OutEndpoint
from coordinator.partners.signing import generate_secret, verify
from tests.alerting import MailBox, mail_server
from workers.channels import email, webhook

CANARY = "canary-5f0c"


@pytest.fixture
def open_settings(settings: config.Settings) -> config.Settings:
    return replace(settings, outbound_allow_private=True)


def parcel(url: str, *, secrets: tuple[str, ...] = (), allow_private: tuple[str, ...] = ()) -> WebhookParcel:
    endpoint = OutEndpoint(
        id=1, slug="fi-out", organisation_id=1, url=url, state="active", exercise="", tlp_max="",
        allow_private=allow_private, secrets=secrets or (generate_secret(),),
    )  # fmt: skip
    event = Event(type="coordination.alert.initial", source="http://us.example", id="msg_1", time=clock.now(),
                  data={"title": CANARY})  # fmt: skip
    return WebhookParcel(delivery_id=1, fence=1, message_id="msg_1", endpoint=endpoint, event=event)


# ---------------------------------------------------------------- webhook: what is connected to


@pytest.mark.parametrize("address", [
    "127.0.0.1", "127.8.9.1", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1",
    "192.0.0.8", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1",
    "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1",
])  # fmt: skip
def test_addresses_that_are_not_out_in_the_world_are_refused(address: str) -> None:
    with pytest.raises(webhook.AddressRefused):
        webhook.checked_address(address, 443, [])


@pytest.mark.parametrize("address", ["8.8.8.8", "2a00:1450:4001:82a::200e"])
def test_addresses_out_in_the_world_are_taken(address: str) -> None:
    assert webhook.checked_address(address, 443, []) == ipaddress.ip_address(address)


def test_a_range_opens_itself_and_nothing_else() -> None:
    ranges = [ipaddress.ip_network("10.1.0.0/16")]
    assert webhook.checked_address("10.1.2.3", 443, ranges)
    with pytest.raises(webhook.AddressRefused):
        webhook.checked_address("10.2.2.3", 443, ranges)


def test_a_name_with_one_bad_address_is_refused_whatever_its_others_are(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 443)) for each in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: both)
    with pytest.raises(webhook.AddressRefused):
        webhook.checked_address("two-faced.example", 443, [])


@pytest.mark.parametrize("url", [
    "http://localhost:1/hook", "http://127.1:1/", "http://2130706433:1/", "http://0x7f000001:1/", "http://[::1]:1/",
    "http://user:pass@127.0.0.1:1/", "http://127.0.0.1:1#@8.8.8.8/", "http://[::ffff:7f00:1]:1/",
])  # fmt: skip
def test_no_spelling_of_this_machine_gets_through(settings: config.Settings, url: str) -> None:
    assert webhook.send(settings, parcel(url)).result == "refused"


@pytest.mark.parametrize("url", ["ftp://fi.example/x", "file:///etc/passwd", "gopher://fi.example", "not a url", ""])
def test_only_http_is_spoken(settings: config.Settings, url: str) -> None:
    assert webhook.send(settings, parcel(url)).result == "refused"


def test_proxies_of_the_environment_are_not_asked(
    open_settings: config.Settings, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    httpserver.expect_request("/hook").respond_with_data("")
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert webhook.send(open_settings, parcel(httpserver.url_for("/hook"))).result == "delivered"


# ---------------------------------------------------------------- webhook: what is sent, what is answered


def test_both_secrets_of_a_rotation_sign(open_settings: config.Settings, httpserver: HTTPServer) -> None:
    old, new = generate_secret(), generate_secret()
    httpserver.expect_request("/hook").respond_with_data("")
    webhook.send(open_settings, parcel(httpserver.url_for("/hook"), secrets=(new, old)))
    [(request, _)] = httpserver.log
    for secret in (old, new):
        assert verify([secret], request.headers, request.get_data(), clock.now()) == 0


def test_an_endpoint_without_a_secret_is_no_way(open_settings: config.Settings) -> None:
    bare = parcel("http://127.0.0.1:1/")
    assert webhook.send(open_settings, replace(bare, endpoint=replace(bare.endpoint, secrets=()))).result == "refused"


@pytest.mark.parametrize(("status", "result"), [
    (200, "delivered"), (202, "delivered"), (204, "delivered"), (301, "retry"), (308, "retry"), (400, "retry"),
    (401, "retry"), (404, "retry"), (408, "retry"), (410, "gone"), (422, "retry"), (429, "retry"), (500, "retry"),
    (503, "retry"),
])  # fmt: skip
def test_every_answer_has_a_meaning(
    open_settings: config.Settings, httpserver: HTTPServer, status: int, result: str
) -> None:
    httpserver.expect_request("/hook").respond_with_data("", status=status)
    outcome = webhook.send(open_settings, parcel(httpserver.url_for("/hook")))
    assert (outcome.result, outcome.detail) == (result, f"answered {status}")


def test_nothing_listening_is_tried_again(open_settings: config.Settings) -> None:
    outcome = webhook.send(open_settings, parcel("http://127.0.0.1:1/"))
    assert outcome.result == "retry"
    assert CANARY not in outcome.detail and "127.0.0.1" not in outcome.detail


def test_an_endless_answer_is_not_read_to_its_end(open_settings: config.Settings) -> None:
    sent: list[int] = []

    def pour(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        try:
            while sum(sent) < 50_000_000:
                sent.append(connection.send(b"x" * 65536))
        except OSError:
            return

    with listening(pour) as url:
        assert webhook.send(open_settings, parcel(url)).result == "delivered"
    assert sum(sent) < 50_000_000


def test_a_receiver_that_never_answers_costs_bounded_time(
    open_settings: config.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "READ_SECONDS", 0.3)
    done = threading.Event()
    with listening(lambda connection: done.wait(20)) as url:
        outcome = webhook.send(open_settings, parcel(url))
        done.set()
    assert (outcome.result, outcome.detail) == ("retry", "the endpoint did not answer in time")


def test_a_receiver_that_drips_its_headers_costs_bounded_time(
    open_settings: config.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One byte at a time keeps each single read within its time: the whole send has an end of its own."""
    monkeypatch.setattr(webhook, "WHOLE_SECONDS", 1.0)
    done = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.recv(65536)
        try:
            for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Slow: " + b"y" * 400:
                connection.sendall(bytes([byte]))
                if done.wait(0.05):
                    return
        except OSError:
            return

    with listening(drip) as url:
        outcome = webhook.send(open_settings, parcel(url))
        done.set()
    assert (outcome.result, outcome.detail) == ("retry", "the endpoint did not answer in time")


@pytest.mark.parametrize(("value", "seconds"), [
    ("120", 120.0), (" 5 ", 5.0), ("0", 0.0), ("-5", None), ("soon", None), ("", None), (None, None), ("9" * 40, None),
    ("1.5", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
])  # fmt: skip
def test_retry_after_is_read_as_the_standard_says(value: str | None, seconds: float | None) -> None:
    assert webhook.retry_after(value) == seconds


def test_retry_after_may_be_a_date() -> None:
    found = webhook.retry_after(format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True))
    assert found is not None and 590 < found <= 600


# ---------------------------------------------------------------- webhook: TLS


def test_a_certificate_is_verified_against_the_name(
    open_settings: config.Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the authority known the right name passes, another name does not; without it nothing does."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    with HTTPServer(host="127.0.0.1", port=0, ssl_context=context) as server:
        server.expect_request("/hook").respond_with_data("")
        good, bad = f"https://localhost:{server.port}/hook", f"https://127.0.0.1:{server.port}/hook"
        unknown = webhook.send(open_settings, parcel(good))
        monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(bundle))
        assert webhook.send(open_settings, parcel(good)).result == "delivered"
        assert webhook.send(open_settings, parcel(bad)).detail == "the endpoint's certificate could not be verified"
    assert (unknown.result, unknown.detail) == ("retry", "the endpoint's certificate could not be verified")


def test_a_private_authority_is_believed_besides_the_public_ones(
    open_settings: config.Settings, tmp_path: Path
) -> None:
    authority, bundle = trustme.CA(), tmp_path / "ca.pem"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(bundle))
    trusting = replace(open_settings, outbound_ca_file=str(bundle))
    with HTTPServer(host="127.0.0.1", port=0, ssl_context=context) as server:
        server.expect_request("/hook").respond_with_data("")
        assert webhook.send(trusting, parcel(f"https://localhost:{server.port}/hook")).result == "delivered"
        other = webhook.send(trusting, parcel(f"https://127.0.0.1:{server.port}/hook"))
    assert other.detail == "the endpoint's certificate could not be verified"


# ---------------------------------------------------------------- webhook: egress proxy


def test_what_is_sent_goes_by_the_egress_proxy(settings: config.Settings, httpserver: HTTPServer) -> None:
    """The name is not looked up here: the proxy does that."""
    httpserver.expect_request("/hook", headers={"Host": "hooks.fi.invalid"}).respond_with_data("")
    by_proxy = replace(settings, egress_proxy=httpserver.url_for("/").rstrip("/"))
    assert webhook.send(by_proxy, parcel("http://hooks.fi.invalid/hook")).result == "delivered"
    assert len(httpserver.log) == 1


@pytest.mark.parametrize("url", ["http://10.0.0.1/h", "http://[::1]/h", "http://localhost/h", "http://169.254.169.254/h"])
def test_an_address_in_the_url_is_checked_before_the_proxy_is_asked(
    settings: config.Settings, httpserver: HTTPServer, url: str
) -> None:
    by_proxy = replace(settings, egress_proxy=httpserver.url_for("/").rstrip("/"))
    assert webhook.send(by_proxy, parcel(url)).detail == "the endpoint's address is not allowed"
    assert httpserver.log == []


def test_a_proxy_that_drips_costs_bounded_time(
    settings: config.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "WHOLE_SECONDS", 0.5)

    def drip(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(b"H")
                threading.Event().wait(0.1)

    with listening(drip) as url:
        by_proxy = replace(settings, egress_proxy=url.rstrip("/"))
        outcome = webhook.send(by_proxy, parcel("http://hooks.fi.invalid/h"))
    assert outcome.detail == "the endpoint did not answer in time"


@pytest.mark.parametrize("wrong", [{"EGRESS_PROXY": "proxy:3128"}, {"OUTBOUND_CA_FILE": "/nowhere/ca.pem"}])
def test_a_wrong_setting_stops_the_start(wrong: dict[str, str]) -> None:
    (name,) = wrong
    with pytest.raises(Misconfigured, match=name):
        config.load({f"COORDINATOR_{name}": wrong[name]})


# ---------------------------------------------------------------- mail


def mail(subject: str = "[TLP:GREEN] Hello", body: str = "TLP:GREEN\n\nHello\n\nTLP:GREEN\n") -> MailParcel:
    return MailParcel(
        delivery_id=1, fence=1, message_id="msg_abc", address="duty@fi.example", references=["msg_1", "msg_2"],
        letter=Letter(subject, body), mail_domain="us.example",
    )  # fmt: skip


def test_a_mail_is_handed_over_and_bears_a_stable_id(settings: config.Settings) -> None:
    box = MailBox()
    with mail_server(box) as url:
        for _ in range(2):
            outcome = email.send(replace(settings, smtp_url=url, mail_from="desk@us.example"), mail())
    assert (outcome.result, len(box.letters)) == ("handed-over", 2)
    taken = [message_from_bytes(each.content, policy=policy.default) for each in box.letters]
    assert {each["Message-ID"] for each in taken} == {"<msg_abc@us.example>"}
    assert taken[0]["In-Reply-To"] == "<msg_2@us.example>"
    assert taken[0]["References"] == "<msg_1@us.example> <msg_2@us.example>"
    assert taken[0]["Auto-Submitted"] == "auto-generated"
    assert box.letters[0].rcpt_tos == ["duty@fi.example"]
    assert taken[0].get_content().replace("\r\n", "\n") == "TLP:GREEN\n\nHello\n\nTLP:GREEN\n"


@pytest.mark.parametrize("text", ["Ünïcode ✓ 日本語", "x" * 3000, ".\n..\nQUIT\n", "From here\n>From there"])
def test_any_text_arrives_as_it_was(settings: config.Settings, text: str) -> None:
    box = MailBox()
    with mail_server(box) as url:
        assert email.send(replace(settings, smtp_url=url), mail(body=text + "\n")).result == "handed-over"
    taken = message_from_bytes(box.letters[0].content, policy=policy.default)
    assert taken.get_content().replace("\r\n", "\n") == text + "\n"


@pytest.mark.parametrize(("answer", "result"), [
    ("451 Try again", "retry"), ("452 Full", "retry"), ("550 No such user", "refused"), ("554 Refused", "refused"),
])  # fmt: skip
def test_what_the_server_says_decides(settings: config.Settings, answer: str, result: str) -> None:
    with mail_server(MailBox(answer=answer)) as url:
        assert email.send(replace(settings, smtp_url=url), mail()).result == result


def test_no_server_is_tried_again(settings: config.Settings) -> None:
    assert email.send(replace(settings, smtp_url="smtp://127.0.0.1:1"), mail()).result == "retry"
    assert email.send(settings, mail()).result == "retry"


def test_off_this_machine_nothing_is_said_without_tls(
    settings: config.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server of this test offers no TLS; called by a name that is not loopback it gets no letter."""
    box = MailBox()
    monkeypatch.setattr(email, "_is_loopback", lambda _host: False)
    with mail_server(box) as url:
        outcome = email.send(replace(settings, smtp_url=url), mail())
    assert outcome.result == "retry" and "TLS" in outcome.detail
    assert box.letters == []


def test_the_certificate_of_the_mail_server_is_verified(
    settings: config.Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, box, bundle = trustme.CA(), MailBox(), tmp_path / "ca.pem"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setattr(email, "_is_loopback", lambda _host: False)
    with mail_server(box, tls_context=context) as url:
        unknown = email.send(replace(settings, smtp_url=url), mail())
        assert (unknown.result, box.letters) == ("retry", [])
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        assert email.send(replace(settings, smtp_url=url), mail()).result == "handed-over"
    assert unknown.detail == "the mail server's certificate could not be verified"


# ---------------------------------------------------------------- a small server of our own


@contextmanager
def listening(serve: object) -> Iterator[str]:
    """A socket that hands its first connection to `serve` in a thread; gives its URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run() -> None:
            connection, _ = server.accept()
            with connection:
                serve(connection)  # type: ignore[operator]

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        thread.join(timeout=30)
