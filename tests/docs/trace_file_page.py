"""docs/trace-file.md: how the file is used, and its format byte by byte, with a real file taken apart."""

from __future__ import annotations

import ast
from collections.abc import Generator
from pathlib import Path

from agentrace.archive import layout, limits
from agentrace.archive.layout import END, HEADER, MEMBER
from agentrace.archive.writing import FIRST_EVENTS_RAW, LAST_EVENTS_RAW
from agentrace.journal.segment import CHUNK, CHUNK_SIZE, TRAILER
from agentrace.journal.segment import HEADER as SEGMENT_HEADER
from tests.docs.trace_page import _cell, _doc, documented
from tests.unit.example_trace import example

HEAD = """\
# The trace file

`NAME.agentrace` is one or more runs with all that they need, in one file: events, payloads, the exchanges with
providers, and a manifest that says what is in it and what was taken out. Hand it to a colleague, attach it to an
issue, keep it beside a test.

```console
$ printf 'import agentrace\\n@agentrace.tool\\ndef weather(city):\\n    return {{"celsius": 7}}\\n' > agent.py
$ echo 'print(weather("Oslo")["celsius"])' >> agent.py
$ agentrace run python agent.py
7
$ agentrace export @last -o oslo.agentrace
oslo.agentrace: 1 run, 5 events, 0 payloads, ...
removed: nothing
$ agentrace ls oslo.agentrace
...
$ agentrace show oslo.agentrace:1
tool weather  ok ...
...
$ agentrace replay oslo.agentrace -- python agent.py
7
agentrace: replay exact: 1 call answered from the record, no connection made ...
$ agentrace verify oslo.agentrace
ok ...
$ AGENTRACE_HOME=elsewhere agentrace import oslo.agentrace
1 run imported into ...
```

## Naming a run in a file

Every command that takes a RUN takes a file in its place. A reference names a file if it ends in `.agentrace`, or has
`@` or `:` behind that (a directory that is called `.agentrace` is a store).

| reference | means |
| --- | --- |
| `x.agentrace` | the run in it (for `verify` and `ls`: all of them); if there are several that no other one started, name one |
| `x.agentrace:7` | its step 7 |
| `x.agentrace@checkout`, `x.agentrace@01a1f910` | one of several, by its name or the beginning of its id |
| `x.agentrace@last`, `x.agentrace@last~2` | the newest of them; the second before it |
| `x.agentrace@last:7` | step 7 of that run |

## What is in it

The runs that were named and the runs of the processes that they started. Each has all its events and every payload
that these refer to; what nothing refers to is left out. A run that is still going on is
[refused](errors.md#run-going-on). Where a record has a hole or damage, an `EventsLost` stands for it in the file, and
the damage is told.

Secrets were taken out when the run was recorded. `--redact strict` takes out personal data as well (names of the rules
are in [redaction](redaction.md)); `--redact default` applies today's rules to a record that was made with older ones, or
with none. `--without-payloads` leaves what happened and when (steps, names, times, outcomes, status codes) and takes out
what was said: arguments, results, messages, request and response bodies and headers, the texts of errors. Model names
and tokens are read from bodies, so they are gone, too, and the run cannot be replayed. Both change events, so the run
has another chain head then; the one it had is kept in the manifest. Command line, working directory, file names and
line numbers of calls stay in both. `agentrace export` prints what it removed.

**The same runs make the same bytes**, on any machine, however often and however a store had cut them into segments: the
file says nothing of when or where it was made. What zstd makes of the same text may differ from one of its versions to
the next; the chain heads in the manifest do not.

**A file is only read.** Nothing is unpacked beside it and no index is kept of it. `agentrace import` copies its runs
into a store after it has checked every digest, all of them or none; runs that are there already, with the same
content, are left as they are, and [other content under the same id](errors.md#run-exists) is refused.

**A file that is cut off** (a broken download) is read as far as it goes, with a warning: whole runs, and of the run that
is cut as many of its chunks as are whole. A replay from it answers what is there and ends with `RECORD_INCOMPLETE` at
the first call that is not. The same holds where bytes in a run were changed. It cannot be imported. A file whose
manifest is damaged is [refused](errors.md#trace-file-damaged).

## A file from a stranger

A file is data and nothing else. No name in it is used as a path, no module is imported and no class is looked up but
those that your program has loaded itself, nothing is unpickled, and control characters are shown as escapes. Sizes are
compared with the file, and the size that a compressed frame declares with the one that its chunk promises, before
anything is decompressed. A file may hold:

| | at most |
| --- | --- |
| decompressed bytes of all chunks | {raw_freely} MiB and {raw_ratio} times the size of the file |
| events | {events_freely:,} and one for every {event_bytes} bytes of the file |
| runs | {runs:,} |
| manifest | {manifest} MiB |

What compresses better than that is stored as it is, so an honest file never reaches these limits. Versions and codecs
that are not known are refused ([version](errors.md#trace-file-version), [codec](errors.md#trace-file-codec)). Digests
tell that a file is as it was written; they do not tell by whom. Replaying a file runs *your* program, with the
answers that the file holds: treat these as you would treat a model's.

## The format

Version {format}. All integers are little-endian. Newer versions of agentrace read older files: golden files of every
version that was released are kept in `tests/golden/traces`, and the tests read them.

| part | bytes | content |
| --- | ---: | --- |
| header | {header} | magic `89 61 67 65 6e 74 72 61 63 65 0d 0a 1a 0a`, format u16 |
| manifest | {member} + length | a member, see below; its content is a msgpack map |
| runs | {member} + length each | members, in the order of their run ids; the content of each is a segment |
| end mark | {end} | magic `AGTREND` 0a, length of the whole file u64, blake3 of the manifest |

A **member** is a head of {member} bytes and its content. The head: magic (`MNFT` for the manifest, `RUN` and a space for
a run), zero u32, length of the content u64, blake3 of the content. Since the manifest repeats length and digest of every
run, its own digest stands for the whole file. A reader of a stream has the manifest before anything else; a reader of a
file knows from it where each run begins.

A **run** is a [segment](03-data-storage-and-retention.md#segments), byte for byte as a store keeps it: number 1, all
events from seq 1 on, the chain from its beginning, `sealed_at` the time of its last event. Importing it is copying it. A
chunk of events ends at {first_kib} KiB of raw bytes, the later ones at as many as stand before them, at most
{last_kib} KiB, and the payloads that it needs stand in front of it.

### Manifest

{manifest_fields}

{structs}

## A file taken apart

One run with one event, a note whose fields are a payload: {size} bytes. (`tests/unit/example_trace.py` makes it.)

```text
{dump}
```
"""


