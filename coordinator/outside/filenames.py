"""The name of a file from outside, as a download may bear it."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote


def attachment(name: str) -> str:
    """The value of Content-Disposition: to be saved, under this name. ASCII throughout, as header fields must be.

    `filename` holds what is left of the name in ASCII, `filename*` the whole of it (RFC 6266, RFC 8187). Control
    characters, line ends and quotation marks cannot get out of it.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    simple = "".join("_" if one in '"\\/%' or not one.isprintable() else one for one in plain).strip() or "file"
    whole = quote(name, safe="!#$&+-.^_`|~", errors="replace")
    return f"attachment; filename=\"{simple}\"; filename*=UTF-8''{whole}"
