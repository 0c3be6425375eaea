"""What is drawn on a page, operator by operator: what draws nothing is left out of it, notes and hidden text too.

Source: ISO 32000-2: 7.8.2 (content streams; comments are no part of them), 9.3.6 (text rendering mode 3: invisible),
14.6 (marked content).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pikepdf

from coordinator.cleaning.pdf_keys import NAMED
from coordinator.cleaning.results import Uncleanable

#: What draws, and how many operands each takes (table 50); None: any number. Marked content draws nothing.
_OPERANDS: dict[str, int | None] = {
    **dict.fromkeys(("q", "Q", "h", "S", "s", "f", "F", "f*", "B", "B*", "b", "b*", "n", "W", "W*", "BT", "ET", "T*",
                     "BX", "EX"), 0),
    **dict.fromkeys(("w", "J", "j", "M", "ri", "i", "gs", "Tc", "Tw", "Tz", "TL", "Tr", "Ts", "Tj", "TJ", "'", "CS",
                     "cs", "G", "g", "sh", "Do", "INLINE IMAGE"), 1),
    **dict.fromkeys(("d", "m", "l", "Td", "TD", "Tf", "d0"), 2), **dict.fromkeys(("RG", "rg", '"'), 3),
    **dict.fromkeys(("re", "v", "y", "K", "k"), 4), **dict.fromkeys(("cm", "c", "Tm", "d1"), 6),
    **dict.fromkeys(("SC", "SCN", "sc", "scn"), None),
}  # fmt: skip
_SHOWS = {"Tj": "", "TJ": "", "'": "T*", '"': "T*"}
_INVISIBLE = 3
#: Bytes of a content stream: each operator of it is held at once.
MOST_BYTES = 32 * 1024 * 1024
#: ISO 32000-2, table 91, with the abbreviations of names in it.
_INLINE = {"/BPC", "/BitsPerComponent", "/CS", "/ColorSpace", "/D", "/Decode", "/DP", "/DecodeParms", "/F", "/Filter",
           "/H", "/Height", "/IM", "/ImageMask", "/Intent", "/I", "/Interpolate", "/L", "/Length", "/W",
           "/Width"}  # fmt: skip


def rewrite(pdf: pikepdf.Pdf, removed: set[str]) -> None:
    """Each content stream written anew, and what no stream names taken out of the resources. Raises Uncleanable."""
    used = set[str]()
    for page in pdf.pages:
        page.obj.Contents = pdf.make_stream(_plain(page, used, removed))
    for each in [one for one in pdf.objects if isinstance(one, pikepdf.Stream) and _draws(one)]:
        each.write(_plain(each, used, removed))
    for glyph in list(_glyphs(pdf)):
        glyph.write(_plain(glyph, used, removed))
    for several in [one for one in pdf.objects if isinstance(one, (pikepdf.Dictionary, pikepdf.Stream))]:
        _prune(several, used)


def _draws(each: Any) -> bool:
    return each.get("/Subtype") == "/Form" or each.get("/PatternType") == 1


def _glyphs(pdf: pikepdf.Pdf) -> Iterator[Any]:
    for each in pdf.objects:
        if isinstance(each, pikepdf.Dictionary) and each.get("/Subtype") == "/Type3":
            procs: Any = each.get("/CharProcs", {})
            yield from (procs[key] for key in procs if isinstance(procs[key], pikepdf.Stream))


def _plain(content: Any, used: set[str], removed: set[str]) -> bytes:
    if _size(content) > MOST_BYTES:
        raise Uncleanable("too-complex")
    kept, mode, modes = list[tuple[Any, pikepdf.Operator]](), 0, list[int]()
    for instruction in pikepdf.parse_content_stream(content):
        operands, operator = list[Any](instruction.operands), instruction.operator
        name = str(operator)
        if name not in _OPERANDS:
            continue
        most = _OPERANDS[name]
        operands = operands[len(operands) - most if most is not None and len(operands) > most else 0 :]
        if name == "q":
            modes.append(mode)
        elif name == "Q" and modes:
            mode = modes.pop()
        elif name == "Tr" and operands:
            mode = int(operands[0])
        if name in _SHOWS and mode == _INVISIBLE:
            removed.add("invisible-text")
            if _SHOWS[name]:
                kept.append(([], pikepdf.Operator(_SHOWS[name])))
            continue
        if any(_is_text(each) for each in operands) and name not in _SHOWS:
            continue
        _note_names(name, operands, used)
        kept.append((operands, operator))
    return pikepdf.unparse_content_stream(kept)


def _size(content: Any) -> int:
    streams = content.obj.get("/Contents", []) if isinstance(content, pikepdf.Page) else content
    several = streams if isinstance(streams, pikepdf.Array) else [streams] if streams else []
    return sum(len(each.read_bytes()) for each in several)


def _is_text(operand: Any) -> bool:
    """A string, or what may hold one: no operator takes these but those that show text; a dash pattern holds numbers.
    An operator with others is in error, and draws nothing."""
    if isinstance(operand, pikepdf.Array):
        return any(isinstance(each, pikepdf.Object) for each in operand)
    return isinstance(operand, (pikepdf.String, pikepdf.Dictionary))


def _note_names(operator: str, operands: Any, used: set[str]) -> None:
    if operator == "INLINE IMAGE":
        said = operands[0]._image_object
        if not {str(key) for key in said[::2]} <= _INLINE:
            raise Uncleanable("damaged")
        used.update(str(each) for each in said if isinstance(each, pikepdf.Name))
        return
    used.update(str(each) for each in operands if isinstance(each, pikepdf.Name))


def _prune(each: Any, used: set[str]) -> None:
    """Resources that are named nowhere are drawn nowhere. A font names its glyphs otherwise; defaults are not named."""
    for kind in NAMED - {"/CharProcs"}:
        several = each.get(kind)
        if not isinstance(several, pikepdf.Dictionary):
            continue
        for name in list(several.keys()):
            if name not in used and not name.startswith("/Default"):
                del several[name]
