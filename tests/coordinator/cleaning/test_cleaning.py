"""What a file says besides what it shows does not leave with it; what cannot be cleaned is refused with its reason."""

from __future__ import annotations

import zipfile
import zlib
from io import BytesIO
from typing import Any

import pikepdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from coordinator.cleaning.bounded import clean as in_a_child
from coordinator.cleaning.cleaner import clean
from coordinator.cleaning.naming import names_in
from coordinator.cleaning.pdf import jpeg_without_properties
from coordinator.cleaning.results import REFUSED, REMOVED, Uncleanable
from tests.files import docx, inner, inside, jpeg, outside, package, pdf, png, unpacked, xlsx

SECRET = "Zqk Walnut"


@pytest.mark.parametrize(
    ("body", "ending", "removed"),
    [
        (jpeg(SECRET), "jpg", {"author", "device", "position", "software", "times", "properties", "comments",
                               "appended"}),
        (png(SECRET), "png", {"author", "properties"}),
        (pdf(SECRET), "pdf", {"author", "properties", "embedded-files", "scripts", "annotations", "software"}),
        (pdf(SECRET, photo=True), "pdf", {"properties"}),
        (docx(SECRET), "docx", {"author", "comments", "tracked-changes", "editing-marks", "position"}),
        (xlsx(author=SECRET), "xlsx", {"author"}),
    ],
    ids=["jpeg", "png", "pdf", "pdf with a photograph", "docx", "xlsx"],
)  # fmt: skip
def test_nothing_but_what_is_shown_is_left(body: bytes, ending: str, removed: set[str]) -> None:
    assert SECRET.encode() in inner(body)
    made = clean(body, "Zqk Walnut's notes")
    assert made.ending == ending
    assert removed <= set(made.removed)
    assert SECRET.encode() not in inner(made.body)
    assert b"Walnut" not in inner(made.body)
    again = clean(made.body, f"x.{ending}")
    assert set(again.removed) <= {"software", "description"}, "what was cleaned holds nothing more to clean"


def test_what_is_shown_stays() -> None:
    with Image.open(BytesIO(clean(jpeg(), "x").body)) as picture:
        assert picture.size == (32, 24) and picture.getpixel((3, 3))[0] > 180
        assert not picture.getexif() and set(picture.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    with pikepdf.open(BytesIO(clean(pdf(text="What we saw"), "x").body)) as one:
        assert len(one.pages) == 1 and b"What we saw" in one.pages[0].Contents.read_bytes()
        assert set(one.Root.keys()) == {"/Type", "/Pages"} and "/Info" not in one.trailer
    said = unpacked(clean(docx(body="<w:p><w:r><w:t>End.</w:t></w:r></w:p>"), "x").body)
    assert b"What we </w:t>" in said["word/document.xml"] and b">saw<" in said["word/document.xml"]
    assert b"End." in said["word/document.xml"] and b"deleted" not in said["word/document.xml"]
    assert set(said) == {"[Content_Types].xml", "_rels/.rels", "word/document.xml", "word/_rels/document.xml.rels",
                         "word/media/image1.jpg"}  # fmt: skip


def test_a_picture_is_turned_as_it_was_to_be_seen() -> None:
    exif, made = Image.Exif(), BytesIO()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(made, "JPEG", exif=exif)
    with Image.open(BytesIO(clean(made.getvalue(), "x").body)) as picture:
        assert picture.size == (20, 40)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "YCbCr"])
def test_pictures_of_every_kind_of_colour_are_drawn_anew(mode: str) -> None:
    made, image = BytesIO(), Image.new(mode, (5, 4))
    image.save(made, "TIFF" if mode in ("CMYK", "I;16", "YCbCr") else "PNG")
    assert clean(made.getvalue(), "x").ending == "png"


@pytest.mark.parametrize(
    ("body", "name", "media_type"),
    [(b"a,b\n1,2\n", "x.csv", "text/csv"), (b'{"a": 1}', "x", "application/json"), ("Tõrge".encode(), "", "text/plain"),
     (b"From here on: nothing.", "x.txt", "text/plain"), (b"", "x.txt", "text/plain")],
)  # fmt: skip
def test_plain_text_stays_as_it_is_and_says_so(body: bytes, name: str, media_type: str) -> None:
    made = clean(body, name)
    assert (made.body, made.media_type, made.unchanged, made.removed) == (body, media_type, True, ())


