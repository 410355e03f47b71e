"""The wheel in an environment of its own: plugin, command, configuration files, and nothing of the tests."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parent.parent.parent
CONF = (
    "trunkline.toml",
    "demo.toml",
    "systemd/trunkline.service",
    "systemd/trunkline.socket",
    "prometheus/trunkline.rules.yml",
    "grafana/trunkline.json",
    "nginx/trunkline.conf",
    "debian/trunkline.default",
)


def run(*command: str, cwd: Path) -> str:
    # A PYTHONPATH would bring the tree in again.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    ended = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_the_wheel_brings_everything(tmp_path: Path) -> None:
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    build = ("wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(tmp_path), str(ROOT))
    run(*pip, *build, cwd=tmp_path)
    (wheel,) = tmp_path.glob("trunkline-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "twisted/plugins/trunkline_plugin.py" in names
    assert not any(name.startswith(("tests/", "docs/", "twisted/__init__")) for name in names)
    run(sys.executable, "-m", "venv", "--without-pip", "venv", cwd=tmp_path)
    python = str(tmp_path / "venv" / "bin" / "python")
    run(*pip, "--python", python, "install", "--no-deps", "--no-index", str(wheel), cwd=tmp_path)
    # The dependencies are those of this environment; its editable install of the tree is not among them.
    (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    share = tmp_path / "venv" / "share" / "trunkline" / "conf"
    for name in CONF:
        assert (share / name).read_bytes() == (ROOT / "conf" / name).read_bytes()
    where = run(python, "-c", "import edge, storage, protocols; print(edge.__file__)", cwd=tmp_path)
    assert where.startswith(str(tmp_path))
    twistd = "from twisted.scripts.twistd import run; run()"
    assert "trunkline" in run(python, "-c", twistd, "--help", cwd=tmp_path)
    assert "--config=" in run(python, "-c", twistd, "trunkline", "--help", cwd=tmp_path)
    command = str(tmp_path / "venv" / "bin" / "trunkline")
    config = str(share / "trunkline.toml")
    assert "is good" in run(command, "check-config", "-c", config, cwd=tmp_path)
    (tmp_path / "var").mkdir()
    run(command, "db", "upgrade", "-c", config, cwd=tmp_path)
    assert (tmp_path / "var" / "trunkline.db").exists(), "the migrations are in the wheel too"
