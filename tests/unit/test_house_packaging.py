"""The house: what is shipped beside the code names what is there, and is as its readers want it."""

import configparser
import importlib.util
import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
CONF = ROOT / "conf"
UNIT = CONF / "systemd" / "trunkline.service"
SOCKET = CONF / "systemd" / "trunkline.socket"
MOST_EXPOSURE = 2.0


def unit(path: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False, comment_prefixes=("#",), delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(path, "utf-8")
    return parser


def defaults() -> dict[str, str]:
    lines = (CONF / "debian" / "trunkline.default").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_the_unit_starts_what_there_is() -> None:
    service = unit(UNIT)["Service"]
    assert service["Type"] == "notify", "the server says when it is ready"
    assert service["ExecReload"].split()[1:] == ["-HUP", "$MAINPID"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for key in ("ExecStart", "ExecStartPre"):
        assert Path(service[key].split()[0]).name in project["scripts"]
    assert f"TRUNKLINE_CONFIG={defaults()['TRUNKLINE_CONFIG']}" == service["Environment"]
    assert float(service["TimeoutStopSec"]) > 20 + 5 + 5 + 5, "a drain, and what is closed after it"


def test_the_socket_is_where_the_configuration_listens() -> None:
    socket = unit(SOCKET)["Socket"]
    configuration = (CONF / "trunkline.toml").read_text("utf-8")
    (http,) = re.findall(r"^\[http\]\n\n(?:#.*\n)*", configuration, re.MULTILINE)
    assert f'#listen = "{socket["ListenStream"]}"\n' in http
    assert socket["FileDescriptorName"] == "http"


def test_the_unit_is_hardened() -> None:
    """The directives themselves; where systemd is at hand, also by its own judgement."""
    service = unit(UNIT)["Service"]
    assert (service["ProtectSystem"], service["CapabilityBoundingSet"]) == ("strict", "")
    for name in (
        "NoNewPrivileges",
        "ProtectHome",
        "PrivateTmp",
        "PrivateDevices",
        "PrivateUsers",
        "ProtectKernelModules",
        "ProtectKernelTunables",
        "RestrictNamespaces",
        "RestrictSUIDSGID",
        "LockPersonality",
    ):
        assert service[name] == "yes", name
    assert set(service["RestrictAddressFamilies"].split()) == {"AF_UNIX", "AF_INET", "AF_INET6"}


def test_systemd_takes_the_units_where_it_is_at_hand(tmp_path: Path) -> None:
    text = UNIT.read_text("utf-8").replace("/opt/trunkline/bin/trunkline", "/bin/true")
    (tmp_path / UNIT.name).write_text(text)
    shutil.copy(SOCKET, tmp_path)
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        return
    verify = [analyze, "verify", "--man=no", f"./{UNIT.name}", f"./{SOCKET.name}"]
    ended = subprocess.run(verify, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    judge = [analyze, "security", "--offline=yes", "--no-pager", f"./{UNIT.name}"]
    ended = subprocess.run(judge, cwd=tmp_path, capture_output=True, text=True, check=False)
    level = re.search(r"exposure level for \S+: ([0-9.]+)", ended.stdout)
    assert level is not None, ended.stderr
    assert float(level[1]) <= MOST_EXPOSURE


def test_the_container_copies_and_starts_what_there_is() -> None:
    lines = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ").splitlines()
    steps = [line.split(None, 1) for line in lines if line and not line.startswith("#")]
    words = [step[0] for step in steps]
    assert words.count("FROM") == 2
    assert {"FROM", "COPY", "RUN", "USER", "CMD", "STOPSIGNAL", "HEALTHCHECK"} <= set(words)
    last = [step for step in steps if step[0] in ("CMD",)][-1][1]
    shell = json.loads(last)[-1]
    assert re.findall(r"trunkline (db upgrade|run)", shell) == ["db upgrade", "run"]
    (config,) = re.findall(r"TRUNKLINE_CONFIG=(\S+)", "\n".join(lines))
    user = next(step[1] for step in steps if step[0] == "USER")
    assert user != "root"
    locked = re.findall(r"/src/(\S+\.lock)", "\n".join(lines))
    assert all((ROOT / name).exists() for name in locked)
    compose: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    service = compose["services"]["trunkline"]
    mounts = [volume.split(":")[1] for volume in service["volumes"]]
    assert mounts == ["/var/lib/trunkline", config]
    assert service["volumes"][0].split(":")[0] in compose["volumes"]
    exposed = next(step[1] for step in steps if step[0] == "EXPOSE").split()
    assert [port.split(":")[-1] for port in service["ports"]] == exposed
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_the_proxy_asks_where_the_server_listens() -> None:
    text = (CONF / "nginx" / "trunkline.conf").read_text("utf-8")
    plain = re.sub(r"#.*", "", text)
    assert plain.count("{") == plain.count("}")
    assert set(re.findall(r"proxy_pass http://(\w+);", plain)) == set(re.findall(r"upstream (\w+) {", plain))
    assert f"server {unit(SOCKET)['Socket']['ListenStream']};" in plain
    for line in map(str.strip, plain.splitlines()):
        assert not line or line[-1] in "{};", line


def sbom() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sbom", ROOT / "packaging" / "sbom.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_bill_of_materials_has_every_locked_package_with_its_hashes() -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    bill = sbom().document(lock, "1.2.3")
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    pinned = re.findall(r"^([a-z0-9._-]+)==([^\s\\;]+)", lock, re.MULTILINE | re.IGNORECASE)
    assert [(item["name"], item["version"]) for item in bill["components"]] == pinned
    assert len(pinned) > 30
    assert sum(len(item["properties"]) for item in bill["components"]) == lock.count("--hash=sha256:")
    refs = {item["bom-ref"] for item in bill["components"]}
    assert len(refs) == len(pinned)
    assert set(bill["dependencies"][0]["dependsOn"]) == refs
    assert sbom().document(lock, "1.2.3") == bill, "the same each time"
