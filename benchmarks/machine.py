"""On what the figures were measured, and of which source."""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path

from blake3 import blake3
from msgspec import Struct

from benchmarks.children import ROOT


class Machine(Struct, frozen=True):
    """Where and when."""

    python: str
    system: str
    processor: str
    cores: int
    memory_gb: float
    date: str


def this_machine() -> Machine:
    """The machine that runs this."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(
        python=f"{platform.python_implementation()} {platform.python_version()}",
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        processor=_processor(),
        cores=os.cpu_count() or 0,
        memory_gb=round(pages / 2**30, 1),
        date=time.strftime("%Y-%m-%d"),
    )


def pace() -> float:
    """Milliseconds that a fixed loop takes, at best: how fast the machine is just now, whoever else uses it."""
    return min(_loop() for _ in range(5))


def _loop() -> float:
    start, total = time.perf_counter(), 0
    for number in range(200_000):
        total += number * number
    return (time.perf_counter() - start) * 1e3


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def source() -> str:
    """A digest of everything that was measured: our source, the benchmarks, the interpreter."""
    digest = blake3(sys.version.encode())
    for folder in ("src", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
