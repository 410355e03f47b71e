"""Where phones are, in memory, as the store has them; and the flows that their REGISTER came on.

The store is changed first, memory after its commit. A connection does not outlive the process, a datagram's
address does: after a restart phones on UDP are reachable at once.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from protocols.sip.transport import Flow
from storage.registrations import BindingRecord


@dataclass(frozen=True, slots=True)
class Binding:
    """One contact with the flow to it; None when there is none (yet, or any more)."""

    record: BindingRecord
    flow: Flow | None


class Bindings:
    """I hold every binding of one server. Times are wall-clock milliseconds."""

    def __init__(self, wall_ms: Callable[[], int]) -> None:
        self._wall_ms = wall_ms
        self._by_account: dict[int, dict[int, Binding]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._by_account.values()))

    def __iter__(self) -> Iterator[Binding]:
        for held in self._by_account.values():
            yield from held.values()

    def load(self, bindings: Iterable[Binding]) -> None:
        """What the store has at the start."""
        for binding in bindings:
            self._by_account.setdefault(binding.record.sip_account_id, {})[binding.record.id] = binding

    def of(self, sip_account_id: int) -> list[Binding]:
        """Those of one account that have not expired; the freshest last."""
        held = self._by_account.get(sip_account_id, {})
        now_ms = self._wall_ms()
        for identity in [identity for identity, found in held.items() if found.record.expires_at <= now_ms]:
            del held[identity]
        return sorted(held.values(), key=lambda found: found.record.registered_at)

    def apply(self, sip_account_id: int, gone: Iterable[int], kept: Iterable[Binding]) -> None:
        """A change that has been committed."""
        held = self._by_account.setdefault(sip_account_id, {})
        for identity in gone:
            held.pop(identity, None)
        for binding in kept:
            held[binding.record.id] = binding
        if not held:
            del self._by_account[sip_account_id]

    def flow_gone(self, flow: Flow) -> None:
        """A connection is closed; its bindings stay, to be reached another way or to come back."""
        for held in self._by_account.values():
            for identity, binding in held.items():
                if binding.flow is flow:
                    held[identity] = Binding(binding.record, None)
