"""A PDF made anew from its pages: what hangs on the document and not on a page is left behind.

Source: ISO 32000-2, 7.7.2 (catalogue), 7.7.3.3 (pages), 12.5 (annotations), 12.8 (signatures), 14.3 (metadata). What
is drawn on a page is not looked at.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pikepdf

from coordinator.cleaning.pdf_contents import rewrite
from coordinator.cleaning.pdf_keys import PAGE, strip
from coordinator.cleaning.results import PDF, Cleaned, Uncleanable, in_order

MOST_PAGES, MOST_OBJECTS = 3000, 200_000
#: What hangs on single objects and draws nothing.
_BESIDE = {"/Metadata": "properties", "/PieceInfo": "custom-data", "/LastModified": "times", "/Thumb": "thumbnail",
           "/AA": "scripts", "/OPI": "paths", "/Alternates": "further-pictures", "/AF": "embedded-files",
           "/Measure": "properties", "/PtData": "position", "/StructParent": "", "/StructParents": "",
           "/Properties": "layers", "/OC": "layers", "/Name": "", "/Ref": "links", "/FontFamily": "",
           "/ID": ""}  # fmt: skip
_INFO = {"/Author": "author", "/Creator": "software", "/Producer": "software", "/CreationDate": "times",
         "/ModDate": "times", "/Title": "description", "/Subject": "description", "/Keywords": "description"}


def clean(body: bytes) -> Cleaned:
    """Raises Uncleanable."""
    try:
        with pikepdf.open(BytesIO(body)) as source:
            _refuse(source)
            removed = _found(source, body)
            made = _of_pages(source)
        return Cleaned(PDF, _without_the_rest(made, removed), "application/pdf", "pdf", in_order(removed - {""}))
    except pikepdf.PasswordError as error:
        raise Uncleanable("protected") from error
    except (pikepdf.PdfError, ValueError, KeyError, TypeError, AttributeError, RecursionError, IndexError) as error:
        raise Uncleanable("damaged") from error


def _refuse(source: pikepdf.Pdf) -> None:
    root: Any = source.Root
    if source.is_encrypted:
        raise Uncleanable("protected")
    if "/Perms" in root or _is_signed(source):
        raise Uncleanable("signed")
    if "/AcroForm" in root and (len(root.AcroForm.get("/Fields", [])) or "/XFA" in root.AcroForm):
        raise Uncleanable("form")
    layers = root.get("/OCProperties")
    if layers is not None and (len(layers.get("/D", {}).get("/OFF", [])) or "/BaseState" in layers.get("/D", {})):
        raise Uncleanable("hidden-layers")
    if len(source.pages) > MOST_PAGES or len(source.objects) > MOST_OBJECTS:
        raise Uncleanable("too-complex")


def _is_signed(source: pikepdf.Pdf) -> bool:
    form: Any = source.Root.get("/AcroForm")
    if form is None:
        return False
    fields: Any = form.get("/Fields", [])
    return bool(int(form.get("/SigFlags", 0)) & 1) or any(field.get("/FT") == "/Sig" for field in fields)


def _found(source: pikepdf.Pdf, body: bytes) -> set[str]:
    """What hangs on the document."""
    root: Any = source.Root
    info: Any = source.trailer.get("/Info", {})
    found = {code for key, code in _INFO.items() if key in info}
    if any(key not in _INFO for key in info):
        found.add("properties")
    names: Any = root.get("/Names", {})
    said = {
        "properties": "/Metadata" in root, "embedded-files": "/EmbeddedFiles" in names or "/AF" in root,
        "scripts": "/JavaScript" in names or "/OpenAction" in root or "/AA" in root,
        "bookmarks": "/Outlines" in root or "/PageLabels" in root, "custom-data": "/PieceInfo" in root,
        "earlier-versions": body.count(b"%%EOF") > (2 if b"/Linearized" in body[:2048] else 1),
    }  # fmt: skip
    return found | {code for code, there in said.items() if there}


def _of_pages(source: pikepdf.Pdf) -> bytes:
    made = pikepdf.Pdf.new()
    made.pages.extend(source.pages)
    kept = BytesIO()
    made.save(kept, deterministic_id=True)
    return kept.getvalue()


def _without_the_rest(body: bytes, removed: set[str]) -> bytes:
    """The pages with what draws them. Written once more at the end: only what can be reached from a page is in it."""
    with pikepdf.open(BytesIO(body)) as pdf:
        for page in pdf.pages:
            for key in [str(key) for key in list(page.obj) if str(key) not in PAGE]:
                removed.add("annotations" if key == "/Annots" else _BESIDE.get(key, "other-parts"))
                del page.obj[key]
        rewrite(pdf, removed)
        strip(pdf, _BESIDE, removed)
        for each in pdf.objects:
            if isinstance(each, pikepdf.Stream) and each.get("/Subtype") == "/Image":
                _strip_image(each, removed)
        made = BytesIO()
        pdf.save(made, deterministic_id=True, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    return made.getvalue()


def _strip_image(image: Any, removed: set[str]) -> None:
    """A photograph inside holds its own properties. JPEG loses them as it stands; JPEG 2000 with some is refused."""
    filters = image.get("/Filter")
    several = [str(one) for one in filters] if isinstance(filters, pikepdf.Array) else [str(filters)]
    if several == ["/JPXDecode"]:
        raw = image.read_raw_bytes()
        if b"uuid" in raw[:4096] or b"xml " in raw[:4096]:
            raise Uncleanable("embedded-object")
    if several != ["/DCTDecode"]:
        return
    raw = image.read_raw_bytes()
    plain = jpeg_without_properties(raw)
    if plain != raw:
        removed.add("properties")
        image.write(plain, filter=pikepdf.Name.DCTDecode, decode_parms=image.get("/DecodeParms"))


def jpeg_without_properties(raw: bytes) -> bytes:
    """A JPEG without its application segments and comments, but for Adobe's (APP14), which says how its colours are to
    be read (ITU-T T.81, B.1.1.3). What follows the first scan is left as it stands up to the end marker.

    Raises Uncleanable where it is no JPEG.
    """
    if not raw.startswith(b"\xff\xd8"):
        raise Uncleanable("damaged")
    kept, at = bytearray(b"\xff\xd8"), 2
    while at + 4 <= len(raw) and raw[at] == 0xFF:
        marker, length = raw[at + 1], int.from_bytes(raw[at + 2 : at + 4], "big")
        if marker == 0xDA:
            end = raw.rfind(b"\xff\xd9")
            return bytes(kept) + (raw[at : end + 2] if end > at else raw[at:])
        if not (0xE0 <= marker <= 0xEF or marker == 0xFE) or marker == 0xEE:
            kept += raw[at : at + 2 + length]
        at += 2 + max(length, 2)
    raise Uncleanable("damaged")
