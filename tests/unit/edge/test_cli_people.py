"""trunkline user with roles, did carriage, number: what they do and what they refuse."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edge.cli import trunkline

DID, FREE = "+12025550100", "+12025550190"


class Shell:
    """Runs commands on one store."""

    def __init__(self, config: Path) -> None:
        self._config = config

    def __call__(self, *words: str, exit_code: int = 0) -> Result:
        environment = {"TRUNKLINE_CONFIG": str(self._config)}
        result = CliRunner().invoke(trunkline, words, env=environment, catch_exceptions=False)
        assert result.exit_code == exit_code, result.output
        return result

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json").stdout)


@pytest.fixture
def shell(sqlite_url: str, tmp_path: Path) -> Shell:
    """With an account, its owner and a DID."""
    file = tmp_path / "trunkline.toml"
    file.write_text(f'[store]\nurl = "{sqlite_url}"\n')
    run = Shell(file)
    run("account", "add", "acme")
    run("user", "add", "--account", "acme", "ann", "--generate")
    run("did", "add", "--account", "acme", DID)
    return run


def test_roles_and_operators(shell: Shell) -> None:
    shell("user", "add", "--account", "acme", "--role", "read-only", "--operator", "bob", "--generate")
    ann, bob = shell.json("user", "list", "--account", "acme")
    assert (ann["role"], ann["operator"], ann["second_factor"]) == ("owner", False, False)
    assert (bob["role"], bob["operator"]) == ("read-only", True)
    changed = shell("user", "set", "--account", "acme", "bob", "--role", "agent", "--no-operator")
    assert changed.stdout == "User bob: agent.\n"
    shell("user", "add", "--account", "acme", "--role", "boss", "carl", exit_code=2)
    shell("user", "set", "--account", "acme", "nobody", "--role", "agent", exit_code=1)


def test_the_only_owner_stays(shell: Shell) -> None:
    assert "only owner" in shell("user", "remove", "--account", "acme", "ann", exit_code=1).stderr
    shell("user", "set", "--account", "acme", "ann", "--role", "agent", exit_code=1)
    shell("user", "add", "--account", "acme", "bob", "--generate")
    assert shell("user", "remove", "--account", "acme", "ann").stdout == "User ann removed.\n"
    assert [item["login"] for item in shell.json("user", "list", "--account", "acme")] == ["bob"]


def test_what_a_carrier_does_for_a_number(shell: Shell) -> None:
    shell("did", "carriage", DID, "--calls-only")
    assert "calls only" in shell("did", "set", DID, "sms=on", exit_code=1).stderr
    ported = shell.json("did", "carriage", DID, "--sms", "--ported", "2026-11-27T10:00")
    assert (ported["sms_capable"], ported["ported_at"][:16]) == (True, "2026-11-27T10:00")
    shell("did", "set", DID, "sms=on")


def test_numbers_on_offer(shell: Shell) -> None:
    first = shell.json("number", "add", FREE, "--region", "Nowhere")
    assert [(item["country"], item["region"], item["added"]) for item in first] == [("US", "Nowhere", True)]
    assert not shell.json("number", "add", FREE, "--region", "Elsewhere")[0]["added"]
    assert "somebody's already" in shell("number", "add", DID, "--region", "x", exit_code=1).stderr
    assert [item["number"] for item in shell.json("number", "list")] == [FREE]
    shell("did", "add", "--account", "acme", FREE)
    assert shell.json("number", "list") == [], "somebody has it now"
    assert not shell.json("number", "withdraw", FREE)["changed"]


def test_a_name_cannot_turn_the_line_round(shell: Shell) -> None:
    name = "\u202eemca"
    for words in (("account", "add", name), ("account", "list"), ("account", "list", "--json")):
        shown = shell(*words).stdout
        assert "\\u202eemca" in shown
        assert all(line.isprintable() for line in shown.split("\n"))
    assert name in [item["name"] for item in shell.json("account", "list")]
