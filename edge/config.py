"""The configuration: a TOML file as frozen dataclasses, checked whole before anything starts.

Each class is one table of the file, each field one key; `conf/trunkline.toml` shows them all. Durations carry
their unit in their name. Paths are relative to the folder that the server is started in.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike, environ
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers

from edge.config_reader import (
    KEY,
    Check,
    Contradiction,
    Problem,
    Reader,
    Secret,
    above,
    at_least,
    between,
    matching,
)
from storage.engines import open_engine

__all__ = [
    "CallbackConfig",
    "Config",
    "ConfigError",
    "HTTPConfig",
    "LogConfig",
    "NumbersConfig",
    "OutboxConfig",
    "Problem",
    "Secret",
    "ServerConfig",
    "SimulatorConfig",
    "StoreConfig",
    "UpstreamConfig",
    "load",
    "parse",
]

# SMPP 3.4 allows 15 and 8 characters; carriers give out longer ones, and the wire has room for them.
_CREDENTIAL = 64


class ConfigError(Exception):
    """The configuration cannot be used; ``problems`` says everything that is wrong with it."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def _is_listen(value: str) -> bool:
    host, _, port = value.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    spelled = bool(bare) and (host != bare or ":" not in host)
    return spelled and re.fullmatch("[0-9]{1,5}", port, re.ASCII) is not None and 1 <= int(port) <= 65535


