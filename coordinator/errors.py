"""What can be refused, and how it is said. Doors map these to status codes in one place (`app.py`).

Sentences tell the reader what to do. They never hold a value that came from outside: a value may be marked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One thing wrong with outside data: `pointer` is an RFC 6901 JSON pointer, `detail` a sentence that says what to
    do."""

    pointer: str
    detail: str


@dataclass(frozen=True)
class Blocker:
    """One open thing that stops a change: `kind` (task, alert, run, …), its id and a short text."""

    kind: str
    id: str
    text: str


class CoordinatorError(Exception):
    """The root of everything this software refuses knowingly. `title` is the same for every case of a class."""

    status = 500
    title = "Something went wrong on our side"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.title)
        self.detail = detail


class NotParseable(CoordinatorError):
    """The bytes are not what they claim to be (400)."""

    status = 400
    title = "The request could not be read"


class NotSignedIn(CoordinatorError):
    status = 401
    title = "Sign in first"


class NotAuthenticated(CoordinatorError):
    """A partner system's request was not proven genuine. One answer for every cause, so that nothing can be probed."""

    status = 401
    title = "The request could not be authenticated"


class NoRight(CoordinatorError):
    status = 403
    title = "Your role may not do this"


class StepUpNeeded(NoRight):
    """The act needs a fresh second factor."""

    title = "Confirm with your second factor first"


class NotFound(CoordinatorError):
    """Not there, or no need to know: the same answer for both."""

    status = 404
    title = "Not found"


class Refused(CoordinatorError):
    """A rule refuses the change (409). `blocked_by` lists what is still open."""

    status = 409
    title = "A rule refuses this"

    def __init__(self, detail: str = "", *, blocked_by: Sequence[Blocker] = ()) -> None:
        super().__init__(detail)
        self.blocked_by = tuple(blocked_by)


class Gone(CoordinatorError):
    status = 410
    title = "This is withdrawn or has expired"


class Stale(CoordinatorError):
    """Somebody else changed it meanwhile (412)."""

    status = 412
    title = "It was changed by somebody else meanwhile: load it again"


class TooLarge(CoordinatorError):
    status = 413
    title = "The request is too large"


class UnsupportedType(CoordinatorError):
    status = 415
    title = "This media type is not taken here"


class Invalid(CoordinatorError):
    """Well-formed but wrong (422). `errors` holds every fault, not only the first."""

    status = 422
    title = "Some fields are wrong"

    def __init__(self, errors: Sequence[Fault], detail: str = "") -> None:
        super().__init__(detail)
        self.errors = tuple(errors)


class SecrecyMarkingFound(Invalid):
    """National, NATO or EU classified material: refused without echo, only its digest is kept (R11)."""

    title = "This system takes unclassified information only"


class KeyReused(Invalid):
    """The same idempotency key came with other bytes (422)."""

    title = "This message id was used before with other content"


class PreconditionRequired(CoordinatorError):
    status = 428
    title = "Send If-Match with the ETag you last saw"


class TooMany(CoordinatorError):
    status = 429
    title = "Too many requests: wait and try again"


class NotReady(CoordinatorError):
    """A part that is needed is away or unsafe to use now (503)."""

    status = 503
    title = "Not ready: try again shortly"
    retry_after = 5  # seconds


class NoRoom(NotReady):
    """The disk has only its reserve left; the record is still written, nothing new is taken in (503)."""

    title = "There is no room on the disk"
    retry_after = 60


class Misconfigured(CoordinatorError):
    """A setting is wrong or missing; the start stops with the sentence."""

    title = "A setting is wrong"
