"""An export with redaction: the secrets of a stricter profile are taken out of a record that was written without it.

Values are walked in their encoded form, so that nothing of the recorded program is needed. Bodies that grew are told
anew, because what is kept of an earlier one is counted in its bytes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import msgspec
from blake3 import blake3
from msgspec import Raw
from msgspec.msgpack import Ext

from agentrace import events
from agentrace.archive.fields import Field, looked_at
from agentrace.archive.layout import Removed
from agentrace.canonical import Encoder, Reader, tags
from agentrace.canonical.decoding import MAX_NESTING
from agentrace.canonical.loading import Tagged, load
from agentrace.canonical.needs import Redaction, ReplacedBytes
from agentrace.errors import CorruptRecord
from agentrace.events import ArtifactStored, StreamChunks, UnknownEvent, WorkflowStarted
from agentrace.journal.frames import head
from agentrace.store import Record

_MARKED: Final = re.compile(r"(?:⟨|\\u27[eE]8)redacted:([a-z0-9-]+)")
_MARKED_BYTES: Final = re.compile(rb"(?:\xe2\x9f\xa8|\\u27[eE]8)redacted:([a-z0-9-]+)")
_CHUNKS: Final = StreamChunks.__struct_config__.tag

_encode = msgspec.msgpack.Encoder().encode


class StreamCleaning(Protocol):
    """Bytes that come in pieces."""

    def feed(self, chunk: bytes) -> bytes:
        """What can be let go."""
        ...

    def end(self) -> bytes:
        """What was withheld."""
        ...


class Cleaning(Redaction, Protocol):
    """What takes secrets out; ``redact.Redactor`` does."""

    profile: Any
    version: str

    def header(self, name: str, value: str) -> str:
        """A header's value."""
        ...

    def url(self, url: str) -> str:
        """A URL."""
        ...

    def argv(self, argv: list[str]) -> list[str]:
        """A command line."""
        ...

    def stream(self) -> StreamCleaning:
        """For a body that comes in pieces."""
        ...


class _Fresh(dict[bytes, bytes]):
    """Payloads that were made for the event that was changed last."""

    def payload(self, digest: bytes, data: bytes, /) -> None:
        """Keep one."""
        self[digest] = data


class _Counting:
    """The same cleaning for an encoder, which counts what it finds in bodies."""

    def __init__(self, cleaning: Cleaning, counted: Callable[[bytes, bytes], bytes]) -> None:
        self.text, self.field = cleaning.text, cleaning.field
        self.perhaps, self.member = cleaning.perhaps, cleaning.member
        self._data = cleaning.data
        self._counted = counted

    def data(self, b: bytes, /) -> ReplacedBytes | None:
        """The bytes without their secrets, or ``None`` if they have none."""
        found = self._data(b)
        if found is not None:
            self._counted(b, found.data)
        return found


def redacting(cleaning: Cleaning) -> Callable[[Record], Redacting]:
    """What an export asks for each run."""
    return lambda record: Redacting(record, cleaning)


