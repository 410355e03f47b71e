"""STANDIN, to be replaced by the portal."""

from twisted.web.resource import Resource


def add_pages(root: Resource, services: object) -> Resource:
    """STANDIN"""
    return Resource()
