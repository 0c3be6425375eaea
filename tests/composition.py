"""docker-compose.yml as data, and its services as they would run here: for tests on a machine without an engine."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
SECRETS = "/run/secrets"
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")


def load(environment: Mapping[str, str]) -> dict[str, Any]:
    """The composition with `${NAME:-default}` and `${NAME:?message}` filled in; LookupError where one is unset."""
    return yaml.safe_load(interpolate((ROOT / "docker-compose.yml").read_text(), environment))


def interpolate(text: str, environment: Mapping[str, str]) -> str:
    """Variables as `docker compose` fills them in, in the two forms that are used."""

    def value(match: re.Match[str]) -> str:
        given = environment.get(match["name"], "")
        if not given and match["kind"] != "-":
            raise LookupError(match["rest"] or f"{match['name']} is not set")
        return given or match["rest"]

    return _VARIABLE.sub(value, text)


def local_command(service: Mapping[str, Any], secrets: Path) -> list[str]:
    """The command of a service, with its secrets read from `secrets`."""
    return [str(word).replace(SECRETS, str(secrets)) for word in service["command"]]


def local_environment(service: Mapping[str, Any], secrets: Path) -> dict[str, str]:
    """The environment of a service, with its secrets read from `secrets`; one that it was not given cannot be read."""
    return {
        name: str(value).replace(SECRETS, str(secrets))
        if str(value).rpartition("/")[2] in service["secrets"]
        else value
        for name, value in service.get("environment", {}).items()
    }
