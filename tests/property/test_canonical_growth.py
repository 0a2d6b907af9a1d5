"""What is told by what was there before: conversations, request bodies and repeated texts read back as they were sent,
whatever was done to them in between, and secrets in none of them."""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from agentrace.canonical import Encoder, Reader
from agentrace.redact import redactor
from tests.property.canonical_models import Message, Note, Plain, Sprocket, same
from tests.property.test_canonical import Payloads, copied

SEEN = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
DEFAULT = redactor("default")


class Marked:
    """Takes out words that begin with SECRET, and what is called a password in JSON."""

    def text(self, s: str, /) -> _Text | None:
        """A text without its secrets."""
        found = re.sub(r"SECRET\w*", "⟨r⟩", s)
        return None if found == s else _Text(found)

    def data(self, b: bytes, /) -> _Data | None:
        """Bytes without their secrets."""
        found = re.sub(rb"SECRET\w*", b"<r>", b)
        found = re.sub(rb'("password": ")[^"]+', rb"\1<r>", found)
        return None if found == b else _Data(found)

    def field(self, name: str, /) -> str | None:
        """What stands for a field of this name."""
        return "⟨r⟩" if name == "password" else None

    def perhaps(self, name: str, /) -> bool:
        """Whether it depends on the value."""
        return False


class _Text(Struct, frozen=True):
    text: str


class _Data(Struct, frozen=True):
    data: bytes


def codec(redaction: Any = DEFAULT) -> tuple[Encoder, Reader, Payloads]:
    """An encoder, a reader of what it encodes, and what is between them."""
    payloads = Payloads()
    return Encoder(redaction, payloads), Reader(payloads.get_payload), payloads


# --- conversations ------------------------------------------------------------------------------------------

CONFUSABLE = st.sampled_from([1, 1.0, True, 0, 0.0, -0.0, False, "1", None, b"1", bytearray(b"1"), [1], (1,), {1: 1}])
"""What is equal, or has equal bytes, without being the same."""
MESSAGES = st.one_of(
    st.builds(
        lambda role, text, more: {"role": role, "content": text * 40, "more": more},
        st.sampled_from(["user", "assistant"]),
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
        CONFUSABLE,
    ),
    CONFUSABLE,
    st.builds(lambda text: f"{text}\ud800" * 50, st.text("ab", max_size=2)),
    st.builds(Message, content=st.text("ab", max_size=2)),
)

Conversation = list[Any]
Edit = Callable[[dict[str, Conversation], str, Any, int], None]


def _append(agents: dict[str, Conversation], agent: str, message: Any, _: int) -> None:
    agents[agent].append(message)


def _append_several(agents: dict[str, Conversation], agent: str, message: Any, at: int) -> None:
    agents[agent].extend([message] * (at % 5))


def _edit(agents: dict[str, Conversation], agent: str, message: Any, at: int) -> None:
    if agents[agent]:
        agents[agent][at % len(agents[agent])] = message


def _edit_within(agents: dict[str, Conversation], agent: str, message: Any, at: int) -> None:
    inside = [item for item in agents[agent] if isinstance(item, dict) and "more" in item]
    if inside:
        inside[at % len(inside)]["more"] = message


def _truncate(agents: dict[str, Conversation], agent: str, _: Any, at: int) -> None:
    del agents[agent][at % (len(agents[agent]) + 1) :]


def _forget_first(agents: dict[str, Conversation], agent: str, _: Any, __: int) -> None:
    del agents[agent][:1]


def _reverse(agents: dict[str, Conversation], agent: str, _: Any, __: int) -> None:
    agents[agent].reverse()


def _branch(agents: dict[str, Conversation], agent: str, message: Any, _: int) -> None:
    agents["b" if agent == "a" else "a"] = [*agents[agent], message]


EDITS: list[Edit] = [
    _append,
    _append,
    _append,
    _append_several,
    _edit,
    _edit_within,
    _truncate,
    _forget_first,
    _reverse,
    _branch,
]
SCRIPTS = st.lists(st.tuples(st.sampled_from(EDITS), st.sampled_from("ab"), MESSAGES, st.integers(0, 40)), max_size=30)


@SEEN
@given(st.lists(MESSAGES, max_size=12), SCRIPTS)
def test_conversations_read_back_as_they_were_at_each_turn(start: Conversation, script: list[Any]) -> None:
    encoder, reader, _ = codec()
    agents = {"a": list(start), "b": list(start)}
    turns: list[tuple[Any, Any]] = []

    for edit, agent, message, at in script:
        edit(agents, agent, copied(message), at)
        data, fidelity = encoder.encode({"messages": agents[agent]})
        assert fidelity == "exact"
        turns.append((data, copied(agents[agent])))

    for data, expected in turns:
        assert same(reader.python(data)["messages"], expected)


