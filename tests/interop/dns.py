"""A name server in a thread: it answers with the records that it was given, and with nothing for others."""

import socketserver
import threading
from typing import Any

from twisted.names import dns

Records = dict[str, list[Any]]


class NameServer:
    """I answer on ``port`` of loopback. ``records`` are twisted.names records by name."""

    def __init__(self, records: Records) -> None:
        self.asked: list[str] = []
        server = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data, sock = self.request
                sock.sendto(server.answer(data), self.client_address)

        self._records = records
        self._server = socketserver.UDPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def answer(self, data: bytes) -> bytes:
        """The answer to one query."""
        message = dns.Message()
        message.fromStr(data)
        query = message.queries[0]
        name = str(query.name)
        self.asked.append(name)
        answer = dns.Message(id=message.id, answer=1, recDes=message.recDes, recAv=1)
        answer.queries = message.queries
        answer.answers = [
            dns.RRHeader(name, record.TYPE, dns.IN, 60, record)
            for record in self._records.get(name, [])
            if query.type == record.TYPE
        ]
        if name not in self._records:
            answer.rCode = dns.ENAME
        octets: bytes = answer.toStr()
        return octets

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
