"""Our own certificate, for listeners."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from OpenSSL import SSL
from twisted.internet.ssl import DefaultOpenSSLContextFactory


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files; the certificate's with its chain."""

    certificate: str
    private_key: str

    def context_factory(self) -> "ServerContext":
        """TLS 1.2 or later. Raises SSL.Error for files that are none."""
        return ServerContext(self)


class ServerContext(DefaultOpenSSLContextFactory):
    """I am asked for a context by each new connection, so a certificate may be renewed while we listen."""

    _context: Any

    def __init__(self, files: Certificate) -> None:
        self._files = files
        super().__init__(files.private_key, files.certificate, SSL.TLS_SERVER_METHOD)
        self._context.set_min_proto_version(SSL.TLS1_2_VERSION)
        self._context.use_certificate_chain_file(files.certificate)

    def renewed(self) -> Callable[[], None]:
        """Read the files again; what is given back has new connections use them. Raises SSL.Error."""
        fresh = ServerContext(self._files).getContext()

        def use() -> None:
            self._context = fresh

        return use
