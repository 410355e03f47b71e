"""The order of a server's system calls, read from ``strace -f -y -xx -D -o FILE``."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CALLS = "openat,close,read,recvfrom,write,writev,pwrite64,pwritev,sendto,sendmsg,fsync,fdatasync"
STRACE = ("strace", "-D", "-f", "-y", "-xx", "-s", "70000", "--seccomp-bpf", "-e", f"trace={CALLS}", "-o")
"""To be followed by the log's path and the program."""

_LINE = re.compile(r"(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)")
_FD = re.compile(r"(\d+)<([^>]*)>")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass(frozen=True, slots=True)
class Call:
    """One system call on a descriptor. ``began`` and ``ended`` are line numbers: the lower the earlier."""

    name: str
    descriptor: int
    path: str
    data: bytes
    began: int
    ended: int


def calls(log: Path) -> Iterator[Call]:
    """All calls on descriptors, in the order in which they ended."""
    unfinished: dict[str, tuple[str, int, str]] = {}
    with log.open() as lines:
        for number, line in enumerate(lines):
            found = _LINE.match(line)
            if found is None:
                continue
            thread, resumed, name, rest = found.groups()
            began = number
            if resumed is not None:
                if thread not in unfinished:
                    continue
                name, began, head = unfinished.pop(thread)
                rest = head + rest
            if rest.endswith("<unfinished ...>"):
                unfinished[thread] = name, number, rest.removesuffix("<unfinished ...>")
                continue
            call = _call(name, rest, began, number)
            if call is not None:
                yield call


def _call(name: str, rest: str, began: int, ended: int) -> Call | None:
    descriptor = _FD.match(rest)
    if descriptor is None or " = -1 " in rest[-80:]:
        return None
    data = b"".join(_octets(text) for text in _STRING.findall(rest))
    path = _octets(descriptor[2]).decode("utf-8", "replace")
    return Call(name, int(descriptor[1]), path, data, began, ended)


def _octets(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
