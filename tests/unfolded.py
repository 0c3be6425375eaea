"""What a text or a file says once what is wrapped in it is taken out: a search for a word must not pass over it."""

from __future__ import annotations

import base64
import io
import re

import pikepdf

from tests.drawn import words_of

#: A word of 14 letters takes 19 at least.
_RUN = re.compile(r"[A-Za-z0-9+/_-]{19,}")
#: Letters, figures and signs in a row. A token, read as base64, seldom gives that many; in all of what it gives, a
#: short mark would be found by chance sooner or later.
_TEXT = re.compile(r"[ -~]{14,}")
_PLAIN = str.maketrans("-_", "+/")


def unfolded(said: str) -> str:
    """The text, and behind it what stands in it as base64 of either alphabet, wherever that begins (a slash before it
    may belong to an address), and what stands in that once more."""
    inner = _decoded(said)
    return f"{said}\n{inner}\n{_decoded(inner)}" if inner else said


def _decoded(said: str) -> str:
    found = []
    for run in _RUN.findall(said):
        plain = run.translate(_PLAIN)
        for start in range(4):
            part = plain[start:]
            part = part[:-1] if len(part) % 4 == 1 else part  # no byte ends there
            found += _TEXT.findall(base64.b64decode(part + "=" * (-len(part) % 4)).decode("latin-1"))
    return "\n".join(found)


def read_pdf(body: bytes) -> str:
    """What is drawn in a PDF of ours, what it says of itself, and every stream in it. "" for what is no PDF."""
    try:
        with pikepdf.open(io.BytesIO(body)) as document:
            said = [str(value) for value in document.docinfo.values()] if document.trailer.get("/Info") else []
            streams = [one.read_bytes() for one in document.objects if isinstance(one, pikepdf.Stream)]
    except (pikepdf.PdfError, pikepdf.DataDecodingError):
        return ""
    return "\n".join([*said, words_of(body), *(each.decode("latin-1") for each in streams)])
