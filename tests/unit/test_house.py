"""The house: who may name the global reactor, that no page lies, that the plugin is where Twisted looks."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

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
