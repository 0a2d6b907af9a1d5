"""A trace file made by a stranger: it costs next to nothing, writes nowhere, runs nothing, and is refused with a slug."""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import zstandard
from msgspec.msgpack import Ext, encode
from msgspec.structs import replace

from agentrace import events
from agentrace.archive import TraceFile, import_file
from agentrace.archive.layout import HEADER, MAGIC, MANIFEST, MEMBER, Manifest, Removed, member_head
from agentrace.archive.limits import EVENTS_FREELY, RAW_FREELY
from agentrace.canonical import tags
from agentrace.cli import execute
from agentrace.errors import AgentraceError
from agentrace.ids import uuid7
from agentrace.journal.segment import TRAILER, Progress, SegmentBytes, chain_start, chained
from agentrace.query import Runs
from agentrace.store import Store
from tests.unit.journal_samples import RUN as STRANGER
from tests.unit.test_journal_hostile import BOMB, HONEST, SIZE, events_chunk, packed, segment
from tests.unit.trace_files import assembled, content, file_of, member, sealed, shop, stranger, taken
from tests.unit.travel_run import travel

MOST_SECONDS = 1.0
MOST_BYTES = 200 << 20


def outcome(path: Path) -> str:
    """The slug with which reading everything ends; ``honest`` or ``whole`` if it does not end with an error."""
    try:
        return "honest" if content(path).honest else "whole"
    except AgentraceError as error:
        return error.slug


def cheaply(path: Path) -> str:
    """The same, held to a second of this process and to 200 MB."""
    tracemalloc.start()
    try:
        found = outcome(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    started = time.process_time()
    assert outcome(path) == found
    assert time.process_time() - started < MOST_SECONDS
    assert peak < MOST_BYTES
    return found


def of_events(bodies: list[bytes], pack: Callable[[bytes], bytes] = packed) -> tuple[bytes, int]:
    """An honest segment of one run with these events, however well they compress; and its raw bytes."""
    parts: list[bytes] = []
    made = SegmentBytes(
        parts.append, STRANGER, Progress(0, 0, chain_start(STRANGER)), pack=lambda raw, kind, count: (1, pack(raw))
    )
    for seq, body in enumerate(bodies, 1):
        made.event(body, seq)
    footer = made.finish([], 0)
    return b"".join(parts), sum(chunk.raw_size for chunk in footer.chunks)


def file_with(path: Path, bodies: list[bytes]) -> Path:
    """A file with one run that has these events, every digest and figure right."""
    made, raw = of_events(bodies)
    chain = chain_start(STRANGER)
    for body in bodies:
        chain = chained(chain, body)
    told = replace(member(STRANGER, made, events=len(bodies), raw=raw, last=len(bodies)), chain=chain)
    manifest = Manifest(1, events.FORMAT_VERSION, "canonical/1", ["zstd"], Removed(), [told])
    path.write_bytes(assembled(manifest, [made]))
    return path


# --- bombs --------------------------------------------------------------------------------------------------

HUGE = 256 << 20

BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "a frame that declares more than its chunk": (
        lambda: stranger(STRANGER, segment(events_chunk(BOMB, SIZE), BOMB), events=1, raw=SIZE, last=1),
        "honest",
    ),
    "a chunk that claims what is in the frame": (
        lambda: stranger(STRANGER, segment(events_chunk(BOMB, HUGE), BOMB), events=1, raw=HUGE, last=1),
        "trace-file-damaged",
    ),
    "a chunk that claims it, in a manifest that does not": (
        lambda: stranger(STRANGER, segment(events_chunk(BOMB, HUGE), BOMB), events=1, raw=SIZE, last=1),
        "honest",
    ),
    "a chunk just below what any size allows": (
        lambda: _zeros(RAW_FREELY),
        "honest",
    ),
    "a run said to have more events than bytes": (
        lambda: stranger(STRANGER, segment(events_chunk(HONEST, SIZE), HONEST), events=1 << 40, raw=SIZE, last=1),
        "trace-file-damaged",
    ),
    "figures that no machine can count": (
        lambda: stranger(STRANGER, segment(events_chunk(HONEST, SIZE), HONEST), events=1, raw=(1 << 64) - 1, last=1),
        "trace-file-damaged",
    ),
    "a manifest that claims a terabyte": (
        lambda: HEADER.pack(MAGIC, 1) + member_head(MANIFEST, 1 << 40, bytes(32)) + b"x",
        "trace-file-damaged",
    ),
    "a manifest nested without end": (
        lambda: sealed(b"\x81\xa6format" + b"\x91" * 100_000 + b"\x01", []),
        "trace-file-damaged",
    ),
    "an unknown field nested without end": (
        lambda: sealed(b"\x81\xa6unlike" + b"\x91" * 100_000 + b"\x01", []),
        "trace-file-damaged",
    ),
    "ten thousand and one runs": (
        lambda: assembled(
            Manifest(1, "0.1", "canonical/1", [], Removed(), [_empty(number) for number in range(10_001)]), []
        ),
        "trace-file-damaged",
    ),
}


