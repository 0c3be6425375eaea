"""What came of cleaning a file, and in which words that is said. Codes are stored; the sentences are for people."""

from __future__ import annotations

from dataclasses import dataclass

#: The largest file that is looked into, and the largest that may come of it.
LARGEST = 25 * 1024 * 1024
LARGEST_MADE = 2 * LARGEST

TEXT, PICTURE, PDF, OFFICE = "text", "picture", "pdf", "office"
#: How it is cleaned; what comes of it is an Office document like others.
OPENDOCUMENT = "opendocument"
#: What is in these is drawn: no machine can say whether a name is to be read in it.
DRAWN = (PICTURE, PDF)

REMOVED = {
    "author": "Names of authors and owners",
    "position": "Where it was made (GPS)",
    "device": "Camera or device, with serial numbers",
    "software": "Software it was made with",
    "times": "Times of making and changing",
    "description": "Titles, descriptions and key words in the properties",
    "properties": "Other properties (XMP, IPTC, custom properties)",
    "colour-profile": "Colour profile",
    "thumbnail": "Preview picture",
    "further-pictures": "Further pictures behind the first (preview, depth map)",
    "appended": "Data behind the end of the picture",
    "comments": "Comments",
    "tracked-changes": "Tracked changes: deleted text is gone, inserted text stays",
    "editing-marks": "Marks of editing sessions and document ids",
    "names": "Names given to objects, styles, layouts and bookmarks",
    "fields": "Fields that ask for properties, paths or dates: what they showed stays as text",
    "notes": "Speaker notes",
    "custom-data": "Data of other programs",
    "template": "Path of the template",
    "printer": "Printer settings",
    "links": "References to outside files and pictures",
    "paths": "File paths",
    "other-parts": "Parts that are not needed to show it",
    "embedded-files": "Files inside it",
    "scripts": "Scripts and actions",
    "annotations": "Notes, highlights and links on the pages",
    "bookmarks": "Bookmarks and page labels",
    "layers": "Names of layers: all that was on a layer that shows stays",
    "invisible-text": "Invisible text, as machines put it behind a scanned page",
    "earlier-versions": "Earlier versions of the document",
}

REFUSED = {
    "unknown-type": "We do not know this type of file, so we cannot clean it: save it as PDF, JPEG, PNG or plain text.",
    "archive": "An archive: unpack it, and add the files one by one.",
    "program": "A program or script.",
    "mail": "A stored mail: its headers name people and systems. Save what is to be shared as text or PDF.",
    "page": "A web page, drawing (SVG), XML or rich text: save it as PDF or plain text.",
    "old-office": "An old Office file, or one under a password: save it as .docx, .xlsx, .pptx or PDF without one.",
    "protected": "It is under a password: save it without one.",
    "signed": "It is signed: cleaning would break the signature. Print it to a new PDF.",
    "macros": "It holds macros: save it as a document without macros.",
    "embedded-object": "It holds an object of another program: replace it by a picture, or add the file by itself.",
    "linked-data": "It takes data from other files: break the links first.",
    "form": "It is a form to be filled in: print it to a new PDF.",
    "hidden-layers": "It has hidden layers: print it to a new PDF.",
    "hidden-content": "It has hidden text, rows, sheets or slides: show or delete them first.",
    "pivot-data": "It keeps data behind pivot tables: replace them by their values.",
    "several-pictures": "Several pictures in one file: save each by itself.",
    "drawing": "It holds a drawing (EMF, WMF, SVG) that cannot be cleaned: replace it by a picture.",
    "media": "It holds sound or video.",
    "too-large": "It is too large to be cleaned.",
    "too-complex": "It unpacks to more than is safe to open.",
    "damaged": "It is damaged, or not what it seems to be.",
    "time-over": "Cleaning took too long and was stopped.",
    "failed": "Cleaning it failed.",
}


@dataclass(frozen=True)
class Cleaned:
    """A copy that may leave. `removed`: codes of REMOVED. `unchanged`: the bytes are those of the original.

    `text`: what can be searched in it for names; None where its content is drawn.
    """

    kind: str
    body: bytes
    media_type: str
    ending: str
    removed: tuple[str, ...] = ()
    unchanged: bool = False
    text: str | None = None


class Uncleanable(Exception):
    """No copy can be made. `why`: a code of REFUSED."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def in_order(found: set[str]) -> tuple[str, ...]:
    """Codes as REMOVED lists them."""
    return tuple(code for code in REMOVED if code in found)
