"""Of an Office document only what is shown is left: not what an editor, a template or a program keeps in it."""

from __future__ import annotations

import pytest

from coordinator.cleaning.cleaner import clean
from coordinator.cleaning.naming import names_in
from coordinator.cleaning.results import Uncleanable
from tests.files import docx, inner, inside, package, related, unpacked, xlsx

SECRET = "ZqkWalnut"
_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_A = "http://schemas.openxmlformats.org/drawingml/2006/main"
_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml"
_SLIDES = "application/vnd.openxmlformats-officedocument.presentationml"


def _field(said: str, shown: str = "shown") -> str:
    return ('<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r>'
            + "".join(f"<w:r><w:instrText>{part}</w:instrText></w:r>" for part in said.split("|"))
            + f'<w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>{shown}</w:t></w:r>'
            '<w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>')  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        _field(" DOCPROPERTY ZqkWalnut "),
        _field(" FILENAME \\p |C:\\ZqkWalnut"),
        _field(' HYPERLINK "fi|le:///ZqkWalnut"'),
        _field(" TOC \\t &quot;ZqkWalnut,1&quot; "),
        '<w:p><w:fldSimple w:instr="AUTHOR ZqkWalnut"><w:r><w:t>shown</w:t></w:r></w:fldSimple></w:p>',
        '<w:sdt><w:sdtPr><w:alias w:val="ZqkWalnut"/><w:tag w:val="ZqkWalnut"/><w:dataBinding w:xpath="ZqkWalnut"/>'
        "</w:sdtPr><w:sdtContent><w:p><w:r><w:t>shown</w:t></w:r></w:p></w:sdtContent></w:sdt>",
        '<w:p><w:smartTag w:uri="urn:ZqkWalnut" w:element="ZqkWalnut"><w:smartTagPr><w:attr w:val="ZqkWalnut"/>'
        "</w:smartTagPr><w:r><w:t>shown</w:t></w:r></w:smartTag></w:p>",
        '<w:p><w:permStart w:id="1" w:ed="ZqkWalnut"/><w:r><w:t>shown</w:t></w:r><w:permEnd w:id="1"/></w:p>',
        '<w:p><w:bookmarkStart w:id="1" w:name="ZqkWalnut"/><w:r><w:t>shown</w:t></w:r><w:bookmarkEnd w:id="1"/></w:p>',
        '<w:p xmlns:q="urn:ZqkWalnut" q:ZqkWalnut="ZqkWalnut"><q:a>ZqkWalnut</q:a><w:r><w:t>shown</w:t></w:r></w:p>',
        f'<w:p xmlns:a="{_A}"><w:r><a:docPr id="3" name="ZqkWalnut"/><w:t>shown</w:t></w:r></w:p>',
        f'<w:p xmlns:a="{_A}"><w:r><a:extLst><a:ext uri="x"><a:x v="ZqkWalnut"/></a:ext></a:extLst><w:t>shown</w:t>'
        "</w:r></w:p>",
        '<w:p><w:r><w:t>shown</w:t><w:pict><v:imagedata xmlns:v="urn:schemas-microsoft-com:vml" '
        'xmlns:o="urn:schemas-microsoft-com:office:office" o:title="ZqkWalnut"/></w:pict></w:r></w:p>',
        '<w:p xmlns:w14="http://schemas.microsoft.com/office/word/2010/wordml" w14:paraId="ZqkWalnut"><w:r><w:t>shown'
        "</w:t></w:r></w:p>",
    ],
)
def test_what_its_editor_keeps_is_gone_and_what_is_read_stays(body: str) -> None:
    before = docx("x", body=body)
    assert SECRET.encode() in inner(before).replace(b"|", b"")
    made = clean(before, "x")
    assert SECRET.encode() not in inner(made.body) and b">shown</w:t>" in inner(made.body)


@pytest.mark.parametrize("said", [' PAGE ', ' HYPERLINK "https://a.example/"', " REF _Ref12 \\h ", ' TOC \\o "1-3" '])
def test_fields_that_only_count_and_point_stay_fields(said: str) -> None:
    assert said.strip().split()[0].encode() in inner(clean(docx("x", body=_field(said)), "x").body)


