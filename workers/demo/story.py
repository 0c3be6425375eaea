"""Prints each entry of an incident's timeline as it happens, with times, as anybody with the right may read it."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

import requests

from workers.demo.officers import Officers


class Teller:
    """A context: while it is open, new entries are printed; on leaving, the rest of them."""

    def __init__(self, officers: Officers, reference: str) -> None:
        self._officers = officers
        self._path = f"/incidents/{reference}/timeline"
        self._names = officers.names()
        self._seen = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Teller:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._tell()

    def _follow(self) -> None:
        while not self._over.wait(0.2):
            self._tell()

    def _tell(self) -> None:
        try:
            cursor = None
            while True:
                page = self._officers.get(
                    "coordinator", self._path, limit=100, **({"cursor": cursor} if cursor else {})
                )
                for entry in page["items"]:
                    if entry["seq"] > self._seen:
                        self._seen = entry["seq"]
                        if _worth_telling(entry):
                            who = self._names.get(entry["actor"], entry["actor"].partition(":")[0])
                            print(f"{entry['at'][11:23]} {entry['kind']:<20} {who:<18} {entry['text']}", flush=True)
                cursor = page.get("next")
                if not cursor:
                    return
        except requests.RequestException:
            return


def _worth_telling(entry: dict[str, Any]) -> bool:
    """Steps of a run pass several states and some have no name: the story tells when named ones are reached and
    done."""
    if entry["kind"] != "run.step":
        return True
    text = entry["text"]
    return not text.startswith(("Start: ", "End: ")) and text.endswith((": waiting.", ": succeeded.", ": failed."))
