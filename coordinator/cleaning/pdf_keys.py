"""Which keys of the dictionaries of a PDF say how something is drawn. By inclusion: whatever else stands in one, of a
program or of a person, is left behind.

Source: ISO 32000-2: 7.3.8 (streams), 7.7.3 (pages), 7.8.3 (resources), 7.10 (functions), 8.4.5 (graphics state), 8.6
(colour), 8.7 (patterns, shadings), 8.9 and 8.10 (images, forms), 9 (fonts), 11.4.7 and 11.6.5 (groups, masks).
"""

from __future__ import annotations

from collections.abc import Iterator

import pikepdf

_FILE = "Type Pages Kids Count Parent"
_PAGE = "Contents Resources MediaBox CropBox BleedBox TrimBox ArtBox Rotate Group UserUnit"
_STREAM = """Length Filter DecodeParms Predictor Colors BitsPerComponent Columns EarlyChange K EndOfLine
EncodedByteAlign Rows EndOfBlock BlackIs1 DamagedRowsBeforeError ColorTransform JBIG2Globals Length1 Length2 Length3"""
_RESOURCES = "ExtGState ColorSpace Pattern Shading XObject Font ProcSet"
_STATE = "LW LC LJ ML D RI OP op OPM FL SM SA BM SMask CA ca AIS TK S G BC TR TR2"
_COLOUR = "WhitePoint BlackPoint Gamma Range Subtype N"
_PATTERN = """PatternType PaintType TilingType BBox XStep YStep Matrix ShadingType Background AntiAlias Coords Domain
Function Extend BitsPerCoordinate BitsPerFlag VerticesPerRow Decode"""
_FUNCTION = "FunctionType Size BitsPerSample Order Encode C0 C1 Functions Bounds"
_XOBJECT = "FormType I CS Width Height ImageMask Mask Interpolate SMaskInData Intent Matte"
_FONT = """BaseFont FirstChar LastChar Widths FontDescriptor Encoding ToUnicode DescendantFonts CIDSystemInfo DW W DW2
W2 CIDToGIDMap FontBBox FontMatrix CharProcs BaseEncoding Differences FontName Flags ItalicAngle Ascent Descent Leading
CapHeight XHeight StemV StemH AvgWidth MaxWidth MissingWidth FontFile FontFile2 FontFile3 CharSet CIDSet FontStretch
FontWeight Registry Ordering Supplement CMapName WMode UseCMap"""
DRAWS = frozenset(
    f"/{key}"
    for several in (_FILE, _PAGE, _STREAM, _RESOURCES, _STATE, _COLOUR, _PATTERN, _FUNCTION, _XOBJECT, _FONT)
    for key in several.split()
)
#: Keys of a page.
PAGE = frozenset(f"/{key}" for key in ("Type", "Parent", *_PAGE.split()))
#: Dictionaries whose keys are names given by whoever made the file: what they name is what counts.
NAMED = frozenset(("/ExtGState", "/ColorSpace", "/Pattern", "/Shading", "/XObject", "/Font", "/CharProcs"))
_HOLDERS = (pikepdf.Array, pikepdf.Dictionary, pikepdf.Stream)
_DEVICE = {1: pikepdf.Name.DeviceGray, 3: pikepdf.Name.DeviceRGB, 4: pikepdf.Name.DeviceCMYK}


def strip(pdf: pikepdf.Pdf, beside: dict[str, str], removed: set[str]) -> None:
    """Take out of all that can be reached from a page each key that draws nothing. `beside`: key -> code of what is
    told of it."""
    waiting: list[tuple[pikepdf.Object, bool]] = [(page.obj, False) for page in pdf.pages]
    seen = set[tuple[int, int]]()
    while waiting:
        one, named = waiting.pop()
        if one.is_indirect:
            if one.objgen in seen:
                continue
            seen.add(one.objgen)
        waiting += list(_stripped(one, beside, removed, named=named))


def _stripped(
    one: pikepdf.Object, beside: dict[str, str], removed: set[str], *, named: bool
) -> Iterator[tuple[pikepdf.Object, bool]]:
    """What lies in it, and whether its keys are names."""
    if isinstance(one, pikepdf.Array):
        _without_profile(one, removed)
        yield from ((child, False) for child in one if isinstance(child, _HOLDERS))
    elif isinstance(one, (pikepdf.Dictionary, pikepdf.Stream)):
        for key in list(one.keys()):
            if not named and key not in DRAWS:
                removed.add(beside.get(key, "other-parts"))
                del one[key]
            elif key != "/Parent" and isinstance(one[key], _HOLDERS):
                yield one[key], not named and key in NAMED


def _without_profile(array: pikepdf.Array, removed: set[str]) -> None:
    """A colour profile tells who made it; its number of colours names the plain space that stands for it."""
    if len(array) == 2 and array[0] == pikepdf.Name.ICCBased:
        stream = array[1]
        array[0] = _DEVICE.get(int(stream.get("/N", 3)), pikepdf.Name.DeviceRGB)
        del array[1]
        removed.add("colour-profile")
