"""The house: what is shipped beside the code names what is there, and is as its readers want it."""

import configparser
import importlib
import importlib.util
import json
import pkgutil
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any, TypeGuard

import yaml

import edge.web
from edge.tap import EXIT_BAD_CONFIG
from edge.web.api import operator
from edge.web.program import Program
from edge.web.request import MAX_BODY_OCTETS
from edge.web.site import LARGE

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
    assert Path(service["ExecStart"].split()[0]).name in project["scripts"]
    assert "ExecStartPre" not in service, "systemd asks only the main process why it ended"
    assert service["RestartPreventExitStatus"] == str(EXIT_BAD_CONFIG)
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
    operators = [route.path for route in operator.routes()]
    for path in ("/livez", "/readyz", "/startupz", *operators):
        matching = [
            body
            for kind, pattern, body in re.findall(r"location (~ )?(\S+) {([^}]*)}", plain)
            if (re.search(pattern, path) if kind else pattern != "/" and path.startswith(pattern))
        ]
        assert len(matching) == 1, path
        assert re.search(r"allow 127\.0\.0\.1;\s+deny all;", matching[0]), f"the world may not ask {path}"
    for line in map(str.strip, plain.splitlines()):
        assert not line or line[-1] in "{};", line


def test_the_proxy_lets_through_what_the_server_takes() -> None:
    text = (CONF / "nginx" / "trunkline.conf").read_text("utf-8")
    (mib,) = re.findall(r"client_max_body_size ([0-9]+)m;", text)
    programs = [found for module in edge_modules() for found in vars(module).values() if is_program(found)]
    takes = [MAX_BODY_OCTETS, *LARGE.values(), *(program.max_body for program in programs)]
    assert len(set(takes)) >= 3, "the ordinary ones, an import of contacts, an MMS"
    assert int(mib) << 20 == max(takes)


def edge_modules() -> list[ModuleType]:
    """Everything of the web that can be imported."""
    found = pkgutil.walk_packages(edge.web.__path__, "edge.web.")
    return [importlib.import_module(module.name) for module in found]


def is_program(found: object) -> TypeGuard[type[Program]]:
    return isinstance(found, type) and issubclass(found, Program)


def test_an_image_has_no_configuration_of_whoever_builds_it() -> None:
    """`docker compose` mounts ./trunkline.toml; `COPY .` would put its passwords in a layer."""
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    compose: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    mounted = compose["services"]["trunkline"]["volumes"][1].split(":")[0]
    assert mounted.removeprefix("./") in ignored


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


STUB = """#!/bin/sh
echo "$(basename "$(dirname "$(dirname "$0")")") $(basename "$0") $*" >> {log}
"""
PYTHON = """#!/bin/sh
[ "$1 $2" = "-m venv" ] && mkdir "$3" && mkdir "$3/bin" || exit 1
for name in pip trunkline; do cp {stub} "$3/bin/$name"; done
"""
SUDO = """#!/bin/sh
[ "$1 $2 $3" = "-E -u trunkline" ] && shift 3 || shift 2
exec "$@"
"""
# As systemd with a socket: it is refused while the service runs, and a service that is stopped beside it
# comes back with the next request.
SYSTEMCTL = """#!/bin/sh
echo "systemctl $*" >> {log}
for unit in "$@"; do :; done
case "$unit" in trunkline*) ;; *) exit 0;; esac
case "$*" in
    "start trunkline.socket" | "enable --now trunkline.socket")
        if [ -e {state}/trunkline ]; then echo "the socket is refused: the service runs" >&2; exit 1; fi
        touch {state}/trunkline.socket;;
    "start trunkline" | "enable --now trunkline") touch {state}/trunkline;;
    "stop trunkline")
        if [ -e {state}/trunkline.socket ]; then echo "the socket starts it again" >&2; exit 1; fi
        rm {state}/trunkline;;
    "stop trunkline.socket") rm -f {state}/trunkline.socket;;
    *) exit 1;;
esac
"""


