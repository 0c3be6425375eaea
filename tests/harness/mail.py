"""A mail server for tests that keeps what it gets, with the Message-ID, and sends nothing on."""

from __future__ import annotations

import threading
from email.message import Message as Letter
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message

from tests.harness.processes import free_port


class MailServer:
    """Listens on a free loopback port as long as the context is open."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self._lock = threading.Lock()
        self.port = free_port()  # the controller knocks at the port it is told: 0 will not do
        self._controller = Controller(_Keep(self), hostname="127.0.0.1", port=self.port)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def ids(self) -> list[str]:
        """The Message-IDs in the order of arrival."""
        with self._lock:
            return [str(letter["message-id"]) for letter in self.letters]

    def keep(self, letter: Letter) -> None:
        with self._lock:
            self.letters.append(letter)

    def __enter__(self) -> MailServer:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()


class _Keep(Message):
    def __init__(self, server: MailServer) -> None:
        super().__init__()
        self._server = server

    def handle_message(self, message: Any) -> None:
        self._server.keep(message)