def _is_url_or_empty(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return not value or (parts.scheme in ("http", "https") and bool(parts.hostname))
    except ValueError:
        return False


def _is_zone(value: str) -> bool:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _is_store(value: str) -> bool:
    try:
        open_engine(value).close()
    except (ValueError, ModuleNotFoundError):
        return False
    return True


Port = Annotated[int, Check("a port, 1 to 65535", lambda value: 1 <= value <= 65535)]
Listen = Annotated[str, Check('an address and port such as "127.0.0.1:8080" or "[::1]:8080"', _is_listen)]
Number = Annotated[str, matching(r"\+[1-9][0-9]{6,14}", 'a number such as "+12025550100"')]
StoreURL = Annotated[
    str,
    Check(
        "sqlite:///path/to/file.db or postgresql://user@host/database (which needs trunkline[postgresql])",
        _is_store,
    ),
]
Positive = Annotated[float, above(0)]
NotNegative = Annotated[float, at_least(0)]
Count = Annotated[int, at_least(1)]
Credential = Annotated[str, matching(rf"[ -~]{{1,{_CREDENTIAL}}}", f"1 to {_CREDENTIAL} ASCII characters")]
Password = Annotated[
    Secret, matching(rf"[\x01-\xff]{{0,{_CREDENTIAL}}}", f"at most {_CREDENTIAL} characters of Latin-1")
]
TypeOfNumber = Annotated[int, between(-1, 7)]
NumberingPlan = Annotated[int, between(-1, 31)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """``node`` differs between servers that share a store; 15 is that of the commands."""

    node: Annotated[int, between(0, 14)] = 0
    drain_seconds: NotNegative = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    """Where everything is kept."""

    url: StoreURL = "sqlite:///var/trunkline.db"
    allow_non_durable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPConfig:
    """Portal and API. ``public_url`` is how the outside reaches them; empty: as they listen."""

    listen: Listen = "127.0.0.1:8080"
    public_url: Annotated[str, Check("an http or https URL, or nothing", _is_url_or_empty)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """``file`` empty: to standard output."""

    format: Literal["json", "text"] = "json"
    level: Literal["debug", "info", "warning", "error"] = "info"
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumbersConfig:
    """``region`` is the country whose national spelling of numbers is understood."""

    region: Annotated[
        str, Check('an ISO 3166 country such as "US"', lambda value: value in phonenumbers.SUPPORTED_REGIONS)
    ] = "US"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackConfig:
    """URL callbacks: how often, how long; ``timezone`` is the zone of {TIMESTAMP}."""

    retry_minutes: Positive = 30.0
    retry_jitter: Annotated[float, between(0, 1)] = 0.1
    give_up_days: Positive = 7.0
    timeout_seconds: Positive = 30.0
    connect_timeout_seconds: Positive = 10.0
    connections_per_host: Count = 50
    timezone: Annotated[str, Check('a time zone such as "UTC" or "America/New_York"', _is_zone)] = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxConfig:
    """Deliveries of all handlers: how many at once and in memory, and what a failing target gets."""

    concurrency: Annotated[int, at_least(2)] = 500
    per_target: Count = 50
    memory: Annotated[int, at_least(100)] = 20_000
    failures: Count = 5
    probe_seconds: Positive = 60.0
    lease_seconds: Annotated[float, at_least(3)] = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamConfig:
    """One SMSC account and the manners of its carrier."""

    name: Annotated[str, matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", "a name of letters, digits, . _ -")]
    port: Port
    system_id: Credential
    password: Password
    host: Annotated[str, matching(r"\S+", "a host name or address")] = "127.0.0.1"
    system_type: Annotated[str, matching(r"[ -~]{0,12}", "at most 12 ASCII characters")] = ""
    bind: Literal["transceiver", "transmitter_receiver"] = "transceiver"
    window: Annotated[int, between(1, 10_000)] = 50
    response_timeout_seconds: Positive = 60.0
    enquire_link_seconds: Positive = 30.0
    bind_timeout_seconds: Positive = 10.0
    reconnect_min_seconds: Positive = 1.0
    reconnect_max_seconds: Positive = 60.0
    tls: bool = False
    number_format: Literal["plus", "e164", "national"] = "plus"
    source_ton: TypeOfNumber = -1
    source_npi: NumberingPlan = -1
    destination_ton: TypeOfNumber = -1
    destination_npi: NumberingPlan = -1
    default_alphabet: Literal["gsm7", "gsm7_packed", "latin1", "ascii"] = "gsm7"
    long_messages: Literal["udh8", "udh16", "sar", "payload"] = "udh8"
    registered_delivery: bool = True
    message_id_base: Literal["as_sent", "hex", "decimal", "any"] = "any"
    in_doubt: Literal["resend", "hold"] = "resend"
    unknown_did: Literal["quarantine", "reject"] = "quarantine"
    repeats: Literal["merge", "deliver"] = "merge"
    reassembly_timeout_seconds: Positive = 1800.0
    validity_period: Annotated[
        str, matching(r"([0-9]{15}[-+R])?", 'an SMPP time such as "000007000000000R", or nothing')
    ] = ""
    service_type: Annotated[str, matching(r"[ -~]{0,5}", "at most 5 ASCII characters")] = ""
    backlog: Count = 10_000

    def contradictions(self) -> Iterator[Contradiction]:
        """See `edge.config_reader`."""
        if self.reconnect_max_seconds < self.reconnect_min_seconds:
            expected = f"at least reconnect_min_seconds, which is {self.reconnect_min_seconds}"
            yield "reconnect_max_seconds", self.reconnect_max_seconds, expected


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig:
    """An SMSC and phones to try everything without a carrier."""

    system_id: Credential
    password: Password
    smpp_listen: Listen = "127.0.0.1:2775"
    receipt_delay_seconds: NotNegative = 1.0
    answer_delay_seconds: NotNegative = 0.0
    throttle_every: Annotated[int, at_least(0)] = 0
    drop_every: Annotated[int, at_least(0)] = 0
    phones: tuple[Number, ...] = ("+12025550150", "+12025550151")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole file; ``path`` is where it was read."""

    server: ServerConfig = ServerConfig()
    store: StoreConfig = StoreConfig()
    http: HTTPConfig = HTTPConfig()
    log: LogConfig = LogConfig()
    numbers: NumbersConfig = NumbersConfig()
    callback: CallbackConfig = CallbackConfig()
    outbox: OutboxConfig = OutboxConfig()
    upstreams: tuple[UpstreamConfig, ...] = field(default=(), metadata={KEY: "upstream"})
    simulator: SimulatorConfig | None = None
    path: Path = field(default=Path("trunkline.toml"), metadata={KEY: None})


def load(path: str | PathLike[str], environment: Mapping[str, str] = environ) -> Config:
    """Read and check the file. Raises ConfigError with everything that is wrong."""
    file = Path(path)
    try:
        content = file.read_bytes()
    except OSError as error:
        problem = Problem(str(file), "", "", f"cannot be read ({error.strerror}): expected a TOML file")
        raise ConfigError((problem,)) from error
    return parse(content, file, environment)


def parse(content: bytes, path: Path, environment: Mapping[str, str] = environ) -> Config:
    """The same for a file's ``content``; ``path`` is named in problems."""
    try:
        document = tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(
            (Problem(str(path), "", "", f"is not UTF-8 at octet {error.start}: expected TOML"),)
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError((Problem(str(path), "", "", f"expected TOML: {error}"),)) from error
    reader = Reader(str(path), environment)
    config = reader.table(Config, document, path=path)
    _check_names(reader, document)
    if config is None or reader.problems:
        raise ConfigError(tuple(reader.problems))
    return config


def _check_names(reader: Reader, document: Mapping[str, Any]) -> None:
    """Two upstreams of one name are told even when something else is wrong with one of them."""
    upstreams = document.get("upstream", [])
    tables = upstreams if isinstance(upstreams, list) else []
    names = [table.get("name") for table in tables if isinstance(table, dict)]
    for name in {name for name in names if isinstance(name, str) and names.count(name) > 1}:
        reader.problem("upstream.name", name, "a name that no other upstream has")
