"""The words that a PDF of ours draws, read back through the tables its fonts carry (ISO 32000-2, 9.10.3: ToUnicode)."""

from __future__ import annotations

import io
import re
from typing import Any

import pikepdf

_BLOCK = re.compile(rb"beginbfchar(.*?)endbfchar", re.DOTALL)
_ONE = re.compile(rb"<([0-9a-fA-F]+)>\s*<([0-9a-fA-F]+)>")


def words_of(pdf: bytes) -> str:
    """Everything drawn as text, page after page, in the order in which it is drawn; a text object a line."""
    with pikepdf.open(io.BytesIO(pdf)) as document:
        return "\n".join(_words(page) for page in document.pages)


def whole(answer: Any) -> str:
    """All that an answer of a test client says: its headers, and its body as text."""
    said = words_of(answer.data) if answer.mimetype == "application/pdf" else answer.get_data(as_text=True)
    return f"{answer.headers}\n{said}"


def _words(page: pikepdf.Page) -> str:
    tables = {name: _table(font) for name, font in page.obj.Resources.Font.items()}
    table, found = dict[int, str](), list[str]()
    for operands, operator in pikepdf.parse_content_stream(page):
        if str(operator) == "Tf":
            table = tables[str(operands[0])]
        elif str(operator) == "Tj":
            drawn = bytes(operands[0])
            codes = [int.from_bytes(drawn[place:place + 2], "big") for place in range(0, len(drawn), 2)]
            found += [table[code] for code in codes]
        elif str(operator) == "ET":
            found.append("\n")
    return "".join(found)


def _table(font: Any) -> dict[int, str]:
    """Code of a glyph -> the text it stands for."""
    blocks = _BLOCK.findall(font.ToUnicode.read_bytes())
    pairs = [pair for block in blocks for pair in _ONE.findall(block)]
    return {int(code, 16): bytes.fromhex(text.decode()).decode("utf-16-be") for code, text in pairs}
