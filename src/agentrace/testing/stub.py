"""The stub provider as a command: ``python -m agentrace.testing.stub --print-url``."""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from agentrace.errors import ConfigError

from .provider import StubProvider


def main(arguments: list[str] | None = None) -> int:
    """Serves until SIGTERM or SIGINT. Returns 0, or 2 if the script or the port cannot be used."""
    options = _parser().parse_args(arguments)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        stub = _stub(options.script, options.seed)
        with stub.serve(port=options.port) as url:
            said = url if options.print_url else f"a stub provider answers on {url} until Ctrl-C"
            sys.stdout.write(f"{said}\n")
            sys.stdout.flush()
            stopped.wait()
    except (ConfigError, OSError) as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 2
    return 0


def _stub(script: str | None, seed: int | None) -> StubProvider:
    """The stub, which keeps no requests: nobody could look at them."""
    return StubProvider.from_file(script, seed=seed, keep=0) if script else StubProvider(seed=seed, keep=0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m agentrace.testing.stub", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="the port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--script", metavar="FILE.json", help="what to answer (docs/testing.md)")
    parser.add_argument("--seed", type=int, help="the same ids and texts for the same requests")
    parser.add_argument("--print-url", action="store_true", help="print the URL alone, on one line")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
