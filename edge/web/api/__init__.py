"""The native API: JSON over HTTP, bearer keys, problem+json errors; and the health pages."""

from twisted.web.resource import IResource, Resource

from edge.web.api.deliveries import Deliveries
from edge.web.api.endpoints import FailingEndpoints
from edge.web.api.health import Live, Ready
from edge.web.api.messages import Messages
from edge.web.api.problems import NotFoundEverywhere
from edge.web.services import WebServices


def add_api(root: Resource, services: WebServices) -> dict[bytes, IResource]:
    """Put /v1, /livez and /readyz on the root; returns what should be found without walking the tree."""
    v1 = NotFoundEverywhere()
    messages = Messages(services)
    v1.putChild(b"messages", messages)
    v1.putChild(b"endpoints", FailingEndpoints(services))
    if services.deliveries is not None:
        v1.putChild(b"deliveries", Deliveries(services, services.deliveries))
    root.putChild(b"v1", v1)
    root.putChild(b"livez", Live())
    root.putChild(b"readyz", Ready(services))
    return {b"/v1/messages": messages}
