"""The APIs for programs that were made for others: which of them this server has, and what they share."""

from edge.web.access import Gate
from edge.web.dispatch import Dispatch
from edge.web.lookalikes import acrobits, jasmin, kannel
from edge.web.pages.passwords import InThread, PasswordChecker
from edge.web.program import Program
from edge.web.services import WebServices
from edge.web.voipms import rest


def make_programs(
    services: WebServices, passwords: PasswordChecker, in_thread: InThread
) -> dict[bytes, Program]:
    """By their paths, the look-alikes as they are switched on. ``in_thread`` is where they read large
    requests."""
    gate = Gate(services.directory.access, passwords, services.resolver, services.reactor.seconds)
    shared = (services, gate, Dispatch(services), in_thread)
    on = services.config.lookalikes
    found: dict[bytes, Program] = {rest.PATH: rest.Rest(*shared)}
    if on.kannel:
        found[kannel.PATH] = kannel.SendSms(*shared)
    if on.jasmin:
        found[jasmin.PATH] = jasmin.Send(*shared)
    if on.acrobits:
        found[acrobits.SEND_PATH] = acrobits.Send(*shared)
        found[acrobits.FETCH_PATH] = acrobits.Fetch(*shared)
    return found
