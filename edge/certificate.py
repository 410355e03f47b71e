"""Our own certificate, for listeners."""

from dataclasses import dataclass
from typing import Any

from OpenSSL import SSL
from twisted.internet.ssl import DefaultOpenSSLContextFactory


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files; the certificate's with its chain."""

    certificate: str
    private_key: str

    def context_factory(self) -> Any:
        """TLS 1.2 or later."""
        factory = DefaultOpenSSLContextFactory(self.private_key, self.certificate, SSL.TLS_SERVER_METHOD)
        context = factory.getContext()
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.use_certificate_chain_file(self.certificate)
        return factory
