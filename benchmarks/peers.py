"""``python -m benchmarks.peers``: ours beside other tracing libraries, in rounds that all of them take part in.

The comparison itself (workloads, loopback servers, one adapter for each peer) is a directory beside the repository,
``../shared/peer-bench``. It is copied into a cache, our adapter is added, each peer gets a virtual environment of its
own there, and what it measures is printed as one table.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.children import ROOT
from benchmarks.machine import this_machine
from benchmarks.peer_table import HEAD, NOTE, errors, results, table
from benchmarks.report import fill, markdown_table, place

COMPARISON: Final = ROOT.parent / "shared" / "peer-bench"
PEERS: Final = ("baseline", "otel", "langfuse", "langsmith", "ours")
WORKLOADS: Final = ("w1", "w1_async", "w2_0ms", "w2_20ms", "w2_stream", "w3", "w4_tight", "w5")
TOOLS: Final = ("zstandard",)
"""What the loopback servers import, besides the standard library."""
OURS: Final = ("openai", "--editable", str(ROOT))
_PACKAGES = re.compile(r'^\s*\[(\w+)\]="([^"]*)"', re.MULTILINE)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if the comparison ran, or cannot run here; 1 if ours failed in a workload."""
    options = _parser().parse_args(arguments)
    if not (options.comparison / "run.py").exists():
        print(f"skipped: the comparison is not there ({options.comparison})")
        return 0
    cache: Path = options.cache
    harness = _copied(options.comparison, cache / "harness")
    names = list(dict.fromkeys(["baseline", *options.peers.split(","), "ours"]))
    _make_environments(cache / "venvs", names, packages((harness / "setup.sh").read_text()))
    out = cache / "results.json"
    command = [sys.executable, "run.py", "-a", ",".join(names), "-w", options.workloads, "-r", str(options.rounds)]
    command += ["--w5-rounds", str(options.start_rounds), "-o", str(out)]
    command += [*(["--append"] if options.append else []), *(f"-p{each}" for each in options.param)]
    done = subprocess.run(command, cwd=harness, env={**os.environ, "VENVS": str(cache / "venvs")}, check=False)
    if done.returncode:
        return done.returncode
    runs, versions = results(out.read_bytes())
    where = f"{place(this_machine())}."
    text = "\n".join([where, "", *markdown_table(HEAD, table(runs)), "", NOTE, "", f"Versions: {versions}."])
    print(f"\n{text}")
    if options.write_docs:
        fill(ROOT / "docs" / "benchmarks.md", "peers", text)
    if options.json:
        options.json.write_bytes(msgspec.json.format(out.read_bytes()))
    wrong = errors(runs, "ours")
    print("".join(f"\nours failed in {each}" for each in wrong))
    return 1 if wrong else 0


def packages(setup: str) -> Mapping[str, str]:
    """What each peer installs, as the comparison's own ``setup.sh`` tells it."""
    return dict(_PACKAGES.findall(setup))


def _copied(comparison: Path, harness: Path) -> Path:
    """The comparison with our adapter in it; where it comes from is only read."""
    shutil.rmtree(harness, ignore_errors=True)
    shutil.copytree(comparison, harness, copy_function=shutil.copyfile)
    for directory in (harness, *(path for path in harness.rglob("*") if path.is_dir())):
        directory.chmod(0o755)
    shutil.copyfile(ROOT / "benchmarks" / "peer_adapter.py", harness / "adapters" / "ours.py")
    return harness


def _make_environments(venvs: Path, names: Sequence[str], known: Mapping[str, str]) -> None:
    """A virtual environment for each peer that has none yet, and one for the servers."""
    for name in names:
        extra = OURS if name == "ours" else ("openai", *known[name].split())
        _make_environment(venvs / name, extra)
    _make_environment(venvs / "_tools", TOOLS)


def _make_environment(venv: Path, requirements: Sequence[str]) -> None:
    done = venv / ".installed"
    told = "\n".join(requirements)
    if done.exists() and done.read_text() == told:
        return
    print(f"setting up {venv.name} ...", file=sys.stderr, flush=True)
    uv = shutil.which("uv")
    if uv is not None:
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(venv)], check=True)
        install = [uv, "pip", "install", "--quiet", "--python", str(venv / "bin" / "python")]
    else:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
        install = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, *requirements], check=True)
    done.write_text(told)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agentrace" / "peers"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument(
        "--peers", default=",".join(PEERS), help="names of adapters, with commas; baseline and ours always are"
    )
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="names of workloads, with commas")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--start-rounds", type=int, default=7, help="rounds of the import, which is quick")
    parser.add_argument("--param", action="append", default=[], metavar="N=VALUE", help="change a count, e.g. n=50")
    parser.add_argument("--append", action="store_true", help="add rounds to those that are there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/benchmarks.md")
    parser.add_argument("--comparison", type=Path, default=COMPARISON, metavar="DIRECTORY")
    parser.add_argument("--cache", type=Path, default=_cache(), metavar="DIRECTORY", help="copies and environments")
    return parser


if __name__ == "__main__":
    sys.exit(main())
