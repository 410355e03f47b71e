"""Makes `twistd trunkline` known."""

from twisted.application.service import ServiceMaker

trunkline = ServiceMaker("Trunkline", "edge.tap", "The SMS edge of a telephone company", "trunkline")