class Machine:
    """Where what the page of the installation says is typed; what it installs only notes what it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        bin_ = folder / "bin"
        bin_.mkdir()
        for place in ("opt", "etc/default", "etc/systemd/system", "var/lib/trunkline/var"):
            (folder / place).mkdir(parents=True)
        stub = STUB.format(log=self.log)
        stubs = dict.fromkeys(("apt-get", "useradd", "install", "chown", "stub"), stub)
        stubs |= {"python3": PYTHON.format(stub=bin_ / "stub"), "sudo": SUDO}
        (folder / "state").mkdir()
        stubs["systemctl"] = SYSTEMCTL.format(log=self.log, state=folder / "state")
        for name, script in stubs.items():
            (bin_ / name).write_text(script)
            (bin_ / name).chmod(0o755)
        (folder / "etc/default/trunkline").write_text("TRUNKLINE_CONFIG=x\n")
        for name in ("trunkline.db", "seal_key"):
            (folder / "var/lib/trunkline/var" / name).touch()

    def type(self, blocks: str) -> list[str]:
        """What the commands say that they were told; the first that fails ends it."""
        self.log.write_text("")
        there = re.sub(r"(?<![\w/])/(opt|etc|var)/", rf"{self.folder}/\1/", blocks)
        ended = subprocess.run(
            ["sh", "-eu", "-c", there],
            cwd=self.folder,
            env={"PATH": f"{self.folder / 'bin'}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return self.log.read_text().splitlines()

    @property
    def active(self) -> list[str]:
        """The units that are."""
        return sorted(unit.name for unit in (self.folder / "state").iterdir())

    @property
    def runs(self) -> str:
        """The folder that the link leads to."""
        return (self.folder / "opt" / "trunkline").readlink().name


def typed(heading: str) -> list[str]:
    """What a section of the page of the installation says to type, a piece for each block."""
    page = (ROOT / "docs" / "installation.md").read_text("utf-8")
    section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [
        "\n".join(line[4:] for line in block.splitlines())
        for block in re.findall(r"(?:^    .+\n(?:\n(?=    ))?)+", section, re.MULTILINE)
    ]


def test_installation_upgrade_and_rollback_work_as_typed(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    first, begin, environment, with_a_socket = typed("On Debian or the like")
    packages = next(line.split()[3:] for line in machine.type(first) if "apt-get install" in line)
    assert "sudo" in packages, "a minimal Debian has none"
    assert "sudo -u" in environment
    assert machine.runs == "trunkline-0.1.0"
    told = machine.type(begin)
    assert f"trunkline trunkline db upgrade -c {tmp_path}/etc/trunkline/trunkline.toml" in told
    assert machine.active == ["trunkline"]
    machine.type(with_a_socket)
    assert machine.active == ["trunkline", "trunkline.socket"]
    (upgrade,) = typed("Upgrade")
    told = [line for line in machine.type(upgrade) if " pip " not in line]
    assert machine.runs == "trunkline-0.2.0"
    before = f"{tmp_path}/var/lib/trunkline/before-0.2.0"
    unit_file = f"{tmp_path}/opt/trunkline/share/trunkline/conf/systemd/trunkline.service"
    ours = re.compile(r"^\S+ (?=systemctl|install)")
    assert [ours.sub("", line) for line in told] == [
        "trunkline-0.2.0 trunkline check-config",
        "systemctl stop trunkline.socket",
        "systemctl stop trunkline",
        f"trunkline trunkline db backup {before}.backup",
        "trunkline-0.2.0 trunkline db upgrade",
        f"install -m 644 {unit_file} {tmp_path}/etc/systemd/system/",
        "systemctl daemon-reload",
        "systemctl start trunkline.socket",
        "systemctl start trunkline",
        "trunkline trunkline ctl status",
    ]
    assert Path(f"{before}.seal_key").exists()
    link_only, with_the_store = typed("Rollback")
    machine.type(link_only)
    assert machine.runs == "trunkline-0.1.0"
    assert machine.active == ["trunkline", "trunkline.socket"]
    (tmp_path / "opt" / "trunkline").unlink()
    told = machine.type(with_the_store)
    assert machine.runs == "trunkline-0.1.0"
    assert f"trunkline-0.1.0 trunkline db restore {before}.backup" in told
    assert machine.active == ["trunkline", "trunkline.socket"]
    assert (tmp_path / "var/lib/trunkline/after-0.2.0/trunkline.db").exists()
