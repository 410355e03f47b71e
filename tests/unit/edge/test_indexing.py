"""The search follows the feed once a second and goes on after a failure."""

from twisted.internet.task import Clock

from edge.indexing import EVERY_SECONDS, Indexing
from storage import messages, search
from storage.testing import InlineStore
from tests.samples import mo


def found(store: InlineStore, query: str) -> int:
    with store.engine.snapshot() as connection:
        return len(search.find(connection, 1, query))


def test_what_is_committed_is_found_within_a_second(inline_store: InlineStore) -> None:
    clock = Clock()
    indexing = Indexing(inline_store, clock)  # type: ignore[arg-type]
    indexing.start()
    inline_store.writer.write(messages.insert(mo(text="a café")))
    assert found(inline_store, "cafe") == 0
    clock.advance(EVERY_SECONDS)
    assert found(inline_store, "cafe") == 1
    inline_store.writer.failing = True
    clock.advance(EVERY_SECONDS)
    inline_store.writer.failing = False
    inline_store.writer.write(messages.insert(mo(text="tea")))
    clock.advance(EVERY_SECONDS)
    assert found(inline_store, "tea") == 1
    indexing.stop()
    inline_store.writer.write(messages.insert(mo(text="milk")))
    clock.advance(EVERY_SECONDS)
    assert found(inline_store, "milk") == 0
