"""Outside documents to and from our schema: CloudEvents, world files."""

from __future__ import annotations


def install() -> None:
    """Tells intake how to read the media types that are not native. Called once by every process that files reports."""
    from coordinator.incidents.envelope import READERS
    from coordinator.interchange import cloudevents

    READERS[cloudevents.MEDIA_TYPE] = cloudevents.read
