"""What people do about deliveries reaches the store, and then the outbox."""

from typing import cast

import pytest

from edge.actions import Actions
from edge.handlers import Failed, Retry
from storage.records import Did
from storage.store import Store
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge.conftest import Time
from tests.unit.edge.test_deliveries import Rig


@pytest.fixture
def rig(inline_store: InlineStore, time: Time, did: Did) -> Rig:
    rig = Rig(inline_store, time, did)
    rig.outbox.start()
    return rig


@pytest.fixture
def actions(rig: Rig) -> Actions:
    return Actions(cast(Store, rig.store), rig.outbox, rig.time.wall_ms)


def test_what_waits_is_tried_at_once(rig: Rig, actions: Actions) -> None:
    (due,) = rig.receive()
    rig.handler.end(Retry("not_ok", 1800.0, 200))
    assert success(actions.retry_now(due.delivery.id)) is True
    assert [job.attempt for job in rig.handler.jobs] == [1, 2]


def test_what_is_skipped_is_over(rig: Rig, actions: Actions) -> None:
    (due,) = rig.receive()
    rig.handler.end(Retry("not_ok", 1800.0, 200))
    assert success(actions.skip(due.delivery.id, "wrong page")) is True
    assert success(actions.skip(due.delivery.id, "wrong page")) is False
    rig.time.advance(1801.0)
    assert len(rig.handler.jobs) == 1
    assert rig.view(due).attempts[-1].excerpt == "wrong page"


def test_what_failed_is_tried_again_and_nothing_else(rig: Rig, actions: Actions) -> None:
    failed, waiting = rig.receive(2)
    rig.handler.end(Failed("status_410", 410))
    rig.handler.end(Retry("not_ok", 1800.0, 200))
    assert success(actions.replay([failed.delivery.id, waiting.delivery.id])) == 1
    assert [job.delivery.id for job in rig.handler.jobs[2:]] == [failed.delivery.id]
    assert rig.handler.jobs[-1].attempt == 2


def test_of_another_handler_nothing_is_tried_again(rig: Rig, actions: Actions) -> None:
    (failed,) = rig.receive()
    rig.handler.end(Failed("status_410", 410))
    assert success(actions.replay([failed.delivery.id], "nix")) == 0
    assert success(actions.replay([failed.delivery.id], failed.delivery.handler)) == 1
