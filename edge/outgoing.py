"""Outgoing HTTP as the configuration wants it, for the server and for commands that judge settings."""

import secrets

from edge.circuit import CircuitSettings
from edge.config import Config
from edge.endpoints import host_and_port
from edge.handlers.base import Rules
from edge.http.addresses import AddressPolicy, policy
from edge.http.client import HTTPSettings
from edge.http.urls import Ports, read_range
from edge.targets import Limits

SECRET_OCTETS = 32


def settings(config: Config) -> HTTPSettings:
    """Times, limits and where requests may go."""
    callback = config.callback
    return HTTPSettings(
        timeout=callback.timeout_seconds,
        connect_timeout=callback.connect_timeout_seconds,
        connections_per_host=callback.connections_per_host,
        max_redirects=config.outgoing.max_redirects,
        addresses=_addresses(config),
        ports=_ports(config),
    )


def limits(config: Config) -> Limits:
    """How much is delivered at once."""
    outbox = config.outbox
    return Limits(
        outbox.concurrency,
        outbox.per_target,
        outbox.memory,
        CircuitSettings(outbox.failures, outbox.probe_seconds),
    )


def nameservers(config: Config) -> list[tuple[str, int]]:
    """Who is asked for names."""
    return [host_and_port(server) for server in config.outgoing.nameservers]


def rules(config: Config) -> Rules:
    """What the settings of handlers are judged by."""
    return Rules(
        _addresses(config),
        _ports(config),
        config.numbers.region,
        lambda: secrets.token_bytes(SECRET_OCTETS),
        _missing(config),
    )


def _missing(config: Config) -> dict[str, str]:
    missing = {} if config.sip is not None else {"sip": "[sip]", "trunk": "[sip]"}
    return missing if config.mail is not None else {**missing, "email": "[mail]"}


def _addresses(config: Config) -> AddressPolicy:
    return policy(config.outgoing.allow_networks)


def _ports(config: Config) -> Ports:
    ranges = (read_range(written) for written in config.outgoing.ports)
    return Ports(tuple(found for found in ranges if found is not None))
