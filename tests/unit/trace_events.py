"""What a file in the Trace Event Format has to keep so that Perfetto shows it as it is meant.

After the "Trace Event Format" document and Perfetto's notes on JSON traces, as far as we write it: complete events
(``X``), instants (``i``), counters (``C``), flows (``s``, ``f``) and metadata (``M``). Viewers nest slices of one thread by
their times alone, so two of them that overlap must be one inside the other.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

REQUIRED = {
    "X": {"name", "cat", "ph", "pid", "tid", "ts", "dur", "args"},
    "i": {"name", "cat", "ph", "pid", "tid", "ts", "s", "args"},
    "C": {"name", "ph", "pid", "tid", "ts", "args"},
    "M": {"name", "ph", "pid", "tid", "args"},
    "s": {"name", "cat", "ph", "pid", "tid", "ts", "id"},
    "f": {"name", "cat", "ph", "pid", "tid", "ts", "id", "bp"},
}


def events_of(data: bytes) -> list[dict[str, Any]]:
    """The events of a file."""
    found = json.loads(data, parse_constant=_no_constant)
    assert set(found) <= {"traceEvents", "displayTimeUnit", "otherData"}
    assert found["displayTimeUnit"] in ("ms", "ns")
    events: list[dict[str, Any]] = found["traceEvents"]
    return events


def _no_constant(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON")


def problems(events: list[dict[str, Any]]) -> list[str]:
    """Everything that a viewer would drop, or draw otherwise than it is."""
    return [*_fields(events), *_names(events), *_order(events), *_nesting(events), *_flows(events)]


def slices(events: list[dict[str, Any]]) -> dict[tuple[int, int], list[dict[str, Any]]]:
    """The slices of each thread, in the order of the file."""
    found: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            found[event["pid"], event["tid"]].append(event)
    return found


def _fields(events: list[dict[str, Any]]) -> Iterator[str]:
    for event in events:
        if set(event) != REQUIRED.get(event["ph"]):
            yield f"the fields of {event} are not those of its phase"
            continue
        numbers = [event[name] for name in ("pid", "tid", "ts", "dur") if name in event]
        if not all(type(number) is int and 0 <= number < 2**53 for number in numbers):
            yield f"{event} has a number that a double does not hold"
        if not (isinstance(event["name"], str) and event["name"]):
            yield f"{event} has no name"
        if event["ph"] == "C" and not all(type(value) is int for value in event["args"].values()):
            yield f"{event} counts what is no number"


def _names(events: list[dict[str, Any]]) -> Iterator[str]:
    named = {(event["name"], event["pid"], event["tid"]) for event in events if event["ph"] == "M"}
    owners: dict[int, int] = {}
    for event in events:
        pid, tid = event["pid"], event["tid"]
        if ("thread_name", pid, tid) not in named:
            yield f"thread {tid} of {pid} has no name"
        if ("process_name", pid, pid) not in named:
            yield f"process {pid} has no name"
        if owners.setdefault(tid, pid) != pid:
            yield f"thread {tid} is in two processes"


def _order(events: list[dict[str, Any]]) -> Iterator[str]:
    times: dict[tuple[int, int], int] = {}
    for event in events:
        if "ts" in event:
            place = event["pid"], event["tid"]
            if times.get(place, 0) > event["ts"]:
                yield f"{event} comes after a later one of its thread"
            times[place] = event["ts"]


def _nesting(events: list[dict[str, Any]]) -> Iterator[str]:
    for thread in slices(events).values():
        around: list[int] = []
        for event in thread:
            end = event["ts"] + event["dur"]
            while around and around[-1] <= event["ts"]:
                around.pop()
            if around and end > around[-1]:
                yield f"{event} ends after the slice around it"
            around.append(end)


def _flows(events: list[dict[str, Any]]) -> Iterator[str]:
    ends: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        if event["ph"] in "sf":
            ends[event["id"]].append(event)
    threads = slices(events)
    for number, pair in ends.items():
        if [event["ph"] for event in pair] != ["s", "f"] or pair[0]["name"] != pair[1]["name"]:
            yield f"flow {number} does not begin and end once"
        for event in pair:
            if not any(
                slice_["ts"] <= event["ts"] <= slice_["ts"] + slice_["dur"]
                for slice_ in threads[event["pid"], event["tid"]]
            ):
                yield f"flow {number} is on no slice"
