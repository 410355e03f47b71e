"""The TLS side of clients: what is believed is read once for a file as it is."""

import os
from pathlib import Path

import pytest
from twisted.internet.ssl import Certificate

from edge import tls


def test_a_file_of_authorities_is_read_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("-----BEGIN CERTIFICATE-----")
    read: list[str] = []

    def authorities(path: str) -> list[Certificate]:
        read.append(path)
        return []

    monkeypatch.setattr(tls, "_authorities", authorities)
    first = tls.verified("mx.example.net", str(file))
    assert tls.verified("mx.example.net", str(file)) is first
    assert tls.verified("other.example.net", str(file)) is not first
    assert len(read) == 2
    os.utime(file, ns=(1, 1))
    assert tls.verified("mx.example.net", str(file)) is not first
    assert len(read) == 3
    file.unlink()
    with pytest.raises(OSError, match="No such file"):
        tls.verified("mx.example.net", str(file))
