"""A table that cannot grow for ever: what was put there longest ago is forgotten first."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """I hold at most ``most`` entries. One that is put again counts as new."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._table: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, key: object) -> bool:
        return key in self._table

    def get(self, key: K) -> V | None:
        """What was put under this key, if that is not forgotten."""
        return self._table.get(key)

    def put(self, key: K, value: V) -> None:
        """Hold this, as the newest."""
        self._table[key] = value
        self._table.move_to_end(key)
        if len(self._table) > self._most:
            self._table.popitem(last=False)

    def drop(self, key: K) -> None:
        """Forget this now, if it is here."""
        self._table.pop(key, None)

    def items(self) -> Iterator[tuple[K, V]]:
        """Everything, the oldest first; what is dropped meanwhile does not disturb."""
        return iter(list(self._table.items()))