@SEEN
@given(st.lists(MESSAGES, max_size=12), SCRIPTS)
def test_requests_read_back_as_the_json_that_they_were(start: Conversation, script: list[Any]) -> None:
    encoder, reader, _ = codec()
    agents = {"a": list(start), "b": list(start)}
    turns: list[tuple[Any, Any]] = []

    for edit, agent, message, at in script:
        edit(agents, agent, copied(message), at)
        data, _ = encoder.encode_json({"messages": agents[agent]})
        turns.append((data, _as_json(copied(agents[agent]))))

    for data, expected in turns:
        assert same(_as_json(reader.python(data)["messages"]), expected)


def _as_json(value: Any) -> Any:
    """A tuple is a list on the wire."""
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    return value


@pytest.mark.parametrize("method", ["encode", "encode_json"])
def test_a_long_conversation_costs_what_is_new_in_it(method: str) -> None:
    encoder, reader, payloads = codec()
    messages: Conversation = []
    turns: list[tuple[Any, int]] = []

    for turn in range(150):
        messages.append({"role": "user", "content": f"turn {turn}: " + "x" * 400})
        turns.append((getattr(encoder, method)({"model": "m", "messages": messages})[0], len(messages)))

    assert all(reader.python(data)["messages"] == messages[:count] for data, count in turns)
    assert sum(map(len, payloads.values())) < 12 * len(json.dumps(messages))
    assert sum(map(len, payloads.values())) < sum(count * 400 for _, count in turns) / 8


def test_lists_that_only_look_alike_are_told_apart() -> None:
    encoder, reader, _ = codec()
    begin = [{"role": "user", "content": "y" * 400}] * 4
    ends: list[Any] = [b"1", bytearray(b"1"), memoryview(b"1"), (1,), [1], True, 1, 1.0, Plain(1), Note(1)]

    told = [encoder.encode([*begin, end]) for end in [*ends, *ends]]

    for end, (data, fidelity) in zip([*ends, *ends], told, strict=True):
        if isinstance(end, memoryview):
            assert fidelity == "opaque"
        else:
            assert fidelity == "exact"
            assert same(reader.python(data)[-1], end)


# --- request bodies -----------------------------------------------------------------------------------------

WORDS = st.sampled_from(
    ["lorem", "ipsum", '"', "\\", "é", "SECRETabc", "SECRET", "password", ": ", "\n", "", "x" * 300]
)
TEXTS = st.lists(WORDS, max_size=12).map(" ".join)
FIELDS = st.sampled_from(["content", "password", "note"])


def _body(agents: dict[str, Conversation], agent: str, tail: str) -> bytes:
    return json.dumps({"model": "m", "messages": agents[agent], "pad": "p" * 2100, "tail": tail}).encode()


@SEEN
@given(
    st.lists(st.builds(lambda k, v: {k: v * 3}, FIELDS, TEXTS), min_size=2, max_size=10),
    st.lists(
        st.tuples(
            st.sampled_from([_append, _append, _edit, _truncate, _forget_first, _branch]),
            st.sampled_from("ab"),
            st.builds(lambda k, v: {k: v}, FIELDS, TEXTS),
            st.integers(0, 40),
            TEXTS,
        ),
        max_size=20,
    ),
)
def test_bodies_read_back_as_they_were_sent_without_what_is_secret(start: Conversation, script: list[Any]) -> None:
    encoder, reader, payloads = codec(Marked())
    agents = {"a": list(start), "b": list(start)}
    turns: list[tuple[Any, bytes]] = []

    for edit, agent, message, at, tail in script:
        edit(agents, agent, message, at)
        sent = _body(agents, agent, tail)
        turns.append((encoder.body(sent), sent))

    assert not any(b"SECRET" in data for data in payloads.values())
    for data, sent in turns:
        found = Marked().data(sent)
        assert _alike(reader.python(data), sent if found is None else found.data)


def _alike(got: bytes, wanted: bytes) -> bool:
    """Equal, but for a value that keeps its mark after the field that made it secret was renamed."""
    if got == wanted:
        return True
    parts = [re.escape(part) for part in re.split(rb"<r>", got)]
    return re.fullmatch(rb'(?:<r>|[^"]*?)'.join(parts), wanted) is not None


