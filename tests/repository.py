"""The functions of the store that work on a connection, found by looking, so that none is forgotten."""

import inspect
import pkgutil
from collections.abc import Callable
from importlib import import_module
from typing import Any

import storage
from storage.endpoints import Endpoint, EndpointRecord
from storage.records import Did
from storage.sip_accounts import SipAccount

CARRIERS = (Endpoint, EndpointRecord, Did, SipAccount)
"""What says by itself whose it is: a function that takes one takes the account with it."""

Function = Callable[..., Any]


def functions() -> dict[str, Function]:
    """All public ones, by module and name."""
    return {
        f"{module.rpartition('.')[2]}.{name}": function
        for module in _modules()
        for name, function in inspect.getmembers(import_module(module), inspect.isfunction)
        if function.__module__ == module and not name.startswith("_") and "connection" in parameters(function)
    }


def parameters(function: Function) -> dict[str, inspect.Parameter]:
    """By name."""
    return dict(inspect.signature(function).parameters)


def takes_the_account(function: Function) -> bool:
    """By itself, or in what it is given."""
    found = parameters(function)
    return "account_id" in found or any(item.annotation in CARRIERS for item in found.values())


def _modules() -> list[str]:
    return [found.name for found in pkgutil.iter_modules(storage.__path__, "storage.") if not found.ispkg]
