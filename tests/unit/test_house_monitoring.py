"""The house: alerts and dashboard name nothing that is not counted, and each alert has a runbook."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge.figures import FAMILIES
from edge.web.metrics import metric_names

ROOT = Path(__file__).resolve().parent.parent.parent
RULES = ROOT / "conf" / "prometheus" / "trunkline.rules.yml"
DASHBOARD = ROOT / "conf" / "grafana" / "trunkline.json"
NAME = re.compile(r"\b((?:trunkline|process)_[a-z_]+)\b(?!\.)")
LABEL = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')
BY = re.compile(r"(?:by|ignoring|on|without) \(([a-z_, ]+)\)")
OF_EVERY_TARGET = {"job", "instance"}
OF_THE_PROCESS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}
GOOD_ENDINGS = ("_seconds", "_bytes", "_total", "_bucket", "_sum", "_count")


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def panels() -> list[dict[str, Any]]:
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    found: list[dict[str, Any]] = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    return found


def expressions() -> list[str]:
    return [rule["expr"] for rule in rules()] + [
        target["expr"] for panel in panels() for target in panel["targets"]
    ]


def labels_of(name: str) -> set[str]:
    shown = metric_names().get(name)
    return set() if shown is None else set(shown.labels)


@pytest.mark.parametrize("expression", expressions())
def test_every_metric_and_label_is_there(expression: str) -> None:
    names = set(NAME.findall(expression))
    assert names or expression.startswith("up{")
    unknown = names - set(metric_names()) - OF_THE_PROCESS
    assert unknown == set()
    known = OF_EVERY_TARGET.union(*map(labels_of, names))
    used = set(LABEL.findall(expression)) | {
        label.strip() for group in BY.findall(expression) for label in group.split(",")
    }
    assert used <= known, expression
    assert expression.count("(") == expression.count(")")
    assert expression.count("{") == expression.count("}")


def test_the_check_would_see_a_wrong_name() -> None:
    assert NAME.findall('rate(trunkline_nothing_total{x="y"}[5m])') == ["trunkline_nothing_total"]
    assert "trunkline_nothing_total" not in metric_names()
    assert LABEL.findall('{x="y", z=~"a"}') == ["x", "z"]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_each_alert_has_a_runbook(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("info", "warning", "critical")
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    assert rule["alert"] in headings
    assert anchor == rule["alert"].lower()
    used = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    known = OF_EVERY_TARGET.union(*map(labels_of, NAME.findall(rule["expr"])))
    assert used <= known


def test_names_have_their_unit_at_the_end_and_counters_their_total() -> None:
    for name, family in FAMILIES.items():
        assert not name.endswith("_total"), "it is added"
        assert name.startswith("trunkline_")
        if "seconds" in name or "bytes" in name:
            assert name.endswith(GOOD_ENDINGS), name
        assert family.help.endswith(".")
        assert not {"did", "peer", "number", "text", "account"} & set(family.labels), "labels have an end"


def test_the_dashboard_shows_every_kind() -> None:
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))
    assert all(panel["targets"] for panel in panels())


def test_the_rules_are_as_prometheus_wants_them() -> None:
    """By its own tool where that is at hand; the shape is looked at in any case."""
    for rule in rules():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch("[0-9]+[smh]", rule.get("for", "1m"))
    promtool = shutil.which("promtool")
    if promtool is not None:
        command = [promtool, "check", "rules", str(RULES)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
