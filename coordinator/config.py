"""Settings: `COORDINATOR_NAME`, or `COORDINATOR_NAME_FILE` for secrets. A wrong one stops the start with a sentence."""

from __future__ import annotations

import ipaddress
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from coordinator.errors import Misconfigured

MIB = 1024 * 1024
#: In the data folder: where `up` listens.
ADDRESS_FILE = "address"


@dataclass(frozen=True)
class Settings:
    """Everything that can be set. Sizes are bytes, times are seconds, URLs have no trailing slash."""

    data_dir: Path
    database_url: str
    owner_database_url: str = ""
    redis_url: str = ""
    secret_key: str = field(default="", repr=False)
    master_key_file: Path = Path()
    old_master_key_file: Path | None = None
    base_url: str = "http://127.0.0.1:8080"
    trusted_proxies: int = 0
    smtp_url: str = ""
    mail_from: str = "coordinator@localhost"
    outbound_allow_private: bool = False
    outbound_ca_file: str = ""
    egress_proxy: str = ""
    max_body_bytes: int = MIB
    max_attachment_bytes: int = 25 * MIB
    flood_limit: int = 60
    checkpoint_sink: str = ""
    backup_key: str = ""
    disk_reserve_bytes: int = 256 * MIB
    metrics_token: str = field(default="", repr=False)
    log_level: str = "INFO"

    @property
    def https(self) -> bool:
        return self.base_url.startswith("https://")


def note_address(settings: Settings, address: str) -> None:
    """Keep where `up` listens, for links that are made at the command line meanwhile."""
    (settings.data_dir / ADDRESS_FILE).write_text(address + "\n")


def link_address(settings: Settings) -> str:
    """What a link made at the command line begins with: COORDINATOR_BASE_URL, else where `up` listens or last did."""
    file = settings.data_dir / ADDRESS_FILE
    if _read(os.environ, "BASE_URL") or not file.exists():
        return settings.base_url
    return file.read_text().strip()


def load(environ: Mapping[str, str] | None = None, *, data_dir: str | Path | None = None) -> Settings:
    """Settings from the environment. `data_dir` wins over COORDINATOR_DATA_DIR. Raises Misconfigured."""
    env = os.environ if environ is None else environ
    home = Path(data_dir or _read(env, "DATA_DIR") or "./var").resolve()
    base_url = (_read(env, "BASE_URL") or "http://127.0.0.1:8080").rstrip("/")
    if urlsplit(base_url).scheme not in ("http", "https") or not urlsplit(base_url).hostname:
        raise Misconfigured("COORDINATOR_BASE_URL must be an http or https URL such as https://coordinator.example")
    smtp_url = _read(env, "SMTP_URL")
    if smtp_url and urlsplit(smtp_url).scheme not in ("smtp", "smtps"):
        raise Misconfigured("COORDINATOR_SMTP_URL must start with smtp:// or smtps://")
    database_url = _read(env, "DATABASE_URL") or f"sqlite:///{home / 'coordinator.db'}"
    if not database_url.startswith(("sqlite:///", "postgresql+psycopg://", "postgresql://", "postgres://")):
        raise Misconfigured("COORDINATOR_DATABASE_URL must be a sqlite:/// or postgresql:// URL")
    redis_url = _read(env, "REDIS_URL")
    if redis_url and not redis_url.startswith(("redis://", "rediss://", "unix://", "redis+socket://")):
        raise Misconfigured("COORDINATOR_REDIS_URL must start with redis://, rediss:// or unix://")
    return Settings(
        data_dir=home,
        database_url=_driver(database_url),
        owner_database_url=_driver(_read(env, "OWNER_DATABASE_URL")),
        redis_url=redis_url.replace("redis+socket://", "unix://"),
        secret_key=_read(env, "SECRET_KEY"),
        master_key_file=Path(_read(env, "MASTER_KEY_FILE", is_path=True) or home / "keys" / "master.key"),
        old_master_key_file=Path(old) if (old := _read(env, "OLD_MASTER_KEY_FILE", is_path=True)) else None,
        base_url=base_url,
        trusted_proxies=_number(env, "TRUSTED_PROXIES", 0),
        smtp_url=smtp_url,
        mail_from=_read(env, "MAIL_FROM") or "coordinator@localhost",
        outbound_allow_private=_flag(env, "OUTBOUND_ALLOW_PRIVATE"),
        outbound_ca_file=_authorities(_read(env, "OUTBOUND_CA_FILE", is_path=True)),
        egress_proxy=_proxy(_read(env, "EGRESS_PROXY")),
        max_body_bytes=_number(env, "MAX_BODY_BYTES", MIB),
        max_attachment_bytes=_number(env, "MAX_ATTACHMENT_BYTES", 25 * MIB),
        flood_limit=_number(env, "FLOOD_LIMIT", 60),
        checkpoint_sink=_read(env, "CHECKPOINT_SINK"),
        backup_key=_read(env, "BACKUP_KEY"),
        disk_reserve_bytes=_number(env, "DISK_RESERVE_BYTES", 256 * MIB),
        metrics_token=_read(env, "METRICS_TOKEN"),
        log_level=(_read(env, "LOG_LEVEL") or "INFO").upper(),
    )


