"""The APIs for programs that were made for others: which of them this server has, and what they share."""

from edge.web.access import Gate
from edge.web.pages.passwords import PasswordChecker
from edge.web.program import Program
from edge.web.quota import Quota
from edge.web.services import WebServices
from edge.web.voipms import rest


def make_programs(services: WebServices, passwords: PasswordChecker) -> dict[bytes, Program]:
    """By their paths."""
    gate = Gate(services.directory.access, passwords, services.resolver, services.reactor.seconds)
    quota = Quota(services.store)
    return {rest.PATH: rest.Rest(services, gate, quota)}
