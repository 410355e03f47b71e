"""The circuit of a target: closed, open with probes, recovering."""

from edge.circuit import Circuit, CircuitSettings, State


def opened(now: float = 0.0) -> Circuit:
    circuit = Circuit(CircuitSettings(failures=3, probe_seconds=60.0))
    assert [circuit.failed(now) for _ in range(3)] == [False, False, True]
    return circuit


def test_it_opens_after_so_many_failures_in_a_row_only() -> None:
    circuit = Circuit(CircuitSettings(failures=3))
    for _ in range(5):
        circuit.failed(0.0)
        circuit.failed(0.0)
        assert not circuit.succeeded(0.0)
    assert circuit.state.value == "closed"
    assert circuit.unblemished
    circuit.failed(0.0)
    assert not circuit.unblemished


def test_open_it_lets_one_through_a_period() -> None:
    circuit = opened()
    assert not circuit.may_start(59.9)
    assert circuit.may_start(60.0)
    circuit.started(61.0)
    assert not circuit.may_start(61.0)
    assert not circuit.failed(91.0), "it is open already"
    assert not circuit.may_start(120.9)
    assert circuit.may_start(121.0)


def test_a_success_begins_a_recovery_whose_rate_doubles() -> None:
    circuit = opened()
    assert circuit.succeeded(100.0)
    begun = []
    for second in range(30):
        now = 100.0 + second
        begun.append(0)
        while circuit.may_start(now):
            circuit.started(now)
            begun[-1] += 1
    assert 18 <= begun[1] <= 23, begun
    assert 75 <= begun[21] <= 92, begun
    assert circuit.state.value == "recovering"


def test_it_is_closed_after_a_minute_without_failure() -> None:
    circuit = opened()
    circuit.succeeded(100.0)
    circuit.succeeded(159.0)
    assert circuit.state.value == "recovering"
    circuit.succeeded(160.0)
    assert circuit.state.value == "closed"


def test_one_failure_ends_a_recovery() -> None:
    circuit = opened()
    circuit.succeeded(100.0)
    assert circuit.failed(101.0)
    assert not circuit.may_start(160.0)
    assert circuit.may_start(161.0)


def test_a_quiet_night_ends_a_recovery_too() -> None:
    circuit = Circuit(CircuitSettings(2, 60.0))
    circuit.failed(0.0)
    circuit.failed(0.0)
    assert circuit.succeeded(60.0)
    night = 60.0 + 12 * 3600.0
    assert circuit.rate(night) == circuit.rate(120.0)
    circuit.started(night)
    assert not circuit.failed(night)  # one of two
    assert circuit.state is State.CLOSED
    assert circuit.failed(night + 1.0)
