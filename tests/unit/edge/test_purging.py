"""What was deleted goes soon after it can be brought back no more, and costs nothing when there is none."""

from twisted.internet.task import Clock

from edge.purging import DELETED_SECONDS, Purging
from storage import deletion, messages
from storage.ids import IdSource
from storage.testing import InlineStore
from tests.samples import NOW, mo
from tests.storing import done, read, stored


def test_a_deleted_message_is_gone_when_its_half_minute_is_over(inline_store: InlineStore) -> None:
    clock, engine = Clock(), inline_store.engine
    ids = IdSource(0, lambda: NOW)
    purging = Purging(inline_store, clock, lambda: NOW + int(clock.seconds() * 1000))  # type: ignore[arg-type]
    purging.start()
    record, stays = mo(), mo()
    stored(engine, record, stays)
    made = done(engine, deletion.begin, ids, 1, "user:1", "message", NOW)
    done(engine, deletion.delete_selected, 1, [record.id], made, NOW)
    units = inline_store.writer.units
    clock.pump([DELETED_SECONDS] * 3)
    assert read(engine, messages.exists, record.id)
    assert inline_store.writer.units == units, "nothing is written when there is nothing to remove"
    clock.pump([DELETED_SECONDS] * 2)
    assert not read(engine, messages.exists, record.id)
    assert read(engine, messages.exists, stays.id)
    purging.stop()
    assert clock.getDelayedCalls() == []
