"""The playbooks that come with the product, as the bytes that are shipped."""

from importlib.resources import files


def shipped() -> list[tuple[str, bytes]]:
    """(file name without its ending, document) of each shipped playbook, by name."""
    folder = files("playbooks").joinpath("library")
    found = [each for each in folder.iterdir() if each.name.endswith(".json")]
    return [(each.name.removesuffix(".json"), each.read_bytes()) for each in sorted(found, key=lambda each: each.name)]
