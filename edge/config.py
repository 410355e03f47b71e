"""The configuration: a TOML file as frozen dataclasses, checked whole before anything starts.

Each class is one table of the file, each field one key; `conf/trunkline.toml` shows them all. Durations carry
their unit in their name. Paths are relative to the folder that the server is started in.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from edge.config_console import ConsoleConfig
from edge.config_listeners import Listener, clashes
from edge.config_mail import MailConfig
from edge.config_reader import KEY, Check, Problem, Reader, Secret, at_least, between, matching
from edge.config_sip import SIPConfig, TrunkConfig
from edge.config_tracing import TracingConfig
from edge.config_types import (
    Count,
    Credential,
    Listen,
    Network,
    NotNegative,
    Number,
    Password,
    Positive,
    Region,
)
from edge.config_upstreams import RouteConfig, UpstreamConfig
from edge.http.urls import read_range
from storage.engines import open_engine

__all__ = [
    "CallbackConfig",
    "Config",
    "ConfigError",
    "ConsoleConfig",
    "HTTPConfig",
    "LogConfig",
    "LookAlikesConfig",
    "MailConfig",
    "MetricsConfig",
    "NumbersConfig",
    "OutboxConfig",
    "OutgoingConfig",
    "Problem",
    "RouteConfig",
    "SIPConfig",
    "Secret",
    "ServerConfig",
    "SimulatorConfig",
    "StoreConfig",
    "TracingConfig",
    "TrunkConfig",
    "UpstreamConfig",
    "WebhookConfig",
    "load",
    "parse",
]


class ConfigError(Exception):
    """The configuration cannot be used; ``problems`` says everything that is wrong with it."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


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


def _is_writable(value: str) -> bool:
    if not value:
        return True
    path = Path(value)
    if path.exists():
        return os.access(path, os.W_OK) and path.is_file()
    folder = path.parent
    while not (path.is_absolute() or folder.exists()):  # what is missing below ours is made
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)


def _is_store(value: str) -> bool:
    try:
        open_engine(value).close()
    except (ValueError, ModuleNotFoundError):
        return False
    return True


