"""Frames in a lane: found after damage, never mistaken for others, and what is no event is told."""

from __future__ import annotations

import struct
from pathlib import Path
from zlib import crc32

from agentrace import events
from agentrace.journal import Damage, open_record, recover
from agentrace.journal.frames import EVENT, HEADER_SIZE, frame, scan
from tests.unit.journal_samples import OTHER, RUN, digest, event, journal, read, written

LANE = "1-18e9c1-abcd"


def scanned(data: bytes, lane: str = LANE) -> tuple[list[bytes], list[Damage]]:
    damage: list[Damage] = []
    return [body for *_, body in scan(data, lane, damage, file="x.lane", size=len(data))], damage


def test_the_layout_of_a_frame_is_the_documented_one() -> None:
    body = event(1)

    data = frame(LANE, EVENT, RUN, body)

    seed = crc32(RUN, crc32(b"\x01", crc32(LANE.encode())))
    assert data == struct.pack("<HBBII16s", 0xA7CE, 1, 1, len(body), crc32(body, seed), RUN) + body


def test_a_frame_of_another_lane_is_damage() -> None:
    data = frame(LANE, EVENT, RUN, event(1))

    assert scanned(data, "2-18e9c1-abcd") == ([], [Damage("x.lane", 0, len(data), "torn tail")])


def test_a_frame_inside_a_damaged_payload_is_not_read(tmp_path: Path) -> None:
    """An agent looks at another lane, and the payload that holds what it saw is damaged."""
    foreign = written(tmp_path / "foreign", [event(7, "not of this run")])
    (foreign_file,) = (tmp_path / "foreign").glob("journal/*/*.lane")
    seen = foreign_file.read_bytes()[:1000]
    foreign.close()
    made = written(tmp_path / "store", [event(1)], seal=False)
    writer = made.writer(RUN)
    writer.payload(digest(seen), seen)
    writer.event(event(2))
    made.forget()

    (path,) = (tmp_path / "store").glob("journal/*/*.lane")
    data = bytearray(path.read_bytes())
    data[data.index(seen) - 40] ^= 1
    path.write_bytes(data)

    record, found = read(tmp_path / "store")
    assert found == [event(1), event(2)]
    assert [(spot.what, spot.length) for spot in record.damage] == [("damaged frame", HEADER_SIZE + 32 + len(seen))]


def test_what_is_no_event_is_told_and_costs_nothing_else(tmp_path: Path) -> None:
    made = written(tmp_path, [event(1), b"\xc1 no msgpack", b"\x93\x01\x02\x03", event(0), event(2)], seal=False)
    made.forget()

    before, found = read(tmp_path)
    recover(tmp_path, tombstone=events.tombstone)
    after = open_record(tmp_path, RUN)

    assert found == list(after.events()) == [event(1), event(2)]
    assert [spot.what for spot in before.damage] == ["not an event"] * 3
    assert after.damage == before.damage


def test_damage_is_told_of_the_run_that_the_frame_names(tmp_path: Path) -> None:
    made = journal(tmp_path, seal=False)
    for run_id in (RUN, OTHER):
        made.writer(run_id).event(event(1, "a text that is changed in one run"))
        made.writer(run_id).event(event(2))
    made.forget()
    (path,) = tmp_path.glob("journal/*/*.lane")
    data = bytearray(path.read_bytes())
    data[data.rindex(b"changed")] ^= 1
    path.write_bytes(data)

    before = {run_id: open_record(tmp_path, run_id).damage for run_id in (RUN, OTHER)}
    recover(tmp_path, tombstone=events.tombstone)
    after = {run_id: open_record(tmp_path, run_id).damage for run_id in (RUN, OTHER)}

    assert before == after
    assert {run_id: [spot.what for spot in spots] for run_id, spots in after.items()} == {
        RUN: [],
        OTHER: ["damaged frame"],
    }


def test_the_same_event_twice_is_read_once(tmp_path: Path) -> None:
    written(tmp_path, [event(1), event(2), event(1), event(2)]).close()

    record, found = read(tmp_path)

    assert (found, record.damage) == ([event(1), event(2)], [])


def test_two_events_with_one_seq_are_told(tmp_path: Path) -> None:
    made = written(tmp_path, [event(1), event(2), event(1, "another")])

    before = open_record(tmp_path, RUN).damage
    made.close()

    record, found = read(tmp_path)
    assert found == [event(1), event(2)]
    assert [spot.what for spot in before] == ["another event with the same seq"]
    assert record.damage == before
