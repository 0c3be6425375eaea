"""What is drawn on a page stays, to the operator; what stands in its streams and dictionaries besides does not."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pikepdf
import pytest
from fpdf import FPDF
from pikepdf import Array, Dictionary, Name

from coordinator.cleaning.bounded import clean as in_a_child
from coordinator.cleaning.cleaner import clean
from coordinator.cleaning.naming import names_in
from coordinator.cleaning.reading import read
from coordinator.cleaning.results import Uncleanable
from tests.files import inner, pdf

SECRET = "Zqk Walnut"


def _notes(one: pikepdf.Pdf) -> None:
    one.pages[0].contents_add(
        b"% Zqk Walnut\n/Span <</ActualText (Zqk Walnut)>> BDC BT ET EMC /Zqk Walnut MP (Zqk Walnut) 0 0 m "
        b"(Zqk Walnut) n [(Zqk Walnut)] 0 d 0 0 m (Zqk Walnut) 0 l\n"
    )


def _invisible(one: pikepdf.Pdf) -> None:
    one.pages[0].contents_add(b"BT 3 Tr /F1 8 Tf (Zqk Walnut) Tj [(Zqk Walnut)] TJ (Zqk Walnut) ' ET")


def _unused(one: pikepdf.Pdf) -> None:
    form = one.make_stream(b"BT (Zqk Walnut) Tj ET", Type=Name.XObject, Subtype=Name.Form, BBox=[0, 0, 1, 1])
    one.pages[0].Resources.XObject = Dictionary(Gone=form)


def _form(one: pikepdf.Pdf) -> None:
    form = one.make_stream(b"% Zqk Walnut\n0 0 1 1 re f", Type=Name.XObject, Subtype=Name.Form, BBox=[0, 0, 1, 1])
    form["/Private"], form["/Ref"] = pikepdf.String(SECRET), Dictionary(F=SECRET)
    one.pages[0].Resources.XObject = Dictionary(Fx=form)
    one.pages[0].contents_add(b"/Fx Do")


def _layer(one: pikepdf.Pdf) -> None:
    one.pages[0].Resources.Properties = Dictionary(L=one.make_indirect(Dictionary(Type=Name.OCG, Name=SECRET)))
    one.pages[0].contents_add(b"/OC /L BDC 0 0 1 1 re f EMC")


def _profile(one: pikepdf.Pdf) -> None:
    space = Array([Name.ICCBased, one.make_stream(b"acsp Zqk Walnut", N=3)])
    one.pages[0].Resources.ColorSpace = Dictionary(C=space)
    one.pages[0].contents_add(b"/C cs 0 0 0 sc")


def _keys(one: pikepdf.Pdf) -> None:
    for font in one.pages[0].Resources.Font.values():
        font["/Name"], font["/Private"] = Name("/Zqk Walnut"), pikepdf.String(SECRET)
    one.pages[0].obj["/Group"] = Dictionary(S=Name.Transparency, Private=SECRET)
    one.Root["/Lang"], one.trailer["/Private"] = pikepdf.String(SECRET), pikepdf.String(SECRET)


@pytest.mark.parametrize("change", [_notes, _invisible, _unused, _form, _layer, _profile, _keys])
def test_only_what_draws_is_left(change: Callable[[pikepdf.Pdf], None]) -> None:
    before = pdf("x", change=change)
    assert b"Walnut" in inner(before)
    made = clean(before, "x")
    assert b"Walnut" not in inner(made.body)
    assert b"What we saw" in inner(made.body)
    assert made.body == clean(before, "x").body, "the same bytes again: an approval is bound to their digest"


def test_an_earlier_version_of_a_document_is_gone() -> None:
    older = pdf("x") + b"\n9 0 obj\n(Zqk Walnut)\nendobj\n%%EOF\n" + SECRET.encode()
    assert b"Walnut" not in inner(clean(older, "x").body)


def test_a_picture_in_the_line_with_something_of_its_own_is_refused() -> None:
    def inline(one: pikepdf.Pdf) -> None:
        one.pages[0].contents_add(b"q BI /W 1 /H 1 /CS /G /BPC 8 /Private (Zqk Walnut) ID a EI Q")

    with pytest.raises(Uncleanable) as refused:
        clean(pdf("x", change=inline), "x")
    assert refused.value.why == "damaged"


def _pages(*texts: str) -> bytes:
    made = FPDF()
    for text in texts:
        made.add_page()
        made.set_font("helvetica", size=12)
        if text:
            made.multi_cell(w=60, text=text)
    return bytes(made.output())


def test_a_name_is_found_on_its_page() -> None:
    body = _pages("Nothing here.", "", "Seen by zqk\nwalnut at night", "Zqk Walnuts")
    made = in_a_child(body, name="x.pdf", names=[SECRET, "Another"])
    assert (made.why, made.bears_name, made.named) == ("", True, ((SECRET, 3),))
    assert (made.pages, made.searched, made.wordless) == (4, 4, 1)
    unnamed = in_a_child(body, name="x.pdf", names=["Another"])
    assert (unnamed.bears_name, unnamed.named) == (None, ()), "what is painted on a page nobody can search"


def test_a_font_that_bears_a_name_is_found_too() -> None:
    def named(one: pikepdf.Pdf) -> None:
        for font in one.pages[0].Resources.Font.values():
            font["/BaseFont"] = Name("/ABCDEF+Zqk-Walnut-Sans")

    made: Any = clean(pdf("x", change=named), "x")
    assert read(made, ["Zqk-Walnut"]).named == [("Zqk-Walnut", 0)]


# Where Python drops that time is over, pytest tells of it; it is raised once more.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_was_not_read_in_time_is_said_to_be_unread() -> None:
    made = clean(_pages(*["A page of text, and more of it. " * 20] * 60), "x")
    found = read(made, [SECRET], longest=0.001)
    assert found.searched < 60 and found.named == []


@pytest.mark.parametrize(
    "text", ["by Zqk\u00a0Walnut", "Z q k Walnut", "Zqk Wal\u00adnut", "ZQK WALNUT's", "Ｚqk Walnut"]
)
def test_no_way_of_setting_letters_hides_a_name(text: str) -> None:
    assert names_in(text, [SECRET]) == [SECRET]


@pytest.mark.parametrize("text", ["Zqk Walnuts", "azqk walnut", "Zqk, Walnut", ""])
def test_part_of_a_word_is_no_name(text: str) -> None:
    assert names_in(text, [SECRET, "ab", ""]) == []


def test_a_stream_that_unpacks_to_more_than_is_safe_ends_with_a_reason() -> None:
    made = BytesIO()
    with pikepdf.Pdf.new() as one:
        one.add_blank_page()
        one.pages[0].obj.Contents = one.make_stream(b"0 0 m " * 6_000_000)
        one.save(made, compress_streams=True)
    assert in_a_child(made.getvalue(), name="x.pdf").why == "too-complex"
