"""`make bench`: every bench in a process of its own, its figures printed and kept in docs/performance.md.

    python -m tests.bench [NAME …] [--print]

A bench is a module of this package with a `main` that prints its figures; the page has a place for each,
between two comments. Those that are not run keep the figures that they have.
"""

import argparse
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "performance.md"
BENCHES = (
    "bench_smpp",
    "bench_session",
    "bench_text",
    "bench_store",
    "bench_big",
    "bench_callbacks",
    "bench_isolation",
    "bench_sip",
    "bench_sip_load",
    "load",
    "bench_programs",
    "bench_api",
)
PATIENCE_SECONDS = 1_200


class BenchFailed(Exception):
    """A bench did not end well; the text has its last words."""


def run(name: str) -> str:
    """What one bench printed; it is shown as it comes."""
    command = [sys.executable, "-m", f"tests.bench.{name}"]
    started = time.monotonic()
    bench = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert bench.stdout is not None
    lines = []
    with bench:
        for line in bench.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip())
            if time.monotonic() - started > PATIENCE_SECONDS:
                bench.kill()
    if bench.returncode:
        raise BenchFailed(f"{name} ended with {bench.returncode}")
    return "\n".join(lines)


def machine() -> str:
    """What the figures were made on."""
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, "
        f"CPython {platform.python_version()}, {time.strftime('%Y-%m-%d', time.gmtime())}"
    )


def filled(page: str, name: str, figures: str) -> str:
    """The page with these figures in the bench's place. Raises BenchFailed when it has none."""
    begin, end = f"<!-- bench: {name} -->", "<!-- /bench -->"
    place = re.compile(re.escape(begin) + r".*?" + re.escape(end), re.DOTALL)
    body = figures if figures.lstrip().startswith("|") else f"```text\n{figures}\n```"
    block = f"{begin}\n`make bench BENCH_ARGS={name}`: {machine()}\n\n{body}\n{end}"
    new, count = place.subn(lambda _: block, page)
    if count != 1:
        raise BenchFailed(f"docs/performance.md must have one place for {name}, not {count}")
    return new


def main() -> None:
    """Run what is named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="what this build can do")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    parser.add_argument("--print", action="store_true", help="leave docs/performance.md as it is")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(BENCHES)
    if unknown:
        parser.error(f"no bench {min(unknown)}: there are {', '.join(BENCHES)}")
    for name in arguments.names or BENCHES:
        print(f"\n# {name}", flush=True)
        figures = run(name)
        if not arguments.print:
            PAGE.write_text(filled(PAGE.read_text("utf-8"), name, figures), "utf-8")


if __name__ == "__main__":
    try:
        main()
    except BenchFailed as error:
        sys.exit(f"bench: {error}")
