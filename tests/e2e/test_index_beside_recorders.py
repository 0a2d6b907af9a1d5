"""Programs that record, readers in a loop and an indexer, all at once: no error, nothing missed, nobody starved."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

from tests.unit.indexes import made_anew, of_store

RECORDERS, READERS, SECONDS = (20, 5, 30) if os.environ.get("AGENTRACE_SOAK") else (6, 2, 5)
LONGEST_WAIT = 1.0 if os.environ.get("AGENTRACE_SOAK") else 2.0
"""Seconds that whoever indexes may wait for the others; in the suite, other tests run beside."""
COUNT = struct.Struct("<Q")

RECORDER = """
import os, struct, sys, time
import agentrace
home, acknowledged, slot, seconds = sys.argv[1], os.open(sys.argv[2], os.O_WRONLY), int(sys.argv[3]), float(sys.argv[4])
agentrace.init(home=home)

@agentrace.tool
def work(number: int) -> int:
    return number + 1

until, done = time.monotonic() + seconds, 0
with agentrace.run(f"recorder-{slot}"):
    while time.monotonic() < until:
        work(done)
        done += 1
        os.pwrite(acknowledged, struct.pack("<Q", done), slot * 8)
        time.sleep(0.03)
"""

READER = """
import json, os, pathlib, struct, sys, time
from agentrace.index import Watching, leases, opened
from agentrace.store import Store
home, acknowledged, seconds = pathlib.Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
waits, reads, missed = [], 0, []
take = leases._take
def timed(fd, kind, waiting):
    began = time.monotonic()
    take(fd, kind, waiting)
    waits.append(time.monotonic() - began)
leases._take = timed
until = time.monotonic() + seconds
while time.monotonic() < until:
    data = pathlib.Path(acknowledged).read_bytes()
    finished = [count for (count,) in struct.iter_unpack("<Q", data)]
    with opened(Store(home)) as session:
        assert session.stale is None
        seen = dict(session.connection.execute(
            "SELECT r.name, count(*) FILTER (s.status = 'ok') FROM runs r JOIN step_rows s USING (run_key) GROUP BY r.name"
        ).fetchall())
    reads += 1
    missed += [(slot, count, seen.get(f"recorder-{slot}", 0)) for slot, count in enumerate(finished)
               if seen.get(f"recorder-{slot}", 0) < count]
print(json.dumps({"reads": reads, "longest": max(waits), "missed": missed[:5]}))
"""


def test_recorders_readers_and_an_indexer_at_once(tmp_path: Path) -> None:
    home, acknowledged = tmp_path / "store", tmp_path / "acknowledged"
    acknowledged.write_bytes(COUNT.pack(0) * RECORDERS)
    common = [str(home), str(acknowledged)]
    recorders = [_started(RECORDER, *common, str(slot), str(SECONDS)) for slot in range(RECORDERS)]
    readers = [_started(READER, *common, str(SECONDS)) for _ in range(READERS + 1)]

    told = [json.loads(_said(reader)) for reader in readers]
    for recorder in recorders:
        _said(recorder)

    assert [one["missed"] for one in told] == [[]] * len(readers)
    assert min(one["reads"] for one in told) >= 3
    longest = max(one["longest"] for one in told)
    assert longest < LONGEST_WAIT
    assert of_store(home) == made_anew(home)


def _started(program: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _said(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=SECONDS * 10 + 60)
    assert (process.returncode, err) == (0, "")
    return out
