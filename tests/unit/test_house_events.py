"""The house: every event of the log is in the catalogue, and no field could hold what people wrote."""

import importlib.util
from pathlib import Path
from types import ModuleType

from edge.log_catalog import EVENTS
from edge.log_rate import UNLIMITED

ROOT = Path(__file__).resolve().parent.parent.parent
BODIES = {"text", "body", "content", "user_data", "octets_of", "short_message", "raw", "html", "password"}
PASSED_ON = {"edge/hops.py", "edge/outage.py"}


def calls() -> ModuleType:
    spec = importlib.util.spec_from_file_location("log_calls", ROOT / "docs" / "log_calls.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_catalogue_has_every_event_and_no_other() -> None:
    found = list(calls().log_calls())
    assert len(found) > 100
    said = {call.event for call in found if call.event is not None}
    assert said == set(EVENTS)
    nameless = {call.module for call in found if call.event is None}
    assert nameless <= PASSED_ON, "an event's name is written out where it is said"


def test_no_event_has_a_field_for_what_people_wrote() -> None:
    for call in calls().log_calls():
        assert not BODIES & set(call.fields), call


def test_what_is_never_left_out_is_an_event() -> None:
    assert set(EVENTS) >= UNLIMITED


def test_the_check_sees_a_call(tmp_path: Path) -> None:
    import ast

    (found,) = calls()._read("edge/x.py", ast.parse('log.warning("it_broke", text=1)').body[0].value)  # type: ignore[attr-defined]
    assert (found.level, found.event, found.fields) == ("warning", "it_broke", ("text",))
