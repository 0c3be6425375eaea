"""What is sent: small tables of our own, and larger collections of others where somebody has them in a folder."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

GIVEN_BODIES, GIVEN_TEXTS = ("bad_json_testsuite",), ("naughty_strings", "payload_strings")
#: Whole documents of other standards, good and bad, and the media type they come as.
GIVEN_DOCUMENTS = {
    "stix21_bundles": "application/stix+json;version=2.1",
    "stix21_validator_cases": "application/stix+json;version=2.1",
    "misp_json": "application/vnd.misp+json", "csaf20": "application/json",
}  # fmt: skip


def rows(file: Path, most: int) -> Iterator[dict[str, Any]]:
    """The first rows of a collection: gzipped, one JSON object a line."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            if number < most:
                yield json.loads(line)


def given_bodies(folder: Path, most: int = 10**9) -> dict[str, bytes]:
    """Bodies of the collections in a folder (`id`, `b64`)."""
    found = (row for name in GIVEN_BODIES for row in rows(folder / f"{name}.jsonl.gz", most))
    return {row["id"]: base64.b64decode(row["b64"]) for row in found}


def given_documents(folder: Path, most: int = 10**9) -> dict[str, tuple[str, bytes]]:
    """Documents of the collections in a folder, with the media type each is sent as (`raw`, or `input` as data)."""
    found = {}
    for name, media_type in GIVEN_DOCUMENTS.items():
        for number, row in enumerate(rows(folder / f"{name}.jsonl.gz", most)):
            raw = row.get("raw") or json.dumps({"type": "bundle", "id": _BUNDLE, "objects": [row["input"]]})
            found[f"{name} {number}"] = (media_type, raw.encode("utf-8", "surrogatepass"))
    return found


_BUNDLE = "bundle--8b6a3d1e-58f5-4a60-8f0b-4b6a3d1e58f5"


def given_texts(folder: Path, most: int = 10**9) -> dict[str, str]:
    """Texts of the collections in a folder (`id`, `s`)."""
    return {row["id"]: row["s"] for name in GIVEN_TEXTS for row in rows(folder / f"{name}.jsonl.gz", most)}


#: Not JSON, or JSON that no two readers read alike, or no report.
BODIES: dict[str, bytes] = {
    "empty": b"", "blank": b" \n", "no object": b"[]", "a number": b"1e9999", "null": b"null", "half": b'{"title":',
    "tail": b'{"title":"x"} {}', "comma": b'{"title":"x",}', "single quotes": b"{'title':'x'}", "comment": b"{/**/}",
    "twice": b'{"title":"a","title":"b"}', "not a number": b'{"severity":NaN}', "infinity": b'{"severity":-Infinity}',
    "byte order mark": b'\xef\xbb\xbf{"title":"x"}', "utf-16": '{"title":"x"}'.encode("utf-16"),
    "latin-1": b'{"title":"\xe9"}', "overlong": b'{"title":"\xc0\xaf"}', "surrogate": b'{"title":"\\ud800"}',
    "surrogate in bytes": b'{"title":"\xed\xa0\x80"}', "raw control": b'{"title":"a\x00b"}',
    "bad escape": b'{"t":"\\x"}',
    "deep": b"[" * 5000 + b"]" * 5000, "deep objects": b'{"a":' * 3000 + b"1" + b"}" * 3000,
    "long number": b'{"severity":' + b"9" * 20_000 + b"}", "exponent": b'{"severity":1e400}',
    "prototype": b'{"__proto__":{"title":"x"}}', "class": b'{"py/object":"os.system"}', "xml": b"<report/>",
    "entity": b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "gzip": b"\x1f\x8b\x08\x00\x00",
    "many names": json.dumps({f"n{n}": n for n in range(5000)}).encode(), "too large": b'"' + b"x" * 1_100_000 + b'"',
}  # fmt: skip

#: Texts that broke something somewhere: markup, templates, headers, formulas, queries, paths, scripts of the world.
TEXTS = (
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "'><svg/onload=alert(1)>", "</title><script>1",
    "</textarea><script>1</script>", "<a href=\"javascript:alert(1)\">x</a>", "javascript:alert(1)", "<!--",
    "]]>", "&lt;b&gt;",
    "&#60;script&#62;", "<iframe srcdoc='<script>1</script>'>", "<base href=//evil.example>",
    "<math><mi//xlink:href=\"data:x,1\">",
    "{{7*7}}", "{% include '/etc/passwd' %}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "%(title)s", "{0.__class__}",
    "%s%n%x", "$(id)", "`id`",
    "'; DROP TABLE reports; --", "1 OR 1=1", "\" OR \"\"=\"", "%' ESCAPE '", "100%", "_", "\\", "[a-z]*", "*",
    "a" * 119,
    "=cmd|'/C calc'!A0", "+1+1", "@SUM(1)", "../../../etc/passwd", "..\\..\\win.ini", "file:///etc/passwd",
    "CON", "nul",
    "Subject: x\r\nBcc: all@example.org", "a\r\n\r\nb", "a\tb", "line\u2028separator", "\u202egnp.exe",
    "\u2066x\u2069", "a\u200bb", "\ufeff",
    "\u0000", "\u0007", "\u001b[31m", "\x7f", "\ud800", "\U0001f469\u200d\U0001f692",
    "Z\u0351\u036b\u0343a\u0321l\u0347go", "\u0627\u0644\u0639",
    "\u05e2\u05d1\u05e8", "\u4e2d\u6587", "\ufdfa", "\u1e9e\u0131\u0130", "e\u0301", "\u212b", "NaN", "null",
    "undefined", "true", "-1", "1e309", "0x10",
    "", " ", "   x   ", ".", "None", "<![CDATA[x]]>", "\\u003cscript\\u003e", "%3Cscript%3E", "<ſcript>", "＜script＞",
)  # fmt: skip

#: A few of them for doors that are many: what breaks out of markup, headers, paths, directions and character sets.
FEW = {
    "markup": "\"'><script>alert(1)</script><img src=x onerror=alert(1)>", "template": "{{7*7}}${7*7}%(title)s",
    "header": "x\r\nSet-Cookie: a=b\r\n\r\n<script>1</script>", "path": "../../../etc/passwd\x00.png",
    "direction": "\u202egnp.exe \u2066\u0627\u0644\u0639\u0631\u0628\u064a\u0629\u2069",
    "half": "\ud800 \uffff \U0010ffff",
    "query": "%' ESCAPE '\\' OR 1=1; DROP TABLE reports; --", "link": "javascript:alert(1)//data:text/html,<b>",
}  # fmt: skip
