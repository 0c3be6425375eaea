"""A partner's endpoint: Standard Webhooks headers over CloudEvents JSON, through a guard.

No private address unless the endpoint allows its range or the setting for demo and tests does; the address that was
checked is the one connected to; no redirects, no proxies from the environment, verified TLS, bounded time and answer.
With an egress proxy set, the proxy finds and connects to the address, and its rules guard names; an address written in
the URL is still checked here.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from requests_hardened import Config, HTTPSession
from requests_hardened.ip_filter import EXTRA_BLOCKED_NET_RANGES
from requests_hardened.ip_filter_adapter import IPFilterAdapter
from urllib3.util.ssl_ import create_urllib3_context

from coordinator import clock
from coordinator.alerts.sending import Outcome, WebhookParcel
from coordinator.config import Settings
from coordinator.interchange.cloudevents import MEDIA_TYPE, envelope, write
from coordinator.partners.signing import signed_headers
from workers.channels.deadline import Deadline, TimeOver, watch_connections

CONNECT_SECONDS, READ_SECONDS, WHOLE_SECONDS = 5.0, 10.0, 20.0
MOST_ANSWER_BYTES = 64 * 1024
USER_AGENT = "coordinator"


class AddressRefused(requests.RequestException):
    """The endpoint's name leads to an address that nothing may be sent to."""


def body_of(parcel: WebhookParcel) -> bytes:
    """The bytes that are signed and sent: the same on every attempt."""
    event = parcel.event
    return write(envelope(event.type, event.source, id=event.id, time=event.time, data=event.data))


def send(settings: Settings, parcel: WebhookParcel, *, last_look: Callable[[], None] = lambda: None) -> Outcome:
    """One attempt. 2xx is delivered, 410 is gone, anything else is to be repeated; a refused address is no use.
    `last_look` is called right before the call, and raises what ends the attempt."""
    endpoint = parcel.endpoint
    if not endpoint.secrets:
        return Outcome("refused", "the endpoint has no secret to sign with")
    body = body_of(parcel)
    headers = signed_headers(endpoint.secrets, parcel.message_id, int(clock.now().timestamp()), body)
    headers["Content-Type"] = MEDIA_TYPE
    allowed = ranges(endpoint.allow_private, settings)
    try:
        check_written_address(endpoint.url, allowed)
        last_look()
        with Deadline(WHOLE_SECONDS) as deadline, guarded_session(settings, allowed) as session, session.post(
            endpoint.url, data=body, headers=headers, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS)
        ) as answer:
            deadline.check()  # cut short, a head can still look whole
            _swallow(answer)
            return _outcome(answer)
    except TimeOver:
        return Outcome("retry", "the endpoint did not answer in time")
    except AddressRefused:
        return Outcome("refused", "the endpoint's address is not allowed")
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema):
        return Outcome("refused", "the endpoint's URL cannot be used")
    except requests.exceptions.SSLError:
        return Outcome("retry", "the endpoint's certificate could not be verified")
    except requests.Timeout:
        return Outcome("retry", "the endpoint did not answer in time")
    except requests.RequestException as fault:
        return Outcome("retry", f"no connection: {type(fault).__name__}")


def answer(settings: Settings, url: str, *, allow_private: Sequence[str], body: dict[str, str]) -> int | None:
    """Post our system's answer to an alert, under the same guard; the status, None where nothing may go there.

    Raises RequestException or TimeOver where it is worth another attempt.
    """
    allowed = ranges(allow_private, settings)
    try:
        check_written_address(url, allowed)
        with Deadline(WHOLE_SECONDS) as deadline, guarded_session(settings, allowed) as session, session.post(
            url, json=body, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS)
        ) as said:
            deadline.check()
            _swallow(said)
            return said.status_code
    except (AddressRefused, requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema):
        return None


def retry_after(value: str | None) -> float | None:
    """Seconds from a Retry-After header (RFC 9110, 10.2.3): a number or a date; None where it is neither."""
    if not value:
        return None
    if value.strip().isdecimal() and len(value) < 10:
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - clock.now()).total_seconds())


def _outcome(answer: requests.Response) -> Outcome:
    status = answer.status_code
    if 200 <= status < 300:
        return Outcome("delivered", f"answered {status}")
    if status == 410:
        return Outcome("gone", "answered 410")
    return Outcome("retry", f"answered {status}", retry_after(answer.headers.get("Retry-After")))


def _swallow(answer: requests.Response) -> None:
    """Read a little of the answer and no more: nothing in it is used, and it may be endless."""
    size = 0
    with contextlib.suppress(requests.RequestException):
        for part in answer.iter_content(8192):
            size += len(part)
            if size > MOST_ANSWER_BYTES:
                return