PortRange = Annotated[
    str, Check('a port or a range such as "8000-8999"', lambda value: bool(read_range(value)))
]
Origin = Annotated[
    str, matching(r"https?://[A-Za-z0-9.\[\]:-]+", 'an origin such as "https://app.example.net"')
]
StoreURL = Annotated[
    str,
    Check(
        "sqlite:///path/to/file.db or postgresql://user@host/database (which needs trunkline[postgresql])",
        _is_store,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """``node`` differs between servers that share a store; 15 is that of the commands. ``seal_key`` is the
    file with the key of `edge.sealing`."""

    node: Annotated[int, between(0, 14)] = 0
    drain_seconds: NotNegative = 20.0
    seal_key: str = "var/seal_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    """Where everything is kept. ``min_free_mib``: with less room on the disk of an SQLite store the server is
    not ready; 0: never mind."""

    url: StoreURL = "sqlite:///var/trunkline.db"
    allow_non_durable: bool = False
    min_free_mib: Annotated[int, at_least(0)] = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPConfig:
    """Portal and API. ``public_url`` is how the outside reaches them; empty: as they listen."""

    listen: Listen = "127.0.0.1:8080"
    public_url: Annotated[str, Check("an http or https URL, or nothing", _is_url_or_empty)] = ""
    requests_per_minute: Annotated[int, at_least(0)] = 0
    max_connections: Count = 2_000
    max_streams: Count = 200
    cors_origins: tuple[Origin, ...] = ()
    access_log: Literal["all", "errors", "off"] = "errors"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsConfig:
    """Prometheus' page, at /metrics of a listener of its own."""

    listen: Listen = "127.0.0.1:9464"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """``file`` empty: to standard output. ``messages``: a line for each message at each hop, all with its id.
    ``lines_per_minute``: of one event; 0: any number."""

    format: Literal["json", "text"] = "json"
    level: Literal["debug", "info", "warning", "error"] = "info"
    messages: bool = False
    mask_numbers: bool = True
    lines_per_minute: Annotated[int, at_least(0)] = 200
    file: Annotated[str, Check("a file that can be written, or nothing", _is_writable)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumbersConfig:
    """``region`` is the country whose national spelling of numbers is understood. ``orders``: whether a
    number that a customer orders waits for an operator's yes."""

    region: Region = "US"
    orders: Literal["approve", "at_once"] = "approve"


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
class WebhookConfig:
    """Webhooks and status callbacks."""

    pause_after_days: Positive = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingConfig:
    """Where outgoing HTTP may go; ``nameservers`` empty: those of /etc/resolv.conf."""

    allow_networks: tuple[Network, ...] = ()
    ports: tuple[PortRange, ...] = ("80", "443", "1024-65535")
    max_redirects: Annotated[int, between(0, 3)] = 0
    nameservers: tuple[Listen, ...] = ()


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
class OptOutsConfig:
    """Texts of one word by which who sends them gets no more messages, or gets them again; see
    docs/opt-outs.md."""

    words: bool = False
    towards: Literal["did", "account"] = "did"
    stop: tuple[str, ...] = (
        *("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "OPT OUT"),
        *("ARRET", "DÉSABONNER", "BAJA", "ABMELDEN", "ABBESTELLEN"),
    )
    start: tuple[str, ...] = ("START", "UNSTOP", "SUBSCRIBE", "OPTIN", "OPT IN", "ALTA", "ANMELDEN")


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
class LookAlikesConfig:
    """APIs of other gateways; see docs/lookalikes.md."""

    kannel: bool = False
    jasmin: bool = False
    acrobits: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole file; ``path`` is where it was read."""

    server: ServerConfig = ServerConfig()
    store: StoreConfig = StoreConfig()
    http: HTTPConfig = HTTPConfig()
    lookalikes: LookAlikesConfig = LookAlikesConfig()
    log: LogConfig = LogConfig()
    numbers: NumbersConfig = NumbersConfig()
    callback: CallbackConfig = CallbackConfig()
    webhook: WebhookConfig = WebhookConfig()
    outgoing: OutgoingConfig = OutgoingConfig()
    outbox: OutboxConfig = OutboxConfig()
    optout: OptOutsConfig = OptOutsConfig()
    upstreams: tuple[UpstreamConfig, ...] = field(default=(), metadata={KEY: "upstream"})
    routes: tuple[RouteConfig, ...] = field(default=(), metadata={KEY: "route"})
    metrics: MetricsConfig | None = None
    tracing: TracingConfig | None = None
    simulator: SimulatorConfig | None = None
    sip: SIPConfig | None = None
    mail: MailConfig | None = None
    console: ConsoleConfig = field(default_factory=ConsoleConfig)
    path: Path = field(default=Path("trunkline.toml"), metadata={KEY: None})

    def listeners(self) -> Iterator[Listener]:
        """Every address that is listened on, in the file's order."""
        yield Listener("http.listen", self.http.listen)
        if self.metrics is not None:
            yield Listener("metrics.listen", self.metrics.listen)
        if self.simulator is not None:
            yield Listener("simulator.smpp_listen", self.simulator.smpp_listen)
        if self.sip is not None:
            for transport in ("udp", "tcp", "tls", "ws", "wss"):
                for address in getattr(self.sip, transport):
                    yield Listener(f"sip.{transport}", address, "udp" if transport == "udp" else "tcp")
        if self.mail is not None:
            yield from (Listener("mail.listen", address) for address in self.mail.listen)
            yield from (Listener("mail.lmtp", address) for address in self.mail.lmtp)
        for way in ("telnet", "ssh", "manhole"):
            if address := getattr(self.console, way):
                yield Listener(f"console.{way}", address)


def load(path: str | os.PathLike[str], environment: Mapping[str, str] = os.environ) -> Config:
    """Read and check the file. Raises ConfigError with everything that is wrong."""
    file = Path(path)
    try:
        content = file.read_bytes()
    except OSError as error:
        problem = Problem(str(file), "", "", f"cannot be read ({error.strerror}): expected a TOML file")
        raise ConfigError((problem,)) from error
    return parse(content, file, environment)


def parse(content: bytes, path: Path, environment: Mapping[str, str] = os.environ) -> Config:
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
    for table in ("upstream", "route"):
        _check_names(reader, document, table)
    sip = document.get("sip")
    _check_names(reader, sip if isinstance(sip, dict) else {}, "trunk", "sip.")
    _check_routes(reader, config)
    _check_groups(reader, config)
    _check_listeners(reader, config)
    if config is None or reader.problems:
        raise ConfigError(tuple(reader.problems))
    return config


def _check_names(reader: Reader, document: Mapping[str, Any], table: str, where: str = "") -> None:
    """Two upstreams of one name are told even when something else is wrong with one of them."""
    found = document.get(table, [])
    tables = found if isinstance(found, list) else []
    names = [item.get("name") for item in tables if isinstance(item, dict)]
    for name in {name for name in names if isinstance(name, str) and names.count(name) > 1}:
        reader.problem(f"{where}{table}.name", name, f"a name that no other {table} has")


def _check_routes(reader: Reader, config: Config | None) -> None:
    """A route leads to upstreams that there are."""
    if config is None:
        return
    known = [upstream.name for upstream in config.upstreams]
    all_else = None
    for route in config.routes:
        if all_else is not None:
            reader.problem(f'route["{route.name}"]', route.name, f"a place before {all_else}, which fits all")
        elif not (route.prefixes or route.dids or route.accounts):
            all_else = route.name
        for name in (*route.upstreams, *route.failover):
            if name not in known:
                reader.problem(f'route["{route.name}"]', name, f"one of the upstreams: {', '.join(known)}")


def _check_groups(reader: Reader, config: Config | None) -> None:
    """The upstreams of a group are one source, so they tell of messages in one way."""
    known = {} if config is None else {upstream.name: upstream for upstream in config.upstreams}
    first: dict[str, UpstreamConfig] = {}
    for upstream in known.values():
        where, named = f'upstream["{upstream.name}"]', known.get(upstream.group)
        if named is not None and named.group_name != upstream.group:
            reader.problem(
                f"{where}.group", upstream.group, f"another name: {named.name} is in another group"
            )
        other = first.setdefault(upstream.group_name, upstream)
        if other.receipt_per != upstream.receipt_per:
            reader.problem(
                f"{where}.receipt_per", upstream.receipt_per, f"as {other.name} of its group has it"
            )


def _check_listeners(reader: Reader, config: Config | None) -> None:
    """What would find its port taken is told before anything starts."""
    for one, other in () if config is None else clashes(config.listeners()):
        reader.problem(other.key, other.address, f"another port: {one.key} listens on {one.address}")
