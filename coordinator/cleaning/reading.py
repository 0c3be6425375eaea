"""Where a name stands in a cleaned copy: on which page, or among what the file names by itself (fonts, alternative
texts). What is painted letter by letter in a picture nobody finds here.
"""

from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import pikepdf

from coordinator.cleaning.naming import names_in
from coordinator.cleaning.results import PDF, Cleaned

#: Seconds of processor time for reading pages; what was not read by then is said to be unread.
LONGEST = 15.0
#: Seconds of processor time after which it is told once more that time is over.
AGAIN = 0.05
MOST_FOUND = 50
_PROGRAMS = ("/FontFile", "/FontFile2", "/FontFile3", "/ToUnicode")


@dataclass
class Read:
    """`named`: (name, page from 1, or 0 for no page). `pages`: how many there are; `searched`: up to which one;
    `wordless`: those among them with no text in them, as of a scan."""

    named: list[tuple[str, int]] = field(default_factory=list)
    pages: int = 0
    searched: int = 0
    wordless: int = 0


class _Over(BaseException):
    """Time is over. No Exception: a library that goes on after a fault does not go on after this."""


def read(made: Cleaned, names: Collection[str], *, longest: float = LONGEST) -> Read:
    """Only ever in a child of its own, in its main thread: it sets the timer of the process."""
    found = Read()
    if made.kind == PDF:
        logging.disable(logging.CRITICAL)  # what is wrong with a file is told by nobody but us
        try:
            _until(longest, made.body, names, found)
        finally:
            logging.disable(logging.NOTSET)
    elif made.text is not None:
        found.named = [(name, 0) for name in names_in(made.text, names)]
    found.named = found.named[:MOST_FOUND]
    return found


def _until(longest: float, body: bytes, names: Collection[str], found: Read) -> None:
    def stop(*_: Any) -> None:
        raise _Over()

    signal.signal(signal.SIGPROF, stop)
    # Again and again, since Python drops what is raised while it clears up after an object.
    signal.setitimer(signal.ITIMER_PROF, longest, AGAIN)
    with contextlib.suppress(_Over):
        try:
            for page, text in _pages(body, found):
                found.named += [(name, page) for name in names_in(text, names)]
            for text in _inner(body):
                found.named += [(name, 0) for name in names_in(text, names) if (name, 0) not in found.named]
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)


def _pages(body: bytes, found: Read) -> Iterator[tuple[int, str]]:
    from pypdf import PdfReader

    reader = PdfReader(BytesIO(body))
    found.pages = len(reader.pages)
    for number, page in enumerate(reader.pages, 1):
        try:
            text = page.extract_text()
        except Exception:  # a page that can be drawn and not be read
            text = ""
        found.wordless += not text.strip()
        yield number, text
        found.searched = number


def _inner(body: bytes) -> Iterator[str]:
    """What the file calls its fonts and colours, and what font programs say of themselves."""
    with pikepdf.open(BytesIO(body)) as pdf:
        yield " ".join(text for each in pdf.objects for text in _strings(each))
        for each in pdf.objects:
            if isinstance(each, pikepdf.Dictionary):
                for key in _PROGRAMS:
                    if isinstance(program := each.get(key), pikepdf.Stream):
                        raw = bytes(program.read_bytes())
                        yield raw.decode("latin-1")
                        yield raw.replace(b"\0", b"").decode("latin-1")


def _strings(each: Any) -> Iterator[str]:
    if isinstance(each, (pikepdf.Dictionary, pikepdf.Stream)):
        for key in list(each.keys()):
            yield key[1:]
            if not isinstance(each[key], pikepdf.Object) or not each[key].is_indirect:
                yield from _strings(each[key])
    elif isinstance(each, pikepdf.Array):
        for one in each:
            if isinstance(one, (pikepdf.Name, pikepdf.String, pikepdf.Array, pikepdf.Dictionary)):
                yield from _strings(one) if not one.is_indirect else ()
    elif isinstance(each, (pikepdf.Name, pikepdf.String)):
        yield str(each).lstrip("/")
