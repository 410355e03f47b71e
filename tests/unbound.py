"""An upstream that is there and sends nothing, for tests of what comes before it."""

from typing import Any


class Unbound:
    """A carrier without a bind: what is committed stays queued."""

    def reserve(self) -> None:
        return None

    def expect(self, part_ids: Any) -> None:
        pass

    def committed(self, queued: Any, reservation: Any) -> None:
        pass

    def abandoned(self, part_ids: Any, reservation: Any) -> None:
        pass