def test_a_field_that_is_taken_out_shows_nothing_it_did_not_show() -> None:
    end = "</w:instrText></w:r>"
    nested = _field(" IF | =1 ").replace(end, f"{end}<w:r><w:t>ZqkWalnut</w:t></w:r>", 1)
    assert SECRET.encode() not in inner(clean(docx("x", body=nested), "x").body)


def test_a_field_that_takes_in_a_file_is_seen_through_its_pieces() -> None:
    for body in (_field(" INCLUDE|TEXT x"), '<w:p><w:fldSimple w:instr=" LINK Excel"/></w:p>'):
        with pytest.raises(Uncleanable) as refused:
            clean(docx("x", body=body), "x")
        assert refused.value.why == "linked-data"


def _styled(rest: str = "") -> bytes:
    styles = (f'<w:styles xmlns:w="{_W}"><w:style w:type="paragraph" w:customStyle="1" w:styleId="ZqkWalnut"><w:name '
              f'w:val="ZqkWalnut head"/>{rest}</w:style></w:styles>')  # fmt: skip
    return _with_types(
        docx("x", body='<w:p><w:pPr><w:pStyle w:val="ZqkWalnut"/></w:pPr><w:r><w:t>shown</w:t></w:r></w:p>',
             parts={"word/ZqkWalnut.xml": styles.encode()}, relations=inside("RZqkWalnut", "styles", "ZqkWalnut.xml")),
        {"word/document.xml": f"{_WORD}.document.main+xml", "word/ZqkWalnut.xml": f"{_WORD}.styles+xml",
         "word/comments.xml": "application/x+xml"},
    )  # fmt: skip


def _with_types(body: bytes, types: dict[str, str]) -> bytes:
    return package({name: raw for name, raw in unpacked(body).items() if name != "[Content_Types].xml"}, types)


def test_styles_parts_and_relations_get_names_of_ours_and_still_belong_together() -> None:
    made = clean(_styled(), "x")
    parts = unpacked(made.body)
    assert SECRET.encode() not in inner(made.body) and "names" in made.removed
    assert b'<w:pStyle w:val="Style1"/>' in parts["word/document.xml"]
    [styles] = [raw for name, raw in parts.items() if b"</w:styles>" in raw]
    assert b'w:styleId="Style1"' in styles and b'w:val="Style 1"' in styles


def test_text_that_is_hidden_by_its_style_is_refused() -> None:
    with pytest.raises(Uncleanable) as refused:
        clean(_styled("<w:rPr><w:vanish/></w:rPr>"), "x")
    assert refused.value.why == "hidden-content"


_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def _book(workbook: str = "", sheet: str = "", rows: str = '<row r="1"><c r="A1" t="s"><v>1</v></c></row>') -> bytes:
    parts = unpacked(xlsx())
    del parts["[Content_Types].xml"]
    strings = b'<sst xmlns="urn:schemas-microsoft-com:x"><si><t>ZqkWalnut</t></si><si><t>shown</t></si></sst>'
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    parts["xl/workbook.xml"] = parts["xl/workbook.xml"].replace(b"</workbook>", f"{workbook}</workbook>".encode())
    parts["xl/worksheets/sheet1.xml"] = f"<worksheet {space}>{sheet}<sheetData>{rows}</sheetData></worksheet>".encode()
    parts["xl/sharedStrings.xml"] = strings
    parts["xl/_rels/workbook.xml.rels"] = related(
        ("rId1", "worksheet", "worksheets/sheet1.xml"), ("rId2", "sharedStrings", "sharedStrings.xml"))
    return package(parts, {
        "xl/workbook.xml": f"{_SHEET}.sheet.main+xml", "xl/worksheets/sheet1.xml": f"{_SHEET}.worksheet+xml",
        "xl/sharedStrings.xml": f"{_SHEET}.sharedStrings+xml",
    })  # fmt: skip