def _zeros(size: int) -> bytes:
    raw = packed(bytes(size))
    return stranger(STRANGER, segment(events_chunk(raw, size), raw), events=1, raw=size, last=1)


def _empty(number: int) -> object:
    return member(uuid7(number, bytes(10)), b"", events=0, raw=0, last=0)


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_does_not_go_off(name: str, tmp_path: Path) -> None:
    make, expected = BOMBS[name]
    path = tmp_path / "x.agentrace"
    path.write_bytes(make())

    assert cheaply(path) == expected


def test_as_many_events_as_are_allowed_cost_little(tmp_path: Path) -> None:
    small = [encode([200, seq, 0, 0]) for seq in range(1, EVENTS_FREELY + 1)]

    allowed = file_with(tmp_path / "x.agentrace", small)
    assert allowed.stat().st_size < 100_000
    assert cheaply(allowed) == "whole"
    beyond = file_with(tmp_path / "y.agentrace", small + [encode([200, len(small) + n, 0, 0]) for n in range(1, 9000)])
    assert cheaply(beyond) == "trace-file-damaged"


def test_a_body_of_four_megabytes_of_empty_objects_costs_little(tmp_path: Path) -> None:
    body = b"[" + b"{}," * (1 << 20) + b"{}]"
    told = [
        events.StepDispatched(1, 1, 0, "model", "m", integration="openai"),
        events.ExchangeStarted(2, 1, 0, 1, "httpx", "POST", "https://example.org"),
        events.ExchangeAnswered(3, 1, 0, 1, 200, [("content-type", "application/json")]),
        events.StreamChunks(4, 1, 0, 1, 0, [events.Chunk(0, "bytes", msgspec.Raw(encode(body)))]),
        events.ExchangeEnded(5, 1, 0, 1, "exhausted"),
    ]

    path = file_with(tmp_path / "x.agentrace", [events.encode(event) for event in told])

    assert path.stat().st_size < 4_000
    assert cheaply(path) in ("whole", "honest")


@pytest.mark.parametrize("depth", [300, 5_000, 100_000])
def test_values_nested_without_end_are_said_to_be(depth: int, tmp_path: Path) -> None:
    values = [
        b"\x91" * depth + b"\x01",
        encode(b"[" * depth + b"]" * depth),
        _tagged(min(depth, 2_000)),
    ]
    told = [
        events.encode(events.StepDispatched(seq, seq, 0, "tool", "t", input=msgspec.Raw(value)))
        for seq, value in enumerate(values, 1)
    ]

    assert cheaply(file_with(tmp_path / "x.agentrace", told)) in ("whole", "honest", "corrupt-record")


