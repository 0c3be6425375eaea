"""What a file is, by its first bytes: never by what its sender or its name say. The name may only make it worse."""

from __future__ import annotations

import json
import re

from coordinator.cleaning.results import OFFICE, OPENDOCUMENT, PDF, PICTURE, TEXT, Cleaned, Uncleanable

_PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"BM")
_ARCHIVES = (b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"MSCF", b"PK\x05\x06")
_PROGRAMS = (b"MZ", b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"#!", b"L\0\0\0\x01\x14\x02\0", b"\0asm")
_OPEN = b"mimetypeapplication/vnd.oasis.opendocument."
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
#: How a stored mail of Outlook calls its parts ([MS-OXMSG] 2.2).
_OUTLOOK = "__substg1.0_".encode("utf-16-le")
_SCRIPTS = (".bat", ".cmd", ".com", ".hta", ".js", ".jse", ".lnk", ".ps1", ".py", ".reg", ".sh", ".vbs", ".wsf")
_MAILS = (".eml", ".mbox", ".emlx", ".ics", ".vcf")
_MAIL_HEADERS = re.compile(
    r"^(?:return-path|received|delivered-to|message-id|mime-version|from|to|subject|date|x-[\w-]+): ?\S",
    re.IGNORECASE | re.MULTILINE,
)
_MAILBOX = re.compile(r"From \S+@\S+ |BEGIN:V(?:CARD|CALENDAR)")
#: Control characters that no plain text holds.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def kind_of(body: bytes, name: str) -> str:
    """text, picture, pdf, office or opendocument. Raises Uncleanable for everything else."""
    start, ending = body[:16], name.lower()[-6:]
    if start.startswith(_PICTURES) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP"):
        return PICTURE
    if b"%PDF-" in body[:1024]:
        return PDF
    if start.startswith(b"PK\x03\x04"):
        if body[30:].startswith(_OPEN):
            return OPENDOCUMENT
        if b"[Content_Types].xml" in body:
            return OFFICE
        raise Uncleanable("archive")
    if start.startswith(_OLD_OFFICE) and _OUTLOOK in body:
        raise Uncleanable("mail")
    for magic, why in ((_ARCHIVES, "archive"), (_PROGRAMS, "program"), ((_OLD_OFFICE,), "old-office")):
        if start.startswith(magic):
            raise Uncleanable(why)
    if body[257:262] == b"ustar":
        raise Uncleanable("archive")
    if ending.endswith(_SCRIPTS):
        raise Uncleanable("program")
    if ending.endswith(_MAILS):
        raise Uncleanable("mail")
    return TEXT


def plain(body: bytes, name: str) -> Cleaned:
    """Plain text, CSV and JSON as they are: nothing stands behind their letters. Raises Uncleanable."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Uncleanable("unknown-type") from None
    if _CONTROLS.search(text):
        raise Uncleanable("unknown-type")
    if text.lstrip().startswith(("<", "{\\rtf", "%!PS")):
        raise Uncleanable("page")
    first = text.lstrip()[:4000].split("\n\n", 1)[0]
    if len(_MAIL_HEADERS.findall(first)) >= 3 or _MAILBOX.match(text):
        raise Uncleanable("mail")
    media_type, ending = "text/plain", "txt"
    if _is_json(text):
        media_type, ending = "application/json", "json"
    elif name.lower().endswith(".csv"):
        media_type, ending = "text/csv", "csv"
    return Cleaned(TEXT, body, media_type, ending, unchanged=True, text=text)


def _is_json(text: str) -> bool:
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
