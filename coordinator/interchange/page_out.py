"""One released alert as a PDF for its one recipient: the label stands in the header and the footer of each page.

TLP 2.0: the label in capitals, at least 12 points, at the right, in its colour on black. The shipped font (DejaVu Sans)
has Latin, Greek, Cyrillic, Armenian, Georgian, Hebrew and Arabic letters; for others an operator may lay fonts into the
folder `fonts` of the data folder. A letter that no font has is a box, and the page says how many there are.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coordinator import clock
from coordinator.alerts.wording import EXERCISE
from coordinator.interchange.contents import Contents

if TYPE_CHECKING:
    from fpdf import FPDF

MEDIA_TYPE = "application/pdf"
_FONT = Path(__file__).parent / "fonts" / "DejaVuSans.ttf"
_MARGIN, _BAND = 20, 9  # millimetres
_BOX = "\u25a1"


def write(*several: Contents, fonts: Sequence[Path] = ()) -> bytes:
    """A PDF with these alerts, each on a page of its own, all under the strictest of their labels. The same bytes each
    time; no trace of our machine, and where the source is withheld none of us."""
    pdf = _paper(several, fonts)
    for contents in several:
        pdf.add_page()
        _alert(pdf, contents)
    return bytes(pdf.output())


def fonts_in(data_dir: Path) -> list[Path]:
    """What the operator laid there, in order of their names."""
    return sorted(path for path in (data_dir / "fonts").glob("*") if path.suffix.lower() in (".ttf", ".otf"))


def _paper(several: Sequence[Contents], fonts: Sequence[Path]) -> FPDF:
    from fpdf import FPDF  # a quarter of a second that only those need who take a PDF

    strictest = max(contents.tlp for contents in several)
    label = strictest.label
    banner = EXERCISE if any(contents.exercise for contents in several) else ""

    class Paper(FPDF):
        def header(self) -> None:
            self._band(8)

        def footer(self) -> None:
            self._band(self.h - 8 - _BAND, number=True)

        def _band(self, top: float, *, number: bool = False) -> None:
            self.set_xy(_MARGIN, top)
            self.set_font("text", size=13)
            width = self.get_string_width(label) + 6
            self.set_font_size(9)
            self.set_text_color(0)
            said = " ".join(part for part in (banner, f"{self.page_no()}" if number else "") if part)
            self.cell(self.epw - width, _BAND, said)
            self.set_fill_color(0)
            self.set_text_color(*_rgb(strictest.colour))
            self.set_font_size(13)
            self.cell(width, _BAND, label, align="C", fill=True)
            self.set_text_color(0)
            self.set_xy(_MARGIN, _MARGIN + 4)

    pdf = Paper(format="A4")
    pdf.set_margins(_MARGIN, _MARGIN + 4, _MARGIN)
    pdf.set_auto_page_break(True, margin=_MARGIN + 4)
    pdf.add_font("text", fname=_FONT)
    for number, path in enumerate(fonts):
        pdf.add_font(f"more{number}", fname=path)
    pdf.set_fallback_fonts([f"more{number}" for number in range(len(fonts))], exact_match=False)
    pdf.set_text_shaping(True)
    pdf.set_font("text", size=11)
    first = several[0]
    pdf.set_title(f"{label} {first.reference or first.key}")
    pdf.set_producer("Coordinator")
    pdf.set_creation_date(max(contents.left_at for contents in several))
    return pdf


def _alert(pdf: Any, contents: Contents) -> None:
    shown = _Shown(pdf)
    pdf.set_font("text", size=10)
    _paragraph(pdf, shown, f"{contents.kind_name} for {contents.recipient.name}")
    pdf.set_font("text", size=16)
    _paragraph(pdf, shown, contents.title)
    pdf.set_font("text", size=10)
    for name, value in _facts(contents):
        _paragraph(pdf, shown, f"{name}: {value}")
    pdf.ln(3)
    pdf.set_font("text", size=11)
    for line in contents.body.split("\n"):
        _paragraph(pdf, shown, line)
    _listed(pdf, shown, "How to handle it", [*contents.binding, *contents.handling])
    _listed(pdf, shown, "What can be looked for", [f"{kind}: {value}" for kind, value in contents.observables])
    _listed(pdf, shown, "Files, to be taken where you sign in", [
        f"{each.name}, {each.size} bytes, SHA-256 {each.sha256}" for each in contents.files
    ])  # fmt: skip
    if shown.missing:
        pdf.ln(3)
        pdf.set_font("text", size=9)
        _paragraph(pdf, shown, f"{shown.missing} characters have no letter in the fonts of this file and are shown as "
                               f"{_BOX}. The same alert as JSON has them.")  # fmt: skip


def _facts(contents: Contents) -> list[tuple[str, str]]:
    said = [
        ("Reference", contents.reference), ("From", contents.sender.name if contents.sender else ""),
        ("Originator", contents.originator.name if contents.originator else ""), ("Purpose", contents.purpose),
        ("Released", clock.rfc3339(contents.left_at.replace(microsecond=0))),
        ("Actions", contents.marking.pap.label if contents.marking.pap else ""),
        ("Please answer by", clock.rfc3339(contents.reply_by) if contents.reply_by else ""),
        ("States affected", ", ".join(contents.states_affected)),
    ]  # fmt: skip
    return [(name, value) for name, value in said if value]


def _listed(pdf: Any, shown: _Shown, heading: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    pdf.ln(4)
    pdf.set_font("text", size=13)
    _paragraph(pdf, shown, heading)
    pdf.set_font("text", size=10)
    for line in lines:
        _paragraph(pdf, shown, f"\u2022 {line}")


def _paragraph(pdf: Any, shown: _Shown, text: str) -> None:
    said = shown(text)
    pdf.multi_cell(
        pdf.epw, h=pdf.font_size * 1.3, text=said or " ", align="R" if _from_right(said) else "L", new_x="LMARGIN",
        new_y="NEXT", wrapmode="CHAR" if _longest(said) > 60 else "WORD",
    )  # fmt: skip


class _Shown:
    """Text as the fonts at hand can show it; counts what they cannot."""

    def __init__(self, pdf: Any) -> None:
        self._has = frozenset().union(*(font.cmap for font in pdf.fonts.values()))
        self.missing = 0

    def __call__(self, text: str) -> str:
        return "".join(self._one(each) for each in text)

    def _one(self, character: str) -> str:
        kind = unicodedata.category(character)
        if character == "\t" or kind == "Zs":
            return " "
        if kind in ("Cc", "Cf", "Cs", "Zl", "Zp"):  # control and direction characters: the letters say it themselves
            return "" if kind != "Cc" else " "
        if ord(character) in self._has:
            return character
        self.missing += 1
        return _BOX


def _from_right(text: str) -> bool:
    """Whether the first letter with a direction is written from the right."""
    return next((way in ("R", "AL") for each in text if (way := unicodedata.bidirectional(each)) in ("L", "R", "AL")),
                False)  # fmt: skip


def _longest(text: str) -> int:
    return max(map(len, text.split()), default=0)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