class Redacting:
    """Takes the secrets out of one run."""

    def __init__(self, record: Record, cleaning: Cleaning) -> None:
        self._record = record
        self._cleaning = cleaning
        self._reader = Reader(record.payload)
        self._fresh = _Fresh()
        self._encoder = Encoder(_Counting(cleaning, self._counted_bytes), self._fresh)
        self._told: dict[tuple[bytes, str], Any] = {}
        self._found: Counter[str] = Counter()
        self._unknown = 0
        self._pieces = _pieces_of(record)
        self._streams: dict[tuple[int, int], StreamCleaning] = {}
        self.special: Mapping[Field, Callable[[Any], Any]] = {
            ("ExchangeStarted", "headers"): self._headers,
            ("ExchangeAnswered", "headers"): self._headers,
            ("ExchangeStarted", "url"): lambda url: self._counted(url, cleaning.url(url)),
            ("ExchangeStarted", "body"): self._body,
            ("WorkflowStarted", "argv"): self._argv,
        }

    def event(self, event: bytes) -> bytes:
        """The event without secrets."""
        self._fresh.clear()  # what the event before needed has been asked for
        found = events.decode(event)
        match found:
            case UnknownEvent():
                self._unknown += 1
                return events.tombstone(found.seq, found.seq, "export", found.ts)
            case StreamChunks() if found.exchange:
                return events.encode(self._piece(found))
            case WorkflowStarted():
                found = msgspec.structs.replace(found, redaction=self._profile)
            case ArtifactStored():
                found = self._artifact(found)
            case _:
                pass
        return events.encode(looked_at(found, self))

    def payload(self, digest: bytes) -> bytes:
        """What is stored under a digest, by the event that was changed last or by the record."""
        known = self._fresh.get(digest)
        return self._record.payload(digest) if known is None else known

    def removed(self) -> Removed:
        """What was found, by kind."""
        return Removed(self._profile, dict(sorted(self._found.items())), self._unknown)

    @property
    def _profile(self) -> str:
        return f"{self._cleaning.profile}/{self._cleaning.version}"

    # -- the texts of events -------------------------------------------------------------------------------------

    def text(self, _: Field, text: str) -> str:
        """A text without secrets."""
        found = self._cleaning.text(text)
        return text if found is None else self._counted(text, found.text)

    def value(self, _: Field, value: Raw) -> Raw:
        """A canonical value without secrets."""
        return Raw(_encode(self._tree(load(value), 0))) if bytes(value) else value

    def _counted(self, old: str, new: str) -> str:
        if new != old:
            self._found.update(_MARKED.findall(new))
            self._found.subtract(_MARKED.findall(old))
        return new

    def _counted_bytes(self, old: bytes, new: bytes) -> bytes:
        if new != old:
            self._found.update(kind.decode() for kind in _MARKED_BYTES.findall(new))
            self._found.subtract(kind.decode() for kind in _MARKED_BYTES.findall(old))
        return new

    def _headers(self, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return [(name, self._counted(value, self._cleaning.header(name, value))) for name, value in headers]

    def _argv(self, argv: list[str]) -> list[str]:
        return [self._counted(old, new) for old, new in zip(argv, self._cleaning.argv(argv), strict=True)]

    # -- bodies --------------------------------------------------------------------------------------------------

    def _body(self, body: Raw) -> Raw:
        whole = self._reader.python(body)
        if not isinstance(whole, bytes):
            return body
        return self._encoder.body(whole)

    def _piece(self, event: StreamChunks) -> StreamChunks:
        """Pieces of a body: a secret may be cut by their ends, so they are looked at as one."""
        key = (event.step_id, event.exchange)
        stream = self._streams.get(key) or self._streams.setdefault(key, self._cleaning.stream())
        chunks: list[events.Chunk] = []
        for chunk in event.chunks:
            old = self._reader.python(chunk.data)
            if not isinstance(old, bytes):
                raise CorruptRecord(f"a body of run {self._record.run_id.hex()} is not made of bytes")
            self._pieces[key] -= 1
            new = stream.feed(old) + (b"" if self._pieces[key] else stream.end())
            data = self._encoder.clean_bytes(self._counted_bytes(old, new))
            chunks.append(msgspec.structs.replace(chunk, data=data))
        return msgspec.structs.replace(event, chunks=chunks)

    def _artifact(self, event: ArtifactStored) -> ArtifactStored:
        try:
            old = self.payload(event.digest)
        except CorruptRecord:
            return event  # it is missing, and will be told as such
        clean = self._cleaning.data(old)
        if clean is None:
            return event
        new = self._counted_bytes(old, clean.data)
        digest = blake3(new).digest()
        self._fresh.payload(digest, new)
        return msgspec.structs.replace(event, digest=digest, size=len(new))

    # -- values --------------------------------------------------------------------------------------------------

    def _tree(self, value: Any, depth: int) -> Any:
        if depth > MAX_NESTING:
            raise CorruptRecord("a recorded value is nested too deep", do="do not trust this record")
        if isinstance(value, str):
            found = self._cleaning.text(value)
            return value if found is None else Ext(tags.REDACTED, _encode(self._counted(value, found.text)))
        if isinstance(value, bytes):
            clean = self._cleaning.data(value)
            if clean is None:
                return value
            return Ext(tags.REDACTED_BYTES, _encode(self._counted_bytes(value, clean.data)))
        if isinstance(value, list):
            return [self._tree(item, depth + 1) for item in value]
        if isinstance(value, dict):
            return {self._key(key): self._item(key, item, depth + 1) for key, item in value.items()}
        if isinstance(value, Tagged):
            return self._tagged(value, depth + 1)
        return value

    def _key(self, key: Any) -> Any:
        return self.text(("", ""), key) if isinstance(key, str) else key

    def _item(self, key: Any, item: Any, depth: int) -> Any:
        """The value of a field, whose name may tell that it is a secret."""
        if isinstance(key, str) and item:
            text = item if isinstance(item, (str, bytes)) else self._long_text(item)
            secret = None if text is None else self._secret(key, text)
            if secret is not None:
                return Ext(tags.REDACTED, _encode(self._counted("", secret)))
        return self._tree(item, depth)

    def _secret(self, key: str, text: str | bytes) -> str | None:
        secret = self._cleaning.field(key)
        if secret is None and isinstance(text, str) and self._cleaning.perhaps(key):
            found = self._cleaning.member(key, text)
            return None if found is None else found.text
        return secret

    def _long_text(self, item: Any) -> str | bytes | None:
        """The text or bytes that an item refers to; ``None`` if it is anything else."""
        if not isinstance(item, Tagged) or item.code != tags.PAYLOAD:
            return None
        digest, kind, _ = load(item.data)
        if kind not in ("str", "bytes"):
            return None
        try:
            data = self.payload(digest)
            return data.decode() if kind == "str" else data
        except (CorruptRecord, UnicodeDecodeError):
            return None

    def _tagged(self, value: Tagged, depth: int) -> Any:
        code, data = value.code, value.data
        if code == tags.PAYLOAD:
            return self._reference(data)
        if code == tags.REDACTED:
            return Ext(code, _encode(self.text(("", ""), load(data))))
        if code == tags.REDACTED_BYTES:
            old = load(data)
            clean = self._cleaning.data(old)
            return value_ext(value) if clean is None else Ext(code, _encode(self._counted_bytes(old, clean.data)))
        if code == tags.SURROGATES:
            text = data.decode("utf-8", "surrogatepass")
            return Ext(code, self.text(("", ""), text).encode("utf-8", "surrogatepass"))
        told = _NAMED.get(code)
        if told is None:
            return value_ext(value)
        items = load(data)
        if code == tags.OPAQUE:
            return Ext(code, _encode([*items[:1], *(self.text(("", ""), item) for item in items[1:])]))
        if code == tags.PAIRS:
            pairs = [[self._tree(key, depth), self._item(key, item, depth)] for key, item in items]
            return Ext(code, _encode(pairs))
        return Ext(code, _encode([*items[:told], *(self._tree(item, depth) for item in items[told:])]))

    def _reference(self, data: bytes) -> Any:
        digest, kind, _ = load(data)
        same = Ext(tags.PAYLOAD, data)
        told = self._told.get((digest, kind))
        if told is None:
            try:
                told = _RETOLD[kind](self, digest, same) if kind in _RETOLD else same
            except CorruptRecord:
                told = same  # it is missing, and will be told as such
            self._told[digest, kind] = told
        return told

    def _text_payload(self, digest: bytes, same: Ext) -> Ext:
        old = self.payload(digest).decode("utf-8", "replace")
        found = self._cleaning.text(old)
        if found is None:
            return same
        return self._store(_encode(Ext(tags.REDACTED, _encode(self._counted(old, found.text)))), "value")

    def _bytes_payload(self, digest: bytes, same: Ext) -> Ext:
        old = self.payload(digest)
        found = self._cleaning.data(old)
        if found is None:
            return same
        return self._store(_encode(Ext(tags.REDACTED_BYTES, _encode(self._counted_bytes(old, found.data)))), "value")

    def _value_payload(self, digest: bytes, _: Ext) -> Ext:
        return self._store(_encode(self._tree(load(self.payload(digest)), 0)), "value")

    def _list_payload(self, digest: bytes, _: Ext) -> Any:
        """A list that grew: its parents first, each told anew by the one before."""
        waiting: list[tuple[bytes, int, list[Any]]] = []
        current: bytes | None = digest
        while current is not None and (current, "list") not in self._told:
            node = load(self.payload(current))
            if not (isinstance(node, list) and len(node) == 3 and isinstance(node[2], list)):
                raise CorruptRecord("a list in the record is malformed", do="run `agentrace verify` on the run")
            waiting.append((current, node[1], node[2]))
            current = node[0]
        parent = None if current is None else _digest(Raw(_encode(self._told[current, "list"])))
        told: Any = None
        for name, kept, items in reversed(waiting):
            told = self._store(_encode((parent, kept, [self._tree(item, 0) for item in items])), "list")
            self._told[name, "list"] = told
            parent = _digest(Raw(_encode(told)))
        return told

    def _body_payload(self, digest: bytes, _: Ext) -> Any:
        return msgspec.msgpack.decode(self._encoder.body(self._reader.body(digest)))

    def _store(self, data: bytes, kind: str) -> Ext:
        digest = blake3(data).digest()
        self._fresh.payload(digest, data)
        return Ext(tags.PAYLOAD, _encode((digest, kind, len(data))))


_RETOLD: Final[dict[str, Callable[[Redacting, bytes, Ext], Any]]] = {
    "str": Redacting._text_payload,
    "bytes": Redacting._bytes_payload,
    "value": Redacting._value_payload,
    "list": Redacting._list_payload,
    "body": Redacting._body_payload,
}

_NAMED: Final = {
    tags.TUPLE: 0,
    tags.SET: 0,
    tags.FROZENSET: 0,
    tags.PAIRS: 0,
    tags.PATH: 1,
    tags.ENUM: 2,
    tags.OBJECT: 2,
    tags.OPAQUE: 1,
    tags.SUBCLASS: 1,
    tags.CODED: 1,
}
"""Kinds of values that hold others, and how many names stand before those."""


def value_ext(value: Tagged) -> Ext:
    """As it was."""
    return Ext(value.code, value.data)


def _digest(reference: Raw) -> bytes:
    found: bytes = load(load(reference).data)[0]
    return found


def _pieces_of(record: Record) -> Counter[tuple[int, int]]:
    """How many pieces each body has, by step and exchange."""
    pieces: Counter[tuple[int, int]] = Counter()
    for event in record.events():
        found = head(event)
        if found is not None and found.tag == _CHUNKS:
            chunks = events.decode(event)
            if isinstance(chunks, StreamChunks) and chunks.exchange:
                pieces[chunks.step_id, chunks.exchange] += len(chunks.chunks)
    return pieces