def _tagged(depth: int) -> bytes:
    value = encode(1)
    for _ in range(depth):
        value = encode(Ext(tags.TUPLE, b"\x91" + value))
    return value


def test_a_history_that_leads_nowhere_three_thousand_times_ends(tmp_path: Path) -> None:
    """Every list names one that is not there, or itself."""
    digest = bytes(32)
    value = msgspec.Raw(encode(Ext(tags.PAYLOAD, encode((digest, "list", 1)))))
    told = [
        events.encode(events.StepDispatched(seq, seq, 0, "tool", "t", input=value, parent=seq - 1))
        for seq in range(1, 3_000)
    ]

    assert cheaply(file_with(tmp_path / "x.agentrace", told)) == "honest"


# --- versions and codecs ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "slug"),
    [
        ({"version": 2}, "trace-file-version"),
        ({"version": 0}, "trace-file-version"),
        ({"format": 2}, "trace-file-version"),
        ({"trace": "2.0"}, "trace-file-version"),
        ({"trace": "0.2"}, "trace-file-version"),
        ({"trace": ""}, "trace-file-version"),
        ({"codecs": ["stored", "brotli"]}, "trace-file-codec"),
        ({"values": "pickle"}, "trace-file-codec"),
    ],
)
def test_what_is_not_known_here_is_refused(change: dict[str, object], slug: str, tmp_path: Path) -> None:
    parts = taken(file_of(tmp_path, shop).read_bytes())
    path = tmp_path / "x.agentrace"
    path.write_bytes(parts.together(**change))  # type: ignore[arg-type]

    assert outcome(path) == slug


def test_a_codec_that_a_chunk_has_and_the_manifest_hides_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "x.agentrace"
    made = segment(events_chunk(HONEST, SIZE, codec=7), HONEST)
    path.write_bytes(stranger(STRANGER, made, events=1, raw=SIZE, last=1))

    assert cheaply(path) == "honest"


def test_a_newer_segment_in_a_known_file_is_not_guessed_at(tmp_path: Path) -> None:
    parts = taken(file_of(tmp_path, shop).read_bytes())
    parts.segments[0] = parts.segments[0][:8] + b"\x09\x00" + parts.segments[0][10:-1]
    path = tmp_path / "x.agentrace"
    path.write_bytes(parts.together())

    assert outcome(path) == "honest"
    assert content(path).events == {parts.manifest.runs[0].run_id: []}


# --- names, code, terminals ---------------------------------------------------------------------------------

EVIL = "../../../../tmp/owned\x1b]0;owned\x07\u202e"


def evil_file(tmp_path: Path) -> Path:
    """A file in which every name that could lead somewhere does."""
    said = msgspec.Raw(encode(Ext(tags.OBJECT, encode(["dataclass", f"{__name__}_never:Loaded", {"x": 1}, None]))))
    told = [
        events.WorkflowStarted(1, 0, 0, name=EVIL, argv=[EVIL], cwd="/etc", python=EVIL),
        events.StepDispatched(2, 1, 0, "tool", EVIL, input=said, call_site=EVIL, integration="../os"),
        events.StepFailed(3, 1, 0, "error", events.Failure(f"{__name__}_never:Error", EVIL, traceback=EVIL)),
        events.WorkflowCompleted(4, 0, 0),
    ]
    path = file_with(tmp_path / "x.agentrace", [events.encode(event) for event in told])
    parts = taken(path.read_bytes())
    (run,) = parts.manifest.runs
    path.write_bytes(parts.together(runs=[replace(run, name=EVIL, command=[EVIL])]))
    return path


