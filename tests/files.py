"""Files as officers and partners have them, with what stands in them besides what they show: for tests of cleaning."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import pikepdf
from fpdf import FPDF
from PIL import Image, PngImagePlugin

_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
_A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
_RELS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_MAIN = "application/vnd.openxmlformats-officedocument.{}.main+xml"


def jpeg(secret: str = "Jane Doe", *, size: tuple[int, int] = (32, 24)) -> bytes:
    """A photograph with EXIF (author, device, position, time), XMP, a comment, and data behind its end."""
    exif = Image.Exif()
    exif[0x013B], exif[0x0110], exif[0x0131], exif[0x0132] = secret, f"cam {secret}", "editor", "2026:01:01 00:00:00"
    exif.get_ifd(0x8825).update({1: "N", 2: (59.0, 26.0, 13.0), 3: "E", 4: (24.0, 44.0, 43.0)})
    made = BytesIO()
    xmp = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{secret}</x:xmpmeta>".encode()
    Image.new("RGB", size, (200, 30, 30)).save(made, "JPEG", exif=exif, xmp=xmp, comment=secret.encode())
    return made.getvalue() + secret.encode()


def png(secret: str = "Jane Doe", *, size: tuple[int, int] = (16, 16)) -> bytes:
    """A drawing with text chunks."""
    said = PngImagePlugin.PngInfo()
    said.add_text("Author", secret)
    said.add_itxt("XML:com.adobe.xmp", secret)
    made = BytesIO()
    Image.new("RGBA", size, (0, 90, 200, 128)).save(made, "PNG", pnginfo=said)
    return made.getvalue()


def pdf(secret: str = "Jane Doe", *, text: str = "What we saw", photo: bool = False, change: Any = None) -> bytes:
    """A page of text with author, XMP, an embedded file, a script and a note; `change(pdf)` last."""
    page = FPDF()
    page.add_page()
    page.set_font("helvetica", size=12)
    page.cell(text=text)
    if photo:
        page.image(BytesIO(jpeg(secret)), x=10, y=30, w=20)
    page.set_author(secret)
    page.text_annotation(20, 20, f"note {secret}")
    made = BytesIO()
    with pikepdf.open(BytesIO(bytes(page.output()))) as one:
        with one.open_metadata() as known:
            known["dc:creator"] = [secret]
        one.attachments["inside.txt"] = f"inside {secret}".encode()
        one.Root.OpenAction = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS=f"app.alert('{secret}')")
        if photo:
            for each in one.objects:
                if isinstance(each, pikepdf.Stream) and each.get("/Subtype") == "/Image":
                    each.write(jpeg(secret), filter=pikepdf.Name.DCTDecode)
        if change is not None:
            change(one)
        one.save(made, compress_streams=False)
    return made.getvalue()


def docx(secret: str = "Jane Doe", *, body: str = "", relations: str = "", parts: Mapping[str, bytes] = {},
         main: str = "wordprocessingml.document") -> bytes:  # fmt: skip
    """A Word document with properties, a comment, a tracked change and a photograph."""
    changed = (
        f'<w:p w:rsidR="00AA11"><w:r><w:t>What we </w:t></w:r><w:ins w:id="1" w:author="{secret}" w:date="2026-01-01'
        f'T00:00:00Z"><w:r><w:t>saw</w:t></w:r></w:ins><w:del w:id="2" w:author="{secret}"><w:r><w:delText>deleted '
        f'{secret}</w:delText></w:r></w:del><w:commentRangeStart w:id="0"/><w:r><w:commentReference w:id="0"/></w:r>'
        "</w:p>"
    )
    picture = f'<w:p><w:r><w:drawing><a:blip {_A} r:embed="rId2"/></w:drawing></w:r></w:p>'
    files = {
        "_rels/.rels": related(
            ("rId1", "officeDocument", "word/document.xml"), ("rId2", "extended-properties", "docProps/app.xml"),
            ("rId3", "metadata/core-properties", "docProps/core.xml")),
        "word/document.xml": f"<w:document {_W} {_R}><w:body>{changed}{picture}{body}</w:body></w:document>".encode(),
        "word/_rels/document.xml.rels": related(
            ("rId1", "comments", "comments.xml"), ("rId2", "image", "media/photo.jpg"), more=relations),
        "word/comments.xml": f"<w:comments {_W}><w:p><w:r><w:t>{secret}</w:t></w:r></w:p></w:comments>".encode(),
        "word/media/photo.jpg": jpeg(secret),
        "docProps/app.xml": f"<Properties xmlns='urn:x'><Company>{secret}</Company></Properties>".encode(),
        "docProps/core.xml": f"<c xmlns:dc='http://purl.org/dc/elements/1.1/'><dc:creator>{secret}</dc:creator></c>"
        .encode(),
        **parts,
    }  # fmt: skip
    return package(files, {"word/document.xml": _MAIN.format(main), "word/comments.xml": "application/x+xml"})


def xlsx(*, state: str = "", author: str = "Jane Doe") -> bytes:
    """A workbook of one sheet with one cell."""
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    files = {
        "_rels/.rels": related(("rId1", "officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": (
            f'<workbook {space} {_R}><fileSharing userName="{author}"/><sheets><sheet name="One" sheetId="1" {state} '
            'r:id="rId1"/></sheets></workbook>').encode(),
        "xl/_rels/workbook.xml.rels": related(("rId1", "worksheet", "worksheets/sheet1.xml")),
        "xl/worksheets/sheet1.xml": (
            f'<worksheet {space}><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>What we saw</t></is></c></row>'
            "</sheetData></worksheet>").encode(),
    }  # fmt: skip
    return package(files, {"xl/workbook.xml": _MAIN.format("spreadsheetml.sheet"),
                           "xl/worksheets/sheet1.xml": "application/x+xml"})  # fmt: skip


def package(files: Mapping[str, bytes], types: Mapping[str, str]) -> bytes:
    said = "".join(f'<Override PartName="/{name}" ContentType="{kind}"/>' for name, kind in types.items())
    head = f'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">{said}</Types>'
    made = BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in {"[Content_Types].xml": head.encode(), **files}.items():
            archive.writestr(name, raw)
    return made.getvalue()


def unpacked(body: bytes) -> dict[str, bytes]:
    """The parts of a package."""
    with zipfile.ZipFile(BytesIO(body)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def inner(body: bytes) -> bytes:
    """All that can be read in a file: its bytes, and what is packed in it."""
    found = [body]
    if body.startswith(b"PK"):
        found += [name.encode() + b"\n" + inner(part) for name, part in unpacked(body).items()]
    if body.startswith(b"%PDF"):
        with pikepdf.open(BytesIO(body)) as one:
            found += [each.unparse() for each in one.objects if isinstance(each, pikepdf.Object)]
            found += [_stream(each) for each in one.objects if isinstance(each, pikepdf.Stream)]
    return b"\n".join(found)


def _stream(each: Any) -> bytes:
    return bytes(each.read_raw_bytes()) + (b"" if each.get("/Filter") == "/DCTDecode" else bytes(each.read_bytes()))


def related(*several: tuple[str, str, str], more: str = "") -> bytes:
    said = "".join(inside(*each) for each in several)
    return f'<Relationships xmlns="{_PACKAGE}">{said}{more}</Relationships>'.encode()


def outside(key: str, kind: str, target: str) -> str:
    """A relation to something outside of the document."""
    return f'<Relationship Id="{key}" Type="{_RELS}/{kind}" Target="{target}" TargetMode="External"/>'


def inside(key: str, kind: str, target: str) -> str:
    return f'<Relationship Id="{key}" Type="{_RELS}/{kind}" Target="{target}"/>'


_ODF = "urn:oasis:names:tc:opendocument:xmlns:"
_SPACES = " ".join(
    [f'xmlns:{prefix}="{_ODF}{name}:1.0"' for prefix, name in (
        ("office", "office"), ("text", "text"), ("draw", "drawing"), ("style", "style"), ("table", "table"),
        ("form", "form"), ("presentation", "presentation"), ("chart", "chart"))]
    + ['xmlns:xlink="http://www.w3.org/1999/xlink"', 'xmlns:dc="http://purl.org/dc/elements/1.1/"']
)  # fmt: skip


def opendocument(body: str, *, styles: str = "", parts: Mapping[str, bytes] = {}) -> bytes:
    """An OpenDocument text with this in it."""
    made = BytesIO()
    files = {"content.xml": open_content(f"<office:text>{body}</office:text>", styles), **parts}
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("mimetype"), "application/vnd.oasis.opendocument.text")
        for name, raw in files.items():
            archive.writestr(name, raw)
    return made.getvalue()


def open_content(body: str, styles: str = "") -> bytes:
    return (f"<office:document-content {_SPACES}><office:automatic-styles>{styles}</office:automatic-styles>"
            f"<office:body>{body}</office:body></office:document-content>").encode()  # fmt: skip
