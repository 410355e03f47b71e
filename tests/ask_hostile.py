"""A process that asks every hostile URL, to be watched from outside: python -m tests.ask_hostile [URL…]

Prints how many were refused, by reason. The client may reach 127.0.0.2 only; the URLs given are asked as well
in the end, so that who watches sees what a connection looks like; what came of each is printed in a line.
`rebind.example` is at 127.0.0.2 the first time that it is looked up, and at 127.0.0.1 from then on.
"""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from edge.http.addresses import policy
from edge.http.client import HTTPClient, HTTPSettings
from edge.http.errors import NoAnswer
from edge.http.resolving import NameResolver
from tests.hostile import Names, urls

NAMES = {
    "loopback.example": [["127.0.0.1"]],
    "private.example": [["10.0.0.1"]],
    "metadata.example": [["169.254.169.254"]],
    "mixed.example": [["127.0.0.2", "192.168.0.1"]],
    "six.example": [["127.0.0.2", "::1"]],
    "mapped.example": [["::ffff:127.0.0.1"]],
    "alias.example": [["loopback.example", "127.0.0.1"]],
}
REBOUND = {"rebind.example": [["127.0.0.2"], ["127.0.0.1"]]}


async def main(reactor: Any) -> None:
    """Ask them all."""
    names = Names(reactor, NAMES | REBOUND)
    resolver = NameResolver(reactor, [names.start()], Path("/dev/null"))
    settings = HTTPSettings(addresses=policy(["127.0.0.2"]), max_redirects=3)
    http = HTTPClient(reactor, settings, resolver)
    reasons: Counter[str] = Counter()
    for url in [*urls(), *(f"http://{name}:8080/" for name in NAMES)]:
        try:
            await http.get(url)
        except NoAnswer as error:
            reasons[error.reason] += 1
        else:
            reasons["ANSWERED"] += 1
    print(" ".join(f"{reason}={count}" for reason, count in sorted(reasons.items())))
    for url in sys.argv[1:]:
        try:
            print((await http.get(url)).status)
        except NoAnswer as error:
            print(error.reason)
    await names.stop()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