def test_names_in_a_file_lead_nowhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "a" / "b"
    place.mkdir(parents=True)
    path = evil_file(place)
    loaded = set(sys.modules)

    import_file(TraceFile(path), Store(place / "store"))
    for arguments in (["ls"], ["show", "--io"], ["show", "--json", "--io"], ["show", "--events"], ["verify"]):
        reference = [arguments[0], str(path), *arguments[1:]]
        execute(reference)
        execute([*arguments, "--home", str(place / "store")])

    out, err = capsys.readouterr()
    assert not set("\x1b\x07\u202e") & set(out + err)
    made = {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*") if file.is_file()}
    segments = f"a/b/store/segments/{STRANGER.hex()}/000001.seg"
    assert {name for name in made if "/store/derived/" not in name} == {
        "a/b/x.agentrace",
        "a/b/store/.gitignore",
        "a/b/store/format",
        segments,
    }
    assert not {name for name in set(sys.modules) - loaded if "never" in name}


def test_the_runs_of_a_file_are_those_of_its_ids_only(tmp_path: Path) -> None:
    parts = taken(file_of(tmp_path, travel).read_bytes())
    first, second = parts.manifest.runs
    path = tmp_path / "x.agentrace"
    swapped = [replace(first, run_id=second.run_id), replace(second, run_id=first.run_id)]
    for runs in ([first, first], swapped, swapped[::-1], [replace(first, run_id=b"../..")]):
        segments = [parts.segments[0]] * len(runs)
        told = [replace(run, length=len(segments[0])) for run in runs]
        path.write_bytes(assembled(replace(parts.manifest, runs=told), segments))

        assert outcome(path) in ("trace-file-damaged", "honest")


def test_a_file_with_no_run_is_empty_and_not_wrong(tmp_path: Path) -> None:
    path = tmp_path / "x.agentrace"
    path.write_bytes(assembled(Manifest(1, "0.1", "canonical/1", [], Removed(), []), []))

    assert Runs(TraceFile(path)).ids == []
    assert execute(["ls", str(path)]) == 0
    assert execute(["show", str(path)]) == 2


def test_a_head_that_says_other_things_than_the_manifest_is_damage(tmp_path: Path) -> None:
    path = file_of(tmp_path, shop)
    data = path.read_bytes()
    at = HEADER.size
    _, _, length, _ = MEMBER.unpack_from(data, at)
    for offset in range(at + MEMBER.size + length, at + MEMBER.size + length + MEMBER.size):
        path.write_bytes(data[:offset] + bytes([data[offset] ^ 0x40]) + data[offset + 1 :])

        assert outcome(path) == "honest"


def test_zstandard_would_have_unpacked_the_bomb() -> None:
    """Why sizes are asked for first: the limit that is given does not count where a frame declares its size."""
    assert len(BOMB) < 20_000
    assert len(zstandard.ZstdDecompressor().decompress(BOMB, max_output_size=1000)) == HUGE


def test_bytes_that_no_chunk_covers_are_covered_by_the_run_s_digest(tmp_path: Path) -> None:
    parts = taken(file_of(tmp_path, shop).read_bytes())
    made = parts.segments[0]
    length, _, _ = TRAILER.unpack(made[-TRAILER.size :])
    footer = len(made) - TRAILER.size - length
    parts.segments[0] = made[:footer] + b"some more" + made[footer:]
    path = tmp_path / "x.agentrace"
    path.write_bytes(parts.together())
    assert outcome(path) == "whole"

    path.write_bytes(path.read_bytes().replace(b"some more", b"some less"))

    assert outcome(path) == "honest"


def test_a_bomb_in_a_file_that_says_it_is_cut_does_not_go_off(tmp_path: Path) -> None:
    """The manifest claims a length with which its figures would be true."""
    size = 4 * RAW_FREELY
    raw = packed(bytes(size))
    made = segment(events_chunk(raw, size), raw)
    told = replace(member(STRANGER, made, events=1, raw=size, last=1), length=1 << 20)
    whole = assembled(Manifest(1, "0.1", "canonical/1", ["zstd"], Removed(), [told]), [made])
    path = tmp_path / "x.agentrace"
    path.write_bytes(whole[: whole.index(raw) + len(raw)])

    assert cheaply(path) == "trace-file-damaged"
