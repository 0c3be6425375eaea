"""Names of files in a header: whole for who reads them, ASCII for the wire, and nothing gets out."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.outside.filenames import attachment


@pytest.mark.parametrize(
    "name, simple",
    [("report.pdf", "report.pdf"), ("تقرير.pdf", ".pdf"), ("报告", "file"), ("Ziņojums.pdf", "Zinojums.pdf"),
     ("\u202egnp.exe", "gnp.exe"), ('a"; filename=b.exe', "a_; filename=b.exe"),
     ("a\r\nSet-Cookie: x=1", "a__Set-Cookie: x=1"),
     ("../../etc/passwd", ".._.._etc_passwd"), ("\U0001f469\u200d\U0001f692.png", ".png")],
)  # fmt: skip
def test_a_name_is_written_twice(name: str, simple: str) -> None:
    said = attachment(name)
    assert said.startswith(f'attachment; filename="{simple}"; ')
    assert unquote(said.partition("filename*=UTF-8''")[2]) == name


@given(st.text())
def test_no_name_gets_out_of_the_header(name: str) -> None:
    said = attachment(name)
    assert said.isascii() and said.isprintable()
    assert said.count('"') == 2
