"""The commands, where their answer cannot be written: in processes of their own, for that is how they end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-c", "from edge.entry import main; main()")


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["check-config"]], ids=" ".join)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_told_in_a_sentence(words: list[str], unbuffered: str, tmp_path: Path) -> None:
    config = tmp_path / "trunkline.toml"
    config.write_text('[[upstream]]\nname = "up"\nport = 1\nsystem_id = "x"\npassword = "x"\n')
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered, "TRUNKLINE_CONFIG": str(config)}
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [*COMMAND, *words], check=False, stdout=full, stderr=subprocess.PIPE, env=env, text=True
        )
    assert ended.stderr == "trunkline: The answer could not be written: No space left on device.\n"
    assert ended.returncode == 1
