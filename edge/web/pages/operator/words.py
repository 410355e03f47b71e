"""What the console's documents say, in words: the server's figures, states, and numbers that mean more."""

import re
from collections.abc import Mapping
from datetime import datetime

from edge.web.pages import changes
from edge.web.pages.locales import N_, Locale
from edge.web.pages.outcomes import outcome_word
from edge.web.pages.terms import PARTS

FIGURES = {
    "version": N_("Version"),
    "ready": N_("Takes traffic"),
    "not_ready": N_("Why it takes none"),
    "up_seconds": N_("Running for"),
    "draining": N_("Is stopping"),
    "store": N_("Store"),
    "store_waiting": N_("Changes that wait for the store"),
    "store_commit_mean_seconds": N_("A commit of the store takes on average"),
    "binds_bound": N_("Binds that are up"),
    "binds": N_("Binds that there are"),
    "parts": N_("Parts that wait"),
    "deliveries": N_("Deliveries that wait or failed"),
    "deliveries_running": N_("Deliveries under way"),
    "reactor_lag_seconds": N_("Last delay of the server’s loop"),
}
"""Of `status`."""
STATES: dict[str, str] = {
    "ok": N_("works"),
    "takes nothing": N_("takes nothing"),
    "stopped": N_("stopped"),
    "open": N_("connected, not bound"),
    "binding": N_("binding"),
    "bound_tx": N_("bound, sends only (transmitter)"),
    "bound_rx": N_("bound, receives only (receiver)"),
    "bound_trx": N_("bound, sends and receives (transceiver)"),
    "unbinding": N_("unbinding"),
    "closed": N_("not connected"),
    "failing": N_("fails"),
    "paused": N_("fails for days, asked no more"),
    "pending": N_("pending"),
    **{str(state): word for state, word in PARTS.items()},
}
OUTCOMES = frozenset({"outcome", "why"})
"""Columns with what came of a try; `why` may be what an operator wrote instead."""
WITHOUT_LIMIT = frozenset({"rate"})
"""Columns in which 0 is no limit."""
DAY, HOUR, MINUTE = 86_400, 3_600, 60
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)", re.ASCII)


def moment(value: object) -> int | None:
    """Milliseconds since the epoch, when this is a time as the console writes it."""
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return None
    return round(datetime.fromisoformat(value).timestamp() * 1000)


def cell(name: str, value: object, locale: Locale) -> object:
    """What stands in a column of this name: a word for a state and for no limit, else what it was."""
    if name in WITHOUT_LIMIT and value == 0 and not isinstance(value, bool):
        return locale.gettext(N_("no limit"))
    if name == "state" and isinstance(value, str):
        return locale.gettext(STATES.get(value, value))
    if name in OUTCOMES and isinstance(value, str):
        return outcome_word(value, locale)
    if name == "action" and isinstance(value, str):
        return changes.action_word(value, locale)
    if name == "who" and isinstance(value, str):
        return changes.actor_word(value, locale)
    if name == "detail" and isinstance(value, Mapping):
        return changes.details(value, locale)
    return value


def figures(document: Mapping[str, object], locale: Locale) -> dict[str, str]:
    """The document of `status`, named and with units."""
    return {
        locale.gettext(FIGURES[name]) if name in FIGURES else name: _figure(name, value, locale)
        for name, value in document.items()
    }


def _figure(name: str, value: object, locale: Locale) -> str:
    if isinstance(value, bool):
        return locale.gettext(N_("yes") if value else N_("no"))
    if isinstance(value, Mapping):
        return (
            "; ".join(f"{_of(str(key), locale)}: {locale.number(count)}" for key, count in value.items())
            or "–"
        )
    if isinstance(value, int | float):
        if name == "up_seconds":
            return _duration(int(value), locale)
        return f"{locale.number(value)} s" if name.endswith("_seconds") else locale.number(value)
    return "–" if value in (None, "") else locale.gettext(STATES.get(str(value), str(value)))


def _of(key: str, locale: Locale) -> str:
    """ "carrier in_doubt": an upstream or handler, and a state."""
    kind, _, state = key.rpartition(" ")
    return f"{kind} {locale.gettext(STATES.get(state, state))}".strip()


def _duration(seconds: int, locale: Locale) -> str:
    """In its two greatest units: days and hours, hours and minutes, minutes and seconds."""
    units = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (1, "s"))
    found: list[str] = []
    for size, unit in units:
        count, seconds = divmod(seconds, size)
        if count or found:
            found.append(f"{locale.number(count)} {unit}")
    return " ".join(found[:2]) or "0 s"
