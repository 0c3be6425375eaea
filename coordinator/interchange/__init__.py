"""Outside documents to and from our schema: CloudEvents, STIX, MISP, world files."""

from __future__ import annotations


def install() -> None:
    """Tells intake how to read the media types that are not native. Called once by every process that files reports."""
    from coordinator.incidents.envelope import READERS
    from coordinator.interchange import cloudevents, misp, stix

    READERS.update({each.MEDIA_TYPE: each.read for each in (cloudevents, stix, misp)})
