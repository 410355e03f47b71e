"""What the web needs of the rest of the server."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edge.config import Config
from edge.directory import Directory
from edge.outbound import Outbound
from edge.simulator import Simulator
from storage.store import Store


@dataclass(frozen=True, slots=True)
class WebServices:
    """``ready`` says whether traffic can be taken and in what state each part is."""

    store: Store
    directory: Directory
    outbound: Outbound
    config: Config
    simulator: Simulator | None
    ready: Callable[[], tuple[bool, dict[str, object]]]
    wall_ms: Callable[[], int]
    reactor: Any
