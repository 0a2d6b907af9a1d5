"""``make versions``: the contract over older versions of the client libraries, each set in an environment of its own.

The environments are made once and kept below ``.venv``; the newest versions are what the suite itself runs on.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tomllib
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]

SETS: dict[str, tuple[str, ...]] = {
    "oldest": ("openai==1.40.0", "anthropic==0.40.0", "httpx<0.28", "urllib3==1.26.0", "aiohttp==3.12.0"),
    "last-of-0-and-1": ("openai==1.109.1", "anthropic==0.125.0"),
    "one-major-back": ("openai==2.54.0", "anthropic==1.17.0"),
}
"""What is installed together. openai 1.40 needs an httpx that still takes ``proxies``."""

BESIDE = (
    *("httpx>=0.27", "httpx2>=2", "requests>=2.32", "urllib3>=1.26", "aiohttp>=3.12"),
    *("opentelemetry-sdk>=1.27", "pytest>=8.3", "pytest-asyncio"),
)
"""What the contract's own files need."""

SECONDS = 600


class NotInstallable(Exception):
    """An environment could not be made, as happens without a package index; the text says why."""


def environment(name: str) -> Path:
    """The interpreter of the environment of a set, which is made if it is not there. Raises `NotInstallable`."""
    wanted = [*SETS[name], *BESIDE, *_dependencies()]
    digest = hashlib.sha256("\n".join([sys.version, *wanted]).encode()).hexdigest()[:12]
    home = ROOT / ".venv" / "versions" / f"{name}-{digest}"
    python, made = home / "bin" / "python", home / "made"
    if made.exists():
        return python
    venv.create(home, clear=True, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "install", "--quiet"]
    try:
        done = subprocess.run([*pip, *wanted], capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as late:
        raise NotInstallable(f"pip took longer than {SECONDS} s") from late
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise NotInstallable((errors or [done.stderr.strip() or "pip is not there"])[-1])
    made.touch()
    return python


def _dependencies() -> list[str]:
    """What agentrace itself needs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [str(requirement) for requirement in project["dependencies"]]


def contract(python: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """The contract's scenarios, run by ``python`` on this source; ``arguments`` are pytest's."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHON"))}
    command = [str(python), "-m", "pytest", "-p", "no:cacheprovider", "-q", "tests/contract/test_scenarios.py"]
    return subprocess.run(
        [*command, *arguments],
        cwd=ROOT,
        env={**environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def main(arguments: list[str]) -> int:
    """Run the whole contract with every set; the number of sets with which it does not hold."""
    failed = 0
    for name, pins in SETS.items():
        sys.stdout.write(f"{name}: {', '.join(pins)}\n")
        sys.stdout.flush()
        try:
            done = contract(environment(name), arguments)
        except NotInstallable as why:
            failed += 1
            sys.stdout.write(f"could not be installed: {why}\n")
            continue
        failed += bool(done.returncode)
        sys.stdout.write(done.stdout if done.returncode else f"{done.stdout.splitlines()[-1]}\n")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
