"""A mailbox, over SMTP. Accepted by the server is "handed over": whether it was delivered nobody tells us.

Off this machine TLS is required and verified. The Message-ID is the same on every attempt of a delivery.
"""

from __future__ import annotations

import ipaddress
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import replace
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from urllib.parse import SplitResult, unquote, urlsplit

from coordinator import clock
from coordinator.alerts.sending import MailParcel, Outcome
from coordinator.config import Settings
from coordinator.partners import openpgp
from coordinator.partners.openpgp import BadKey

#: For each word of the server; the lease is renewed while a conversation goes on (deliver.py).
SECONDS = 30.0


def send(settings: Settings, parcel: MailParcel, *, last_look: Callable[[], None] = lambda: None) -> Outcome:
    """One attempt. A temporary refusal (4xx) is to be repeated, a permanent one (5xx) closes this way. `last_look` is
    called when the server has let us in, and raises what ends the attempt before anything of the letter went."""
    if not settings.smtp_url:
        return Outcome("retry", "no mail server is set")
    try:
        message = message_for(settings, parcel)
    except BadKey as fault:  # never in clear text instead
        return Outcome("refused", f"the OpenPGP key of this address cannot be used: {fault.detail}")
    try:
        with _connect(urlsplit(settings.smtp_url), settings.outbound_ca_file) as server:
            last_look()
            _hand_over(server, message)
    except smtplib.SMTPRecipientsRefused as fault:
        codes = [code for code, _ in fault.recipients.values()]
        refused = _refusal(max(codes, default=450))
        return replace(refused, unknown=refused.result == "refused")
    except smtplib.SMTPAuthenticationError:
        return Outcome("retry", "the mail server did not accept our name and password")
    except smtplib.SMTPResponseException as fault:
        return _refusal(fault.smtp_code)
    except smtplib.SMTPNotSupportedError:
        return Outcome("retry", "the mail server does not offer what is needed (TLS, or addresses of any script)")
    except ssl.SSLError:
        return Outcome("retry", "the mail server's certificate could not be verified")
    except (OSError, smtplib.SMTPException) as fault:
        return Outcome("retry", f"no connection to the mail server: {type(fault).__name__}")
    return Outcome("handed-over", "accepted by the mail server")


def message_for(settings: Settings, parcel: MailParcel) -> EmailMessage:
    """The mail itself. Headers are one line each, whatever the text holds. Raises BadKey."""
    message = EmailMessage(policy=SMTP)
    message["From"] = settings.mail_from
    message["To"] = Address(addr_spec=parcel.address)
    message["Subject"] = parcel.letter.subject
    message["Date"] = format_datetime(clock.now())
    message["Message-ID"] = _id(parcel.message_id, parcel.mail_domain)
    if parcel.references:
        before = [_id(each, parcel.mail_domain) for each in parcel.references]
        message["In-Reply-To"] = before[-1]
        message["References"] = " ".join(before)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers to this
    if parcel.pgp_key:
        _set_sealed(message, parcel.letter.body, parcel.pgp_key)
    else:
        message.set_content(parcel.letter.body)
    return message


def _set_sealed(message: EmailMessage, body: str, key: str) -> None:
    """The text as multipart/encrypted (RFC 3156, 4): a version part and the encrypted MIME entity."""
    inner = EmailMessage(policy=SMTP)
    inner.set_content(body)
    control = EmailMessage(policy=SMTP)
    control.set_content(b"Version: 1\r\n", "application", "pgp-encrypted", cte="7bit")
    sealed = EmailMessage(policy=SMTP)
    sealed.set_content(openpgp.seal(inner.as_bytes(), [key]), "application", "octet-stream", cte="7bit",
                       disposition="inline", filename="encrypted.asc")  # fmt: skip
    for part in (control, sealed):
        del part["MIME-Version"]
    message["MIME-Version"] = "1.0"
    message.add_header("Content-Type", "multipart/encrypted", protocol="application/pgp-encrypted")
    message.set_payload([control, sealed])


def _hand_over(server: smtplib.SMTP, message: EmailMessage) -> None:
    """As `send_message`, which would write ">From" where a line of the text begins with "From"."""
    sender, receiver = str(message["From"].addresses[0].addr_spec), str(message["To"].addresses[0].addr_spec)
    if (sender + receiver).isascii():
        server.sendmail(sender, [receiver], message.as_bytes(policy=SMTP))
    else:
        options = ("SMTPUTF8", "BODY=8BITMIME")
        server.sendmail(sender, [receiver], message.as_bytes(policy=SMTPUTF8), mail_options=options)


def _refusal(code: int) -> Outcome:
    if 500 <= code < 600:
        return Outcome("refused", f"the mail server refused it ({code})")
    return Outcome("retry", f"the mail server put it off ({code})")


def _connect(url: SplitResult, authorities: str) -> smtplib.SMTP:
    host, local = url.hostname or "localhost", _is_loopback(url.hostname or "localhost")
    context = ssl.create_default_context()
    if authorities:
        context.load_verify_locations(authorities)
    if url.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, url.port or 465, timeout=SECONDS, context=context)
    else:
        server = smtplib.SMTP(host, url.port or (25 if local else 587), timeout=SECONDS)
        if not local:
            server.starttls(context=context)
    if url.username:
        server.login(unquote(url.username), unquote(url.password or ""))
    return server


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _id(message_id: str, domain: str) -> str:
    return f"<{message_id}@{domain}>"