Ranges = Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]


def ranges(allow_private: Sequence[str], settings: Settings) -> Ranges | None:
    """The private ranges that may be connected to; None: any (demo and tests)."""
    if settings.outbound_allow_private:
        return None
    return [ipaddress.ip_network(each) for each in allow_private]


def check_written_address(url: str, allowed: Ranges | None) -> None:
    """Raises AddressRefused where the URL names this machine, or an address that nothing may be sent to."""
    try:
        address = _plain(ipaddress.ip_address(urlsplit(url).hostname or ""))
    except ValueError:
        if (urlsplit(url).hostname or "").rstrip(".").endswith("localhost") and allowed is not None:
            loopback = ipaddress.ip_address("127.0.0.1")
            if not _may(loopback, allowed):
                raise AddressRefused() from None
        return
    if not _may(address, allowed):
        raise AddressRefused()


@contextlib.contextmanager
def guarded_session(settings: Settings, allowed: Ranges | None) -> Iterator[requests.Session]:
    config = Config(
        ip_filter_enable=True, ip_filter_allow_loopback_ips=False, never_redirect=True,
        default_timeout=(CONNECT_SECONDS, READ_SECONDS), user_agent_override=USER_AGENT,
    )  # fmt: skip
    with HTTPSession(config) as session:
        session.trust_env = False
        tls = _tls(settings.outbound_ca_file)
        if settings.egress_proxy:
            session.proxies = {"http": settings.egress_proxy, "https": settings.egress_proxy}
            session.mount("http://", _Proxied(tls))
            session.mount("https://", _Proxied(tls))
        else:
            session.mount("http://", _Guard(is_https_proto=False, allowed=allowed, tls=tls))
            session.mount("https://", _Guard(is_https_proto=True, allowed=allowed, tls=tls))
        yield session


def _tls(authorities: str) -> ssl.SSLContext | None:
    """Public authorities are added by the library; None: they alone."""
    if not authorities:
        return None
    context = create_urllib3_context()
    context.load_verify_locations(authorities)
    return context


class _Proxied(requests.adapters.HTTPAdapter):
    """By the egress proxy, under the same deadline."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        super().__init__()
        self._tls = tls

    def proxy_manager_for(self, proxy: str, **how: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **how)
        watch_connections(manager)
        return manager

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {**pool, **({"ssl_context": self._tls} if self._tls is not None else {})}


class _Guard(IPFilterAdapter):
    """The library's guard, with ranges that were allowed for one endpoint. It connects to the address it looked at."""

    def __init__(self, *, is_https_proto: bool, allowed: Ranges | None, tls: ssl.SSLContext | None) -> None:
        super().__init__(is_https_proto=is_https_proto)
        self._allowed, self._tls = allowed, tls
        watch_connections(self.poolmanager)

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host: dict[str, Any]
        pool: dict[str, Any]
        host, pool = requests.adapters.HTTPAdapter.build_connection_pool_key_attributes(  # type: ignore[assignment]
            self, request, verify, cert
        )
        name, port = host["host"], host["port"]
        written = f"[{name}]" if ":" in name else name
        request.headers["Host"] = f"{written}:{port}" if port is not None else written
        if self._is_https_proto:
            pool["assert_hostname"] = pool["server_hostname"] = name  # the certificate is for the name
            if self._tls is not None:
                pool["ssl_context"] = self._tls
        address = checked_address(name, port or (443 if self._is_https_proto else 80), self._allowed)
        host["host"] = f"[{address}]" if address.version == 6 else str(address)
        return host, pool


def checked_address(name: str, port: int, allowed: Ranges | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address to connect to for a host name. Every address of the name must be allowed, so that a name with two
    cannot be used to choose. Raises AddressRefused, or ConnectionError where the name does not resolve."""
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as fault:
        raise requests.ConnectionError("the name does not resolve") from fault
    addresses = [_plain(ipaddress.ip_address(str(each[4][0]).partition("%")[0])) for each in found]
    if not addresses or not all(_may(address, allowed) for address in addresses):
        raise AddressRefused()
    return addresses[0]


def _may(address: ipaddress.IPv4Address | ipaddress.IPv6Address, allowed: Ranges | None) -> bool:
    if allowed is None or any(address.version == range_.version and address in range_ for range_ in allowed):
        return True
    hidden = any(address.version == net.version and address in net for net in EXTRA_BLOCKED_NET_RANGES)
    return address.is_global and not address.is_multicast and not hidden


def _plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address inside a mapped IPv6 one: that is where the packets go."""
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
