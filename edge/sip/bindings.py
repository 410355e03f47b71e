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
        self._by_flow: dict[Flow, dict[int, int]] = {}  # open connections: account by binding

    def __len__(self) -> int:
        return sum(map(len, self._by_account.values()))

    def __iter__(self) -> Iterator[Binding]:
        for held in self._by_account.values():
            yield from held.values()

    def load(self, bindings: Iterable[Binding]) -> None:
        """What the store has at the start."""
        for binding in bindings:
            self._hold(binding)

    def of(self, sip_account_id: int) -> list[Binding]:
        """Those of one account that have not expired; the freshest last."""
        held = self._by_account.get(sip_account_id, {})
        now_ms = self._wall_ms()
        for identity in [identity for identity, found in held.items() if found.record.expires_at <= now_ms]:
            self._drop(sip_account_id, identity)
        return sorted(held.values(), key=lambda found: found.record.registered_at)

    def apply(self, sip_account_id: int, gone: Iterable[int], kept: Iterable[Binding]) -> None:
        """A change that has been committed."""
        for identity in gone:
            self._drop(sip_account_id, identity)
        for binding in kept:
            self._hold(binding)

    def current(self, binding: Binding) -> Binding | None:
        """What has become of a binding; None when it has gone or expired."""
        found = self._by_account.get(binding.record.sip_account_id, {}).get(binding.record.id)
        return None if found is None or found.record.expires_at <= self._wall_ms() else found

    def flow_gone(self, flow: Flow) -> None:
        """A connection is closed; its bindings stay, to be reached another way or to come back."""
        for identity, account in self._by_flow.pop(flow, {}).items():
            held = self._by_account[account]
            held[identity] = Binding(held[identity].record, None)

    def _hold(self, binding: Binding) -> None:
        record, flow = binding.record, binding.flow
        self._drop(record.sip_account_id, record.id)
        self._by_account.setdefault(record.sip_account_id, {})[record.id] = binding
        if flow is not None and flow.reliable and flow.open:
            self._by_flow.setdefault(flow, {})[record.id] = record.sip_account_id

    def _drop(self, sip_account_id: int, identity: int) -> None:
        held = self._by_account.get(sip_account_id, {})
        found = held.pop(identity, None)
        if found is not None and found.flow in self._by_flow:
            on_it = self._by_flow[found.flow]
            on_it.pop(identity, None)
            if not on_it:
                del self._by_flow[found.flow]
        if not held:
            self._by_account.pop(sip_account_id, None)
