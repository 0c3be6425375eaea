"""The forms and links of a page, as a browser would find them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

_TYPED = ("text", "search", "email", "url", "tel", "password", "")


@dataclass
class Form:
    """A form of a page: where it goes, its hidden and chosen fields, and those in which something is written."""

    role: str
    action: str
    fixed: dict[str, str] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


class Forms(HTMLParser):
    """`found` and `links` after `feed`: forms that are posted, and paths of ours."""

    def __init__(self, role: str, path: str) -> None:
        super().__init__()
        self.found: list[Form] = []
        self.links: set[str] = set()
        self._role, self._path, self._form, self._select = role, path, None, ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        name = values.get("name", "")
        if tag == "a" and values.get("href", "").startswith("/"):
            self.links.add(values["href"].partition("#")[0])
        if tag == "form":
            self._form = Form(self._role, values.get("action", "").partition("#")[0] or self._path)
            if values.get("method", "").lower() == "post":
                self.found.append(self._form)
        if self._form is None:
            return
        if tag == "button" and values.get("formaction"):
            self.found.append(replace(self._form, action=values["formaction"], fixed=dict(self._form.fixed),
                                      written=list(self._form.written)))  # fmt: skip
        if tag == "textarea":
            self._form.written.append(name)
        if tag == "select":
            self._select = name
        if tag == "option" and self._select and (values.get("value") or "selected" in values):
            self._form.fixed.setdefault(self._select, values.get("value", ""))
        if tag == "input" and name:
            kind = values.get("type", "").lower()
            if kind == "file":
                self._form.files.append(name)
            elif kind in _TYPED and values.get("tabindex") != "-1":  # what nobody reaches is left as it is
                self._form.written.append(name)
            elif kind in ("hidden", "radio", "checkbox", "date", "time"):
                self._form.fixed.setdefault(name, values.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        if tag == "select":
            self._select = ""