def _gif() -> bytes:
    made = BytesIO()
    frames = [Image.new("P", (4, 4), colour) for colour in (0, 1)]
    frames[0].putpalette(bytes(range(256)) * 3)
    frames[0].save(made, "GIF", save_all=True, append_images=[Image.new("RGB", (4, 4), "red")])
    return made.getvalue()


def _locked() -> bytes:
    made = BytesIO()
    with pikepdf.Pdf.new() as one:
        one.add_blank_page()
        one.save(made, encryption=pikepdf.Encryption(owner="x", user="y"))
    return made.getvalue()


def _form(one: pikepdf.Pdf, **more: Any) -> None:
    field = one.make_indirect(pikepdf.Dictionary(FT=pikepdf.Name.Tx, T="a", **more))
    one.Root.AcroForm = pikepdf.Dictionary(Fields=pikepdf.Array([field]))


def _signed(one: pikepdf.Pdf) -> None:
    _form(one)
    one.Root.AcroForm.SigFlags = 3


def _layers(one: pikepdf.Pdf) -> None:
    layer = one.make_indirect(pikepdf.Dictionary(Type=pikepdf.Name.OCG, Name="x"))
    hidden = pikepdf.Dictionary(OFF=pikepdf.Array([layer]))
    one.Root.OCProperties = pikepdf.Dictionary(OCGs=pikepdf.Array([layer]), D=hidden)


