"""Pictures drawn anew from their pixels: whatever else the file held is left behind.

Sources: EXIF 2.32 (tags), XMP part 3, IPTC-IIM in Photoshop's block, PNG 3rd edition (tEXt, zTXt, iTXt, eXIf).
"""

from __future__ import annotations

import warnings
from io import BytesIO
from typing import Any

from PIL import (
    Image,
    ImageOps,
    TiffImagePlugin,  # noqa: F401  named in _FORMATS
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401  named in _FORMATS
)

from coordinator.cleaning.results import PICTURE, Cleaned, Uncleanable, in_order

#: A picture of more pixels is not opened.
MOST_PIXELS = 50_000_000
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP")
_QUALITY = 95
_TAGS = {
    "author": {0x013B, 0x8298, 0x9C9D, 0xA430}, "software": {0x0131, 0x000B}, "times": {0x0132, 0x9003, 0x9004},
    "device": {0x010F, 0x0110, 0x013C, 0xA431, 0xA433, 0xA434, 0xA435, 0x927C},
    "description": {0x010E, 0x010D, 0x9286, 0x9C9B, 0x9C9C, 0x9C9E, 0x9C9F}, "properties": {0x02BC, 0x83BB, 0x8649},
    "colour-profile": {0x8773},
}  # fmt: skip
_INFO = {
    "xmp": "properties", "XML:com.adobe.xmp": "properties", "photoshop": "properties", "icc_profile": "colour-profile",
    "comment": "comments",
}  # fmt: skip
_WORDS = {"author": "author", "artist": "author", "copyright": "author", "software": "software", "comment": "comments",
          "creation time": "times", "date:create": "times", "date:modify": "times"}  # fmt: skip
_SUB, _GPS, _PREVIEW = 0x8769, 0x8825, 1


def clean(body: bytes) -> Cleaned:
    """The same pixels, turned as the file says they are to be seen. JPEG stays JPEG, all else becomes PNG.

    Raises Uncleanable.
    """
    image = _open(body)
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        raise Uncleanable("several-pictures")
    removed = _found(image, body)
    as_jpeg = image.format in ("JPEG", "MPO")
    try:
        made = BytesIO()
        drawn = _pixels(ImageOps.exif_transpose(image))
        if as_jpeg:
            drawn.save(made, "JPEG", quality=_QUALITY, optimize=True)
        else:
            drawn.save(made, "PNG")
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, KeyError) as error:
        raise Uncleanable("damaged") from error
    kind = ("image/jpeg", "jpg") if as_jpeg else ("image/png", "png")
    return Cleaned(PICTURE, made.getvalue(), *kind, in_order(removed))


def _open(body: bytes) -> Image.Image:
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            image = Image.open(BytesIO(body), formats=_FORMATS)
            if image.width * image.height > MOST_PIXELS:
                raise Uncleanable("too-complex")
            image.load()
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise Uncleanable("too-complex") from error
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, TypeError, KeyError) as error:
            raise Uncleanable("damaged") from error
    return image


def _pixels(image: Image.Image) -> Image.Image:
    """A new picture of these pixels and nothing else."""
    if image.mode in ("P", "PA") or "transparency" in image.info:
        image = image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
    elif image.mode not in ("1", "L", "LA", "RGB", "RGBA", "I;16"):
        image = image.convert("RGB")
    return Image.frombytes(image.mode, image.size, image.tobytes())


def _found(image: Image.Image, body: bytes) -> set[str]:
    found = {code for key, code in _INFO.items() if image.info.get(key)}
    for name in getattr(image, "text", None) or {}:
        found.add(_WORDS.get(name.lower(), _INFO.get(name, "description")))
    if image.format == "MPO" and getattr(image, "n_frames", 1) > 1:
        found.add("further-pictures")
    if image.format == "JPEG" and not body.rstrip(b"\0\r\n ").endswith(b"\xff\xd9"):
        found.add("appended")
    if image.format == "PNG" and not body.endswith(b"IEND\xaeB`\x82"):
        found.add("appended")
    return found | _of_exif(image)


def _of_exif(image: Image.Image) -> set[str]:
    try:
        exif = image.getexif()
        tags = set(exif) | set(exif.get_ifd(_SUB))
        found = {code for code, wanted in _TAGS.items() if wanted & tags}
        found |= {code for code, part in (("position", _GPS), ("thumbnail", _PREVIEW)) if _has(exif, part)}
    except Exception:  # whatever is wrong with them: they do not come along
        return {"properties"}
    return found | ({"properties"} if image.info.get("exif") and not found else set())


def _has(exif: Any, part: int) -> bool:
    return bool(exif.get_ifd(part))
