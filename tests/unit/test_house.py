"""The house: who may name the global reactor, that no page lies, that the plugin is where Twisted looks."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import get_type_hints

import pytest

from edge.config import Config
from edge.config_reader import KEY
from protocols.smpp.states import diagram
from tests.bench import __main__ as bench

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("edge", "protocols", "storage")
COMPOSITION_ROOT = Path("edge/tap.py")


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT), ast.parse(path.read_text("utf-8"))


def names_the_reactor(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module == "twisted.internet" and any(alias.name == "reactor" for alias in node.names)
    if isinstance(node, ast.Import):
        return any(alias.name == "twisted.internet.reactor" for alias in node.names)
    return False


@pytest.mark.parametrize(
    "code", ["from twisted.internet import reactor", "import twisted.internet.reactor as r"]
)
def test_the_check_sees_both_ways_to_name_the_reactor(code: str) -> None:
    assert any(map(names_the_reactor, ast.walk(ast.parse(code))))


def test_only_the_composition_root_names_the_global_reactor() -> None:
    guilty = {path for path, tree in modules() if any(map(names_the_reactor, ast.walk(tree)))}
    assert guilty == {COMPOSITION_ROOT}


def test_no_package_of_ours_is_put_over_twisteds() -> None:
    """An __init__.py in twisted/ or twisted/plugins/ would hide the real Twisted."""
    assert not list((ROOT / "twisted").rglob("__init__.py"))
    assert (ROOT / "twisted" / "plugins" / "trunkline_plugin.py").is_file()


def test_twistd_lists_the_plugin_and_prints_its_options() -> None:
    """A broken import in a plugin hides its command without a word."""
    twistd = Path(sys.executable).parent / "twistd"
    shown = subprocess.run(
        [twistd, "trunkline", "--help"], capture_output=True, text=True, timeout=60, check=True, cwd=ROOT
    )
    assert "--config=" in shown.stdout


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_pages_are_those_of_the_code() -> None:
    made = generator()
    for name, page in made.PAGES.items():
        assert (ROOT / "docs" / name).read_text("utf-8") == page(), f"run: make docs ({name})"
    assert diagram() in (ROOT / "docs" / "smpp.md").read_text("utf-8")


def test_no_link_in_the_documentation_leads_nowhere() -> None:
    assert generator().dead_links() == []


def test_the_page_of_figures_has_a_place_for_each_bench() -> None:
    page = (ROOT / "docs" / "performance.md").read_text("utf-8")
    assert re.findall(r"<!-- bench: (\w+) -->", page) == [*sorted(bench.BENCHES, key=page.index)]
    for name in bench.BENCHES:
        assert "1,234 of something" in bench.filled(page, name, "1,234 of something")
    with pytest.raises(bench.BenchFailed):
        bench.filled(page, "bench_nothing", "")


def test_scripts_can_be_run() -> None:
    for name in (".ci/run", "tests/bench/rig/up", "tests/bench/rig/down"):
        assert os.access(ROOT / name, os.X_OK), name


def test_every_key_is_documented_and_every_documented_key_exists() -> None:
    made = generator()
    documented = {
        (table, key)
        for table, key, _, _ in made.read_conf((ROOT / "conf" / "trunkline.toml").read_text("utf-8"))
    }
    hints = get_type_hints(Config)
    kinds = {field.name: hints[field.name] for field in fields(Config) if is_dataclass(hints[field.name])}
    kinds |= made.SPECIAL
    existing = {
        (table, field.metadata.get(KEY, field.name))
        for table, kind in kinds.items()
        for field in fields(kind)
        if f"{table}.{field.metadata.get(KEY, field.name)}" not in kinds
    }
    assert documented == existing
    assert len(existing) > 150


def test_the_index_of_the_documentation_leads_to_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert {name for name in pages if f"({name})" not in index} == set()
