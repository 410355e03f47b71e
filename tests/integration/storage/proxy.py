"""A TCP proxy before PostgreSQL that cuts a connection when the client says a word."""

import contextlib
import socket
import threading
from types import TracebackType

from sqlalchemy import make_url


class CuttingProxy:
    """I pass everything on until the word of `cut_at` comes.

    With ``pass_on`` the server gets it, and the link goes when the answer comes; without, the server never
    sees it.
    """

    def __init__(self, store_url: str, pass_on: bool) -> None:
        self.cuts = 0
        self._pass_on = pass_on
        self._word: bytes | None = None
        url = make_url(store_url)
        assert url.host is not None
        self._target = (url.host, url.port or 5432)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = url.set(port=self._listener.getsockname()[1]).render_as_string(hide_password=False)

    def __enter__(self) -> "CuttingProxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def cut_at(self, word: bytes) -> None:
        """Cut once, when the client next says this."""
        self._word = word

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            link = _Link(client, server)
            threading.Thread(target=self._client_to_server, args=(link,), daemon=True).start()
            threading.Thread(target=link.server_to_client, daemon=True).start()

    def _client_to_server(self, link: "_Link") -> None:
        while data := link.receive(link.client):
            if self._word is not None and self._word in data:
                self._word = None
                self.cuts += 1
                link.cutting = True
                if not self._pass_on:
                    break
            link.server.sendall(data)
        if not (link.cutting and self._pass_on):
            link.close()


class _Link:
    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.cutting = False

    def receive(self, side: socket.socket) -> bytes:
        try:
            return side.recv(65_536)
        except OSError:
            return b""

    def server_to_client(self) -> None:
        while data := self.receive(self.server):
            if self.cutting:
                break
            with contextlib.suppress(OSError):
                self.client.sendall(data)
        self.close()

    def close(self) -> None:
        for side in (self.client, self.server):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()
