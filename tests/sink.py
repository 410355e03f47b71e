"""An HTTP sink in a thread, for tests whose server is another process."""

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl


class Sink:
    """I record every request; I answer with ``answer`` (``ok`` from the start) while ``gate`` is open."""

    def __init__(self) -> None:
        self.answer = b"ok"
        self.gate = threading.Event()
        self.gate.set()
        self.targets: list[str] = []
        self.bodies: list[bytes] = []
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
                sink.gate.wait(60)
                with contextlib.suppress(OSError):  # whoever asked may be gone
                    self._answer()

            def _answer(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(sink.answer)))
                self.end_headers()
                self.wfile.write(sink.answer)

            def log_message(self, *_: Any) -> None:
                """Silence."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def queries(self) -> list[dict[str, str]]:
        """The decoded variables of each request."""
        return [
            dict(parse_qsl(target.partition("?")[2], keep_blank_values=True, errors="strict"))
            for target in list(self.targets)
        ]

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
