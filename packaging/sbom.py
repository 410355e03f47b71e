"""The bill of materials of a release: CycloneDX 1.5 in JSON, from requirements.lock.

    python packaging/sbom.py > build/trunkline.cdx.json

The lock names every package that is installed, with the hashes that pip checks, so nothing is looked up.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

ROOT = Path(__file__).resolve().parent.parent
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_VERSION = re.compile(r'^__version__ = "([^"]+)"', re.MULTILINE)


def components(lock: str) -> Iterator[dict[str, Any]]:
    """One for each pinned package."""
    for block in re.split(r"\n(?=\S)", lock):
        found = _PINNED.match(block)
        if found is None:
            continue
        name, version = found[1].lower().replace("_", "-"), found[2]
        purl = f"pkg:pypi/{name}@{version}"
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": version,
            "purl": purl,
            "properties": [
                {"name": "trunkline:sha256", "value": digest} for digest in sorted(_HASH.findall(block))
            ],
        }


def document(lock: str, version: str) -> dict[str, Any]:
    """The whole bill."""
    found = list(components(lock))
    own = f"pkg:pypi/trunkline@{version}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, own + lock)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": "trunkline",
                "version": version,
                "purl": own,
                "licenses": [{"license": {"id": "MIT"}}],
            }
        },
        "components": found,
        "dependencies": [{"ref": own, "dependsOn": [item["bom-ref"] for item in found]}],
    }


def main() -> None:
    """Write it to standard output."""
    version = _VERSION.search((ROOT / "edge" / "__init__.py").read_text("utf-8"))
    assert version is not None
    bill = document((ROOT / "requirements.lock").read_text("utf-8"), version[1])
    json.dump(bill, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