def check_bind(settings: Settings, host: str) -> None:
    """Refuse to listen beyond this machine without https and a stated proxy. Raises Misconfigured."""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if loopback:
        return
    if not settings.https or settings.trusted_proxies < 1:
        raise Misconfigured(
            "Listening beyond this machine needs COORDINATOR_BASE_URL with https and COORDINATOR_TRUSTED_PROXIES of 1 "
            "or more, because the proxy in front ends TLS"
        )


def prepare_data_dir(settings: Settings) -> None:
    """Make the data directory, readable by its owner only. Raises Misconfigured when it cannot be written."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=settings.data_dir):
            pass
    except OSError as error:
        raise Misconfigured(f"COORDINATOR_DATA_DIR cannot be written: {error.strerror}") from error


def _authorities(path: str) -> str:
    """A file of certificates of private authorities (PEM). Raises Misconfigured where it is none."""
    if path:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        except OSError as error:  # ssl.SSLError is one
            raise Misconfigured("COORDINATOR_OUTBOUND_CA_FILE must be a file of certificates in PEM") from error
    return path


def _proxy(url: str) -> str:
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise Misconfigured("COORDINATOR_EGRESS_PROXY must be a URL such as http://proxy.example:3128")
    return url


def _driver(url: str) -> str:
    for scheme in ("postgresql://", "postgres://"):
        if url.startswith(scheme):
            return "postgresql+psycopg://" + url.removeprefix(scheme)
    return url


def _read(env: Mapping[str, str], name: str, *, is_path: bool = False) -> str:
    """The value of COORDINATOR_NAME or the content of COORDINATOR_NAME_FILE; `is_path`: the name itself ends in
    _FILE."""
    key = f"COORDINATOR_{name}"
    if is_path or not env.get(f"{key}_FILE"):
        return env.get(key, "").strip()
    if env.get(key):
        raise Misconfigured(f"Set {key} or {key}_FILE, not both")
    try:
        return Path(env[f"{key}_FILE"]).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"The file named by {key}_FILE cannot be read") from error


def _number(env: Mapping[str, str], name: str, default: int) -> int:
    text = _read(env, name)
    if not text:
        return default
    if not text.isdecimal():
        raise Misconfigured(f"COORDINATOR_{name} must be a whole number, zero or more")
    return int(text)


def _flag(env: Mapping[str, str], name: str) -> bool:
    text = _read(env, name).lower()
    if text in ("", "0", "no", "false"):
        return False
    if text in ("1", "yes", "true"):
        return True
    raise Misconfigured(f"COORDINATOR_{name} must be yes or no")