def _large_picture() -> bytes:
    """A PNG that says it has 100,000 x 100,000 pixels."""
    head = b"IHDR" + (100_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    return (b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + head + zlib.crc32(head).to_bytes(4, "big")
            + b"\0\0\0\x01IDATx" + zlib.crc32(b"IDATx").to_bytes(4, "big") + b"\0\0\0\0IEND\xaeB`\x82")  # fmt: skip


def _bomb() -> bytes:
    return docx(parts={"word/zeros.xml": b"\0" * (151 * 1024 * 1024)})


def _plain_zip() -> bytes:
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("a.txt", "x")
    return made.getvalue()


@pytest.mark.parametrize(
    ("body", "name", "why"),
    [
        (b"\x01\x02\x03", "x.bin", "unknown-type"),
        (_plain_zip(), "x.zip", "archive"),
        (b"\x1f\x8b\x08\0", "x.gz", "archive"),
        (b"MZ\x90\0", "report.pdf", "program"),
        (b"#!/bin/sh\n", "x", "program"),
        (b"Invoke-Expression", "x.PS1", "program"),
        (b"Received: from a\nFrom: a@b\nTo: c@d\nSubject: x\n\nHello", "letter", "mail"),
        (b"Hello", "x.eml", "mail"),
        (b"<html><body>", "x.html", "page"),
        (b"{\\rtf1 x}", "x.rtf", "page"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "x.doc", "old-office"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "__substg1.0_001A001F".encode("utf-16-le"), "x.bin", "mail"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "x.svg", "page"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "x.heic", "unknown-type"),
        (b"%PDF-1.7 nothing", "x.pdf", "damaged"),
        (b"\xff\xd8\xff\xe0 nothing", "x.jpg", "damaged"),
        (_gif(), "x.gif", "several-pictures"),
        (_large_picture(), "x.png", "too-complex"),
        (_locked(), "x.pdf", "protected"),
        (pdf(change=_form), "x.pdf", "form"),
        (pdf(change=_signed), "x.pdf", "signed"),
        (pdf(change=_layers), "x.pdf", "hidden-layers"),
        (docx(main="wordprocessingml.template"), "x.dotx", "unknown-type"),
        (docx(parts={"word/vbaProject.bin": b"x"}), "x.docm", "macros"),
        (docx(parts={"word/o.bin": b"x"}, relations=inside("rId9", "oleObject", "o.bin")), "x", "embedded-object"),
        (docx(relations=outside("rId9", "oleObject", "file:///c:/x")), "x", "embedded-object"),
        (docx(body='<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>x</w:t></w:r></w:p>'), "x", "hidden-content"),
        (docx(body="<w:p><w:r><w:instrText> INCLUDETEXT x</w:instrText></w:r></w:p>"), "x", "linked-data"),
        (docx(parts={"word/document.xml": b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"}), "x", "damaged"),
        (xlsx(state='state="veryHidden"'), "x", "hidden-content"),
        (package({"word/a.xml": b"<a/>"}, {}), "x", "unknown-type"),
    ],
)  # fmt: skip
def test_what_cannot_be_cleaned_says_why(body: bytes, name: str, why: str) -> None:
    with pytest.raises(Uncleanable) as refused:
        clean(body, name)
    assert refused.value.why == why and why in REFUSED


def test_links_in_a_document_stay_and_its_paths_go() -> None:
    made = unpacked(clean(docx(
        body=('<w:p><w:hyperlink r:id="rId7"><w:r><w:t>site</w:t></w:r></w:hyperlink><w:hyperlink r:id="rId8">'
              '<w:r><w:t>home</w:t></w:r></w:hyperlink></w:p>'),
        relations=outside("rId7", "hyperlink", "https://a.example/") + outside("rId8", "hyperlink", "file:///home/jd")
        + outside("rId9", "image", "https://spy.example/pixel.png"),
    ), "x").body)  # fmt: skip
    said = made["word/_rels/document.xml.rels"]
    assert b"https://a.example/" in said and b"spy" not in said and b"jd" not in said
    assert b"home</w:t>" in made["word/document.xml"], "what a link shows stays when the link goes"


def test_a_name_is_found_in_a_text_that_is_split() -> None:
    made = clean(docx(body="<w:p><w:r><w:t>by Jane</w:t></w:r><w:r><w:t> Doe.</w:t></w:r></w:p>"), "x")
    assert made.text is not None and names_in(made.text, ["jane doe"]) and not names_in(made.text, ["Jan", ""])


@given(st.binary(max_size=400), st.sampled_from([b"", b"%PDF-1.7\n", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n",
                                                  b"PK\x03\x04[Content_Types].xml", b"GIF89a", b"RIFF\0\0\0\0WEBP"]))
@settings(deadline=None, max_examples=150)
def test_whatever_bytes_come_there_is_a_copy_or_a_reason(body: bytes, start: bytes) -> None:
    try:
        made = clean(start + body, "x")
    except Uncleanable as refused:
        assert refused.why in REFUSED
    else:
        assert set(made.removed) <= set(REMOVED)


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_a_broken_file_is_a_copy_or_a_reason(data: Any) -> None:
    whole = data.draw(st.sampled_from([jpeg(), png(), xlsx()]))
    at = data.draw(st.integers(0, len(whole) - 1))
    broken = whole[:at] + data.draw(st.binary(max_size=8)) + whole[at + data.draw(st.integers(0, 20)) :]
    try:
        clean(broken, "x")
    except Uncleanable as refused:
        assert refused.why in REFUSED


def test_a_photograph_in_a_page_loses_its_properties_and_no_pixel() -> None:
    plain = jpeg_without_properties(jpeg(SECRET))
    assert b"Walnut" not in plain
    with Image.open(BytesIO(plain)) as after, Image.open(BytesIO(jpeg(SECRET))) as before:
        assert after.tobytes() == before.tobytes()


class TestInAChild:
    def test_it_says_what_came_of_it(self) -> None:
        made = in_a_child(jpeg(SECRET), name="x.jpg", names=["nobody"])
        assert (made.why, made.ending, made.bears_name) == ("", "jpg", None)
        assert made.body == clean(jpeg(SECRET), "x.jpg").body
        text = in_a_child(b"Told by Zqk Walnut", name="x.txt", names=[SECRET])
        assert (text.unchanged, text.bears_name) == (True, True)
        assert in_a_child(b"MZ", name="x").why == "program"

    def test_it_is_stopped_where_it_takes_too_long(self) -> None:
        assert in_a_child(b"x", name="x", longest=0.0).why == "time-over"

    def test_what_unpacks_to_too_much_ends_with_a_reason(self) -> None:
        assert in_a_child(_bomb(), name="x").why == "too-complex"
