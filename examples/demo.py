"""The whole story in one go: an agent is recorded, its trace is shown, and it is replayed with the provider gone.

python examples/demo.py
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

AGENT = Path(__file__).parent / "support_agent"
RUN = ["agentrace", "run", "--name", "support", "--tools", "tools:order_status", "--tools", "tools:return_window"]
RUN += ["--retrievers", "tools:search_handbook"]
PYTHON = ["python", "agent.py"]


def main() -> int:
    """Exit code 0 if every part did what it says."""
    with tempfile.TemporaryDirectory() as home:
        environ = {
            **os.environ,
            "AGENTRACE_HOME": str(Path(home) / "store"),
            "OPENAI_API_KEY": "sk-demo-0123456789abcdefghijklmnopqrstuvwxyz",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        }
        provider, url = start_provider()
        environ["OPENAI_BASE_URL"] = f"{url}/v1"
        try:
            step("1. An agent on the plain openai client, unmodified, is recorded", [*RUN, *PYTHON], environ)
        finally:
            stop(provider)
        step("2. Its trace, from the disk", ["agentrace", "show", "@last"], environ)
        replay = ["agentrace", "replay", "@last", "--", *PYTHON]
        step("3. The provider has stopped; the same program runs from the record", replay, environ)
        step("4. What is in the store", ["agentrace", "ls"], environ)
    return 0


def start_provider() -> tuple[subprocess.Popen[str], str]:
    """The stub provider as a process of its own, and its URL."""
    command = [sys.executable, "-m", "agentrace.testing.stub", "--script", str(AGENT / "provider.json"), "--print-url"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def stop(process: subprocess.Popen[str]) -> None:
    """Wait until it is gone, so that nothing answers on its port."""
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=10)


def step(title: str, command: list[str], environ: dict[str, str]) -> None:
    """Run one command of the story and let it speak for itself."""
    print(f"\n\033[1m{title}\033[0m" if sys.stdout.isatty() else f"\n{title}")
    print("$", " ".join(command), flush=True)
    program = shutil.which(command[0], path=environ["PATH"])
    assert program is not None, f"{command[0]} is not installed"
    done = subprocess.run([program, *command[1:]], cwd=AGENT, env=environ, check=False)
    if done.returncode:
        raise SystemExit(f"this ended with exit code {done.returncode}")


if __name__ == "__main__":
    raise SystemExit(main())