def trace_file_page() -> str:
    """The page, without its first line."""
    tree = ast.parse(Path(layout.__file__).read_text())
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    data = example()
    told = {
        "raw_freely": limits.RAW_FREELY >> 20,
        "raw_ratio": limits.RAW_RATIO,
        "events_freely": limits.EVENTS_FREELY,
        "event_bytes": limits.EVENT_BYTES,
        "runs": limits.RUNS_AT_MOST,
        "manifest": limits.MANIFEST_AT_MOST >> 20,
        "format": layout.FORMAT,
        "header": HEADER.size,
        "member": MEMBER.size,
        "end": END.size,
        "first_kib": FIRST_EVENTS_RAW >> 10,
        "last_kib": LAST_EVENTS_RAW >> 10,
        "manifest_fields": _fields(classes["Manifest"]),
        "structs": "\n\n".join(_section(classes[name]) for name in ("RunMember", "Environment", "Removed")),
        "size": f"{len(data):,}",
        "dump": "\n".join(_dump(data)),
    }
    return HEAD.format(**told)


def _section(node: ast.ClassDef) -> str:
    return f"### {node.name}\n\n{_doc(node)}\n\n{_fields(node)}"


def _fields(node: ast.ClassDef) -> str:
    rows = [
        f"| `{ast.unparse(field.target)}` | `{ast.unparse(field.annotation)}` | {_cell(told)} |"
        for field, told in documented(node)
    ]
    return "\n".join(["| field | type | meaning |", "| --- | --- | --- |", *rows])


# --- the dump -----------------------------------------------------------------------------------------------

_HEAD = ((4, "magic"), (4, "zero"), (8, "length of the content"), (32, "blake3 of the content"))
_CHUNK = (
    (4, "magic"),
    (1, "kind: 1 events, 2 payloads"),
    (1, "codec: 0 stored"),
    (2, "zero"),
    (4, "stored size"),
    (4, "raw size"),
    (8, "first seq"),
    (8, "last seq"),
    (4, "count"),
    (32, "digest"),
)


def _dump(data: bytes) -> Generator[str, None, None]:
    """Every byte of the file, with what it is."""
    (_, _, length, _) = MEMBER.unpack_from(data, HEADER.size)
    at = yield from _parts(data, 0, "header", ((14, "magic"), (2, "format")))
    at = yield from _parts(data, at, "manifest", _HEAD)
    at = yield from _parts(data, at, "", ((length, "msgpack"),))
    at = yield from _parts(data, at, "run", _HEAD)
    end = len(data) - END.size
    at = yield from _parts(
        data,
        at,
        "segment",
        ((8, "magic"), (2, "format"), (2, "zero"), (4, "number"), (SEGMENT_HEADER.size - 16, "run id")),
    )
    while data.startswith(b"CHNK", at):
        kind, size = data[at + 4], CHUNK.unpack_from(data, at)[4]
        at = yield from _parts(data, at, "chunk", _CHUNK)
        entry = ((4, "length"), (4, "span"), (size - 8, "event")) if kind == 1 else ((4, "length"), (size - 4, "data"))
        at = yield from _parts(data, at, "", entry)
    at = yield from _parts(data, at, "footer", ((end - TRAILER.size - at, "msgpack"),))
    at = yield from _parts(data, at, "trailer", ((8, "length of the footer"), (32, "its blake3"), (8, "magic")))
    at = yield from _parts(
        data, at, "end mark", ((8, "magic"), (8, "length of the file"), (32, "blake3 of the manifest"))
    )
    assert at == len(data)
    assert sum(size for size, _ in _CHUNK) == CHUNK_SIZE


def _parts(data: bytes, at: int, title: str, parts: tuple[tuple[int, str], ...]) -> Generator[str, None, int]:
    """Lines of sixteen bytes; the first of a part says what it is. Returns where the parts end."""
    if title:
        yield f"-- {title}"
    for size, what in parts:
        for start in range(at, at + size, 16):
            row = data[start : min(start + 16, at + size)]
            text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
            told = what if start == at else ""
            yield f"{start:04x}  {row.hex(' '):47}  {text:16}  {told}".rstrip()
        at += size
    return at
