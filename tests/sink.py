"""An HTTP sink in a thread, for tests whose server is another process."""

import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

PATIENCE_SECONDS = 60.0


class Sink:
    """I record every request; I answer each with ``answer`` (a body; ``ok`` from the start) and ``status``.

    A target in ``redirects`` is answered with a redirect. With ``close_each`` a connection ends after one.
    """

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.answer = b"ok"
        self.status = 200
        self.redirects: dict[str, str] = {}
        self.close_each = False
        self.targets: list[str] = []
        self.bodies: list[bytes] = []
        self._answering = threading.Event()
        self._answering.set()
        self._at_once = 0
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._take(b"")

            def do_POST(self) -> None:
                self._take(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

            def _take(self, body: bytes) -> None:
                sink.targets.append(self.path)
                sink.bodies.append(body)
                if len(sink.targets) > sink._at_once:
                    sink._answering.wait(PATIENCE_SECONDS)
                with suppress(ConnectionError):  # who asked may have gone
                    location = sink.redirects.get(self.path)
                    self.send_response(sink.status if location is None else 302)
                    if location is not None:
                        self.send_header("Location", location)
                    if sink.close_each:
                        self.send_header("Connection", "close")
                    self.send_header("Content-Length", str(len(sink.answer)))
                    self.end_headers()
                    self.wfile.write(sink.answer)

            def log_message(self, *_: Any) -> None:
                """Silence."""

        self._server = ThreadingHTTPServer((address, 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://{address}:{self._server.server_address[1]}"

    def queries(self) -> list[dict[str, str]]:
        """The decoded variables of each request."""
        return [
            dict(parse_qsl(target.partition("?")[2], keep_blank_values=True, errors="strict"))
            for target in list(self.targets)
        ]

    def hold(self, after: int) -> None:
        """Answer so many requests, then none until `release`."""
        self._at_once = after
        self._answering.clear()

    def release(self) -> None:
        """Answer again, and what was held."""
        self._answering.set()

    def close(self) -> None:
        """Stop listening."""
        self.release()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
