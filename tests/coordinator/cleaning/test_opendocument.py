"""An OpenDocument file made anew from what it shows. The samples were written by LibreOffice, a few kilobytes each."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from coordinator.cleaning.bounded import clean as in_a_child
from coordinator.cleaning.cleaner import clean
from coordinator.cleaning.results import REFUSED, Uncleanable
from tests.files import inner, open_content, opendocument, unpacked

SECRET = "ZqkWalnut"
SAMPLES = Path(__file__).parent / "samples"


@pytest.mark.parametrize(
    ("name", "shown", "removed"),
    [("text.odt", "KEEPTEXT KEEPINSERTED KEEPLINK KEEPFILELINK KEEPFOOTNOTE KEEPCELL KEEPHEADER KEEPFOOTER",
      {"comments", "tracked-changes", "custom-data", "links", "position", "printer", "thumbnail"}),
     ("sheet.ods", "KEEPCELL", {"comments", "properties", "thumbnail"}),
     ("slides.odp", "KEEPSLIDE", {"comments", "notes", "position", "thumbnail"}),
     ("text.docx", "KEEPTEXT KEEPINSERTED KEEPLINK KEEPFILELINK KEEPFOOTNOTE KEEPCELL KEEPHEADER KEEPFOOTER",
      {"comments", "tracked-changes", "custom-data", "links", "position"}),
     ("text.pdf", "", {"author", "software", "description", "annotations"})],
)  # fmt: skip
def test_what_libreoffice_wrote_is_cleaned_of_all_but_what_it_shows(name: str, shown: str, removed: set[str]) -> None:
    body = (SAMPLES / name).read_bytes()
    assert b"qzwalnut" in inner(body).lower().replace(b"\0", b"")
    made = clean(body, name)
    left = inner(made.body).lower()
    assert b"qzwalnut" not in left.replace(b"\0", b"")
    assert [word for word in shown.split() if word.lower().encode() not in left] == []
    assert removed <= set(made.removed) and made.ending == name.rpartition(".")[2]
    assert made.body == clean(body, name).body, "an approval is bound to the digest"


def _picture() -> bytes:
    made = BytesIO()
    Image.new("RGB", (3, 3)).save(made, "PNG")
    return made.getvalue()


def test_a_document_is_a_package_that_others_open() -> None:
    body = '<text:p>shown<draw:frame><draw:image xlink:href="Pictures/Zqk.png"/></draw:frame></text:p>'
    made = clean(opendocument(body, parts={"Pictures/Zqk.png": _picture()}), "x")
    parts = unpacked(made.body)
    assert made.body[30:].startswith(b"mimetypeapplication/vnd.oasis.opendocument.text")
    assert list(parts)[0] == "mimetype" and made.media_type == "application/vnd.oasis.opendocument.text"
    assert b'full-path="Pictures/image1.png"' in parts["META-INF/manifest.xml"]
    assert b'xlink:href="Pictures/image1.png"' in parts["content.xml"] and parts["Pictures/image1.png"]


@pytest.mark.parametrize(
    "body",
    ['<text:p>shown<text:bookmark text:name="ZqkWalnut"/></text:p>',
     '<text:p xml:id="ZqkWalnut"><draw:frame draw:name="ZqkWalnut"><draw:text-box><text:p>shown</text:p>'
     "</draw:text-box></draw:frame></text:p>",
     '<text:p xmlns:q="urn:ZqkWalnut" q:a="ZqkWalnut">shown<q:b>ZqkWalnut</q:b></text:p>',
     '<text:p>shown<text:user-defined text:name="ZqkWalnut"/></text:p>',
     '<text:p><text:a xlink:href="smb://ZqkWalnut/">shown</text:a></text:p>',
     '<text:p>shown</text:p><draw:frame><draw:image xlink:href="https://ZqkWalnut.example/pixel.png"/></draw:frame>',
     '<text:p>shown<office:annotation><dc:creator>ZqkWalnut</dc:creator></office:annotation></text:p>'],
)  # fmt: skip
def test_what_only_its_editor_sees_is_gone(body: str) -> None:
    before = opendocument(body)
    assert SECRET.encode() in inner(before)
    left = inner(clean(before, "x").body)
    assert SECRET.encode() not in left and b"shown" in left


def test_of_the_settings_only_those_of_the_layout_stay() -> None:
    items = "".join(f'<c:config-item c:name="{name}" c:type="boolean">{value}</c:config-item>' for name, value in (
        ("TabOverMargin", "true"), ("PrinterName", "ZqkWalnut"), ("TableRowKeep", "ZqkWalnut"), ("ZqkWalnut", "true")))
    said = f'<a xmlns:c="urn:oasis:names:tc:opendocument:xmlns:config:1.0">{items}</a>'
    left = unpacked(clean(opendocument("", parts={"settings.xml": said.encode()}), "x").body)["settings.xml"]
    assert b'"TabOverMargin" config:type="boolean">true<' in left and b"TableRowKeep" not in left
    assert SECRET.encode() not in left


def test_fields_become_what_they_showed_and_page_numbers_stay() -> None:
    body = "<text:p><text:title>shown</text:title> <text:page-number>3</text:page-number></text:p>"
    left = inner(clean(opendocument(body), "x").body)
    assert b"<text:p>shown <text:page-number>3</text:page-number></text:p>" in left


def _hiding(family: str, said: str) -> str:
    kind = "text" if family == "paragraph" else family
    return f'<style:style style:name="H" style:family="{family}"><style:{kind}-properties {said}/></style:style>'



@pytest.mark.parametrize(
    ("body", "styles", "parts", "why"),
    [('<text:p><text:span text:style-name="H">x</text:span></text:p>', 
      _hiding("text", 'text:display="none"'), {}, "hidden-content"),
     ('<text:p text:style-name="I">x</text:p>', _hiding("paragraph", 'text:display="none"')
      + '<style:style style:name="I" style:family="paragraph" style:parent-style-name="H"/>', {}, "hidden-content"),
     ('<table:table table:style-name="H"/>', _hiding("table", 'table:display="false"'), {},
      "hidden-content"),
     ('<draw:page draw:style-name="H"/>', _hiding("drawing-page", 'presentation:visibility="hidden"'), {},
      "hidden-content"),
     ('<table:table><table:table-row table:visibility="collapse"/></table:table>', "", {}, "hidden-content"),
     ('<text:section text:display="none"/>', "", {}, "hidden-content"),
     ("<text:p><text:hidden-text/></text:p>", "", {}, "hidden-content"),
     ('<text:section><text:section-source xlink:href="x.odt"/></text:section>', "", {}, "linked-data"),
     ('<draw:frame><draw:object xlink:href="./Object 1"/></draw:frame>', "",
      {"Object 1/content.xml": b"<a><body><text/></body></a>"}, "embedded-object"),
     ('<draw:frame><draw:object-ole xlink:href="./Object 1"/></draw:frame>', "", {}, "embedded-object"),
     ('<draw:frame><draw:plugin xlink:href="x.mp4"/></draw:frame>', "", {}, "media"),
     ('<office:forms><form:form/></office:forms>', "", {}, "form"),
     ('<draw:frame><draw:image xlink:href="a.svm"/></draw:frame>', "", {"a.svm": b"VCLMTF"}, "drawing"),
     ("", "", {"Basic/Standard/Module1.xml": b"<a/>"}, "macros"),
     ("", "", {"META-INF/documentsignatures.xml": b"<a/>"}, "signed"),
     ("", "", {"META-INF/manifest.xml": b"<a><encryption-data/></a>"}, "protected"),
     ("", "", {"content.xml": b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"}, "damaged"),
     ("", "", {"content.xml": b"<a>"}, "damaged")],
)  # fmt: skip
def test_what_is_hidden_or_comes_from_elsewhere_says_why(
    body: str, styles: str, parts: dict[str, bytes], why: str
) -> None:
    with pytest.raises(Uncleanable) as refused:
        clean(opendocument(body, styles=styles, parts=parts), "x")
    assert refused.value.why == why and why in REFUSED


def test_a_chart_comes_along_and_the_picture_it_was_shown_by_does_not() -> None:
    body = ('<draw:frame><draw:object xlink:href="./Object 1"/><draw:image xlink:href="./ObjectReplacements/Object 1"/>'
            "</draw:frame>")  # fmt: skip
    parts = {"Object 1/content.xml": open_content("<office:chart>shown</office:chart>"),
             "Object 1/meta.xml": b"<a>ZqkWalnut</a>", "ObjectReplacements/Object 1": b"VCLMTF ZqkWalnut"}  # fmt: skip
    made = clean(opendocument(body, parts=parts), "x")
    assert {"Object 1/content.xml"} <= set(unpacked(made.body)) and SECRET.encode() not in inner(made.body)


def test_what_unpacks_to_too_much_ends_with_a_reason() -> None:
    bomb = opendocument("", parts={"Pictures/a.png": b"\0" * (151 * 1024 * 1024)})
    assert in_a_child(bomb, name="x").why == "too-complex"
