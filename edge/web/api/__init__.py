"""The native API: JSON over HTTP, bearer keys, problem+json errors; and the health pages."""

from twisted.web.resource import IResource, Resource

from edge import outgoing
from edge.web.api import (
    contacts,
    conversations,
    deletions,
    deliveries,
    dids,
    endpoints,
    explain,
    keys,
    openapi,
    operator,
    opt_outs,
    sip_accounts,
)
from edge.web.api.access import Access
from edge.web.api.events import Streams
from edge.web.api.export import Exports
from edge.web.api.health import Live, Ready, Started
from edge.web.api.idempotency import Idempotency
from edge.web.api.messages import Messages
from edge.web.api.router import Router
from edge.web.api.routes import Route, Table
from edge.web.services import WebServices


def all_routes(services: WebServices, access: Access) -> list[Route]:
    """Every route that this server has, in the order of the documentation."""
    found = [
        *Messages(Idempotency(services.store, services.wall_ms), outgoing.rules(services.config)).routes(),
        *conversations.routes(),
        *deletions.routes(),
        *Exports(access).routes(),
        *explain.routes(),
        *Streams(access, services.config.http.max_streams).routes(),
        *deliveries.routes(),
        *dids.routes(),
        *endpoints.routes(),
        *contacts.routes(),
        *opt_outs.routes(),
        *sip_accounts.routes(),
        *keys.routes(),
        *operator.routes(),
    ]
    mine = [route for route in found if route.needs(services)]
    return [*mine, openapi.route(mine)]


def add_api(root: Resource, services: WebServices) -> dict[bytes, IResource]:
    """Put /livez, /startupz and /readyz on the root; returns the branches, found without walking it."""
    access = Access(
        services.directory,
        services.store,
        services.wall_ms,
        services.reactor,
        services.config.http.requests_per_minute,
    )
    root.putChild(b"livez", Live())
    root.putChild(b"startupz", Started(services))
    root.putChild(b"readyz", Ready(services))
    routes = all_routes(services, access)
    return {b"v1": Router(services, Table(routes), access), b"docs": openapi.Page(routes)}