@pytest.mark.parametrize(
    ("workbook", "sheet"),
    [("", ""), ('<definedNames><definedName name="ZqkWalnut" hidden="1">1</definedName></definedNames>', ""),
     ('<customWorkbookViews><x name="ZqkWalnut"/></customWorkbookViews>', ""),
     ("", '<sheetPr codeName="ZqkWalnut"/>'), ("", '<scenarios><scenario user="ZqkWalnut"/></scenarios>')],
)  # fmt: skip
def test_a_workbook_keeps_what_its_cells_show(workbook: str, sheet: str) -> None:
    made = clean(_book(workbook, sheet), "x")
    assert SECRET.encode() not in inner(made.body) and b"<t>shown</t>" in inner(made.body)


@pytest.mark.parametrize(
    ("sheet", "rows"),
    [('<sheetFormatPr zeroHeight="1"/>', ""), ('<cols><col min="1" max="1" width="0"/></cols>', ""),
     ("", '<row r="1" ht="0"/>'), ("", '<row r="1" hidden="1"/>')],
)  # fmt: skip
def test_a_row_of_no_height_is_hidden(sheet: str, rows: str) -> None:
    with pytest.raises(Uncleanable) as refused:
        clean(_book("", sheet, rows), "x")
    assert refused.value.why == "hidden-content"


def test_layouts_of_a_template_that_no_slide_uses_stay_behind() -> None:
    space = 'xmlns:p="urn:schemas-microsoft-com:p" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/' \
            'relationships"'  # fmt: skip
    files = {
        "_rels/.rels": related(("rId1", "officeDocument", "ppt/presentation.xml")),
        "ppt/presentation.xml": f'<p:presentation {space}><p:m r:id="rId1"/><p:s r:id="rId2"/></p:presentation>',
        "ppt/_rels/presentation.xml.rels": related(
            ("rId1", "slideMaster", "slideMasters/slideMaster1.xml"), ("rId2", "slide", "slides/slide1.xml")),
        "ppt/slides/slide1.xml": f'<p:sld {space}><p:cSld name="ZqkWalnut"/><p:t>shown</p:t></p:sld>',
        "ppt/slides/_rels/slide1.xml.rels": related(("rId1", "slideLayout", "../slideLayouts/slideLayout1.xml")),
        "ppt/slideMasters/slideMaster1.xml": f'<p:m {space}><p:l r:id="rId1"/><p:l r:id="rId2"/></p:m>',
        "ppt/slideMasters/_rels/slideMaster1.xml.rels": related(
            ("rId1", "slideLayout", "../slideLayouts/slideLayout1.xml"),
            ("rId2", "slideLayout", "../slideLayouts/slideLayout2.xml")),
        "ppt/slideLayouts/slideLayout1.xml": f"<p:l {space}/>",
        "ppt/slideLayouts/_rels/slideLayout1.xml.rels": related(("rId1", "slideMaster",
                                                                   "../slideMasters/slideMaster1.xml")),
        "ppt/slideLayouts/slideLayout2.xml": f"<p:l {space}>ZqkWalnut</p:l>",
    }  # fmt: skip
    types = {name: f"{_SLIDES}.{'presentation.main' if name.endswith('tion.xml') else 'x'}+xml" for name in files}
    whole = {name: raw.encode() if isinstance(raw, str) else raw for name, raw in files.items()}
    made = clean(package(whole, types), "x")
    assert SECRET.encode() not in inner(made.body) and b"shown" in inner(made.body)
    assert "ppt/slideLayouts/slideLayout2.xml" not in unpacked(made.body)
    assert inner(made.body).count(b'r:id="rId2"') == 1, "nothing points to what is gone"


def test_a_name_in_an_alternative_text_is_found_as_well() -> None:
    body = f'<w:p xmlns:a="{_A}"><w:r><a:docPr id="1" descr="Seen by Zqk Walnut"/></w:r></w:p>'
    made = clean(docx("x", body=body), "x")
    assert made.text is not None and names_in(made.text, ["zqk walnut"])


def test_the_same_document_gives_the_same_bytes() -> None:
    for body in (docx(), xlsx(), _styled(), _book()):
        assert clean(body, "x").body == clean(body, "x").body