def test_a_name_before_the_changed_part_of_a_body_makes_it_secret() -> None:
    encoder, reader, payloads = codec()
    pad = "lorem ipsum " * 300

    told = [
        encoder.body(json.dumps({"pad": pad, "password": value, "x": 1}).encode())
        for value in ("", "correct-horse-battery", "staple-9-staple")
    ]

    assert [json.loads(reader.python(data))["password"] for data in told] == [
        "",
        "⟨redacted:password-field⟩",
        "⟨redacted:password-field⟩",
    ]
    assert not any(b"horse" in data or b"staple" in data for data in payloads.values())


# --- losses -------------------------------------------------------------------------------------------------


class Losing(Payloads):
    """A place that loses what it is told to lose, and says so as the journal does."""

    encoder: Encoder
    lost = 0
    losing = False

    def payload(self, digest: bytes, data: bytes, /) -> None:
        """Keep it, or lose it."""
        if self.losing:
            self.lost += 1
            self.encoder.forget()
        else:
            super().payload(digest, data)


@SEEN
@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from(["list", "json", "text", "bytes", "body"]), st.integers(0, 3)),
        max_size=30,
    )
)
def test_what_is_lost_is_not_referred_to_afterwards(script: list[tuple[bool, str, int]]) -> None:
    payloads = Losing()
    encoder, reader = Encoder(DEFAULT, payloads), Reader(payloads.get_payload)
    payloads.encoder = encoder
    messages: Conversation = [{"content": "c" * 300}] * 5

    for losing, what, more in script:
        payloads.losing = losing
        messages.extend([{"content": f"{more}" * 200}] * more)
        before = payloads.lost
        sent = json.dumps([*messages, "b" * 2100]).encode()
        encode: dict[str, Callable[[], tuple[Any, Any]]] = {
            "list": lambda: (encoder.encode(messages)[0], list(messages)),
            "json": lambda: (encoder.encode_json(messages)[0], list(messages)),
            "text": lambda: (encoder.encode(["t" * (600 + more)])[0], ["t" * (600 + more)]),  # noqa: B023
            "bytes": lambda: (encoder.encode([b"t" * (600 + more)])[0], [b"t" * (600 + more)]),  # noqa: B023
            "body": lambda: (encoder.body(sent), sent),  # noqa: B023
        }
        data, expected = encode[what]()
        if payloads.lost == before:
            assert same(reader.python(data), expected)


# --- secrets ------------------------------------------------------------------------------------------------

SECRET = "SECRETzebra"
PLACES: dict[str, Callable[[str], Any]] = {
    "text": lambda s: f"see {s}",
    "long text": lambda s: "x" * 600 + s,
    "text that UTF-8 cannot say": lambda s: f"\ud800{s}",
    "key": lambda s: {s: 1},
    "key beside others": lambda s: {(1, s): 1, "a": 2},
    "bytes": lambda s: s.encode(),
    "long bytes": lambda s: b"x" * 600 + s.encode(),
    "bytearray": lambda s: bytearray(s.encode()),
    "path": lambda s: pathlib.PurePosixPath("/home", s),
    "subclass": lambda s: type("Token", (str,), {})(s),
    "named": lambda s: {"password": s},
    "named subclass": lambda s: {"password": type("Token", (str,), {})("zebra stripes")},
    "named bytearray": lambda s: {"password": bytearray(b"zebra stripes")},
    "named beside odd keys": lambda s: {None: 1, "password": "zebra stripes"},
    "object": lambda s: Plain(s),
    "private attribute": lambda s: Sprocket(1, s),
    "growing list": lambda s: [{"content": "c" * 400}] * 6 + [s],
    "set": lambda s: {s},
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("method", ["encode", "encode_json"])
def test_a_secret_is_nowhere_in_what_is_written(place: str, method: str) -> None:
    encoder, reader, payloads = codec(Marked())

    data, _ = getattr(encoder, method)({"value": [PLACES[place](SECRET)]})

    everything = b"".join([bytes(data), *payloads.values()])
    assert b"zebra" not in everything
    assert json.dumps(reader.json(data))


def test_a_field_that_perhaps_holds_a_secret_is_judged_by_its_value() -> None:
    encoder, reader, payloads = codec()
    issued = "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY"

    data, _ = encoder.encode({"token": issued, "auth": issued, "next": {"token": " Hello"}})

    assert reader.json(data) == {
        "token": "⟨redacted:token-field⟩",
        "auth": "⟨redacted:token-field⟩",
        "next": {"token": " Hello"},
    }
    assert issued.encode() not in bytes(data) + b"".join(payloads.values())
