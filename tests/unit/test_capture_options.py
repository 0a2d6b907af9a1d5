"""What a decorator is told of a function: arguments that do not count, and how an output is kept."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import pickle
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import agentrace
from agentrace import Codec, events
from agentrace.archive import redacting
from agentrace.errors import ConfigError
from agentrace.query import output_of
from agentrace.query.obstacles import replayable
from agentrace.redact import redactor
from agentrace.testing import MemoryRecorder, recorded
from tests.contract.recording import recording
from tests.unit.replays import exact, record_of, replayed


@pytest.fixture
def record() -> Iterator[MemoryRecorder]:
    with recorded() as memory:
        yield memory


class Client:
    """What cannot be encoded."""


# --- arguments that do not count ----------------------------------------------------------------------------


@agentrace.tool(ignore=["request_id", "client", "rest"])
def ask(question: str, client: Any = None, *rest: int, request_id: str = "") -> str:
    return question.upper()


@agentrace.retriever(ignore=["trace"])
async def search(query: str, **more: Any) -> str:
    return query


@agentrace.tool(ignore=["n"])
def count(kind: str, n: int) -> Iterator[str]:
    yield kind


class Shop:
    @agentrace.tool(ignore=["client"])
    def buy(self, item: str, client: Any) -> str:
        return item

    @agentrace.tool(ignore=["client"])
    @classmethod
    def open(cls, name: str, client: Any) -> str:
        return name

    sell = agentrace.tool(functools.partialmethod(buy.__wrapped__, client=1), ignore=["client"], name="sell")  # type: ignore[attr-defined]

    @agentrace.tool(ignore=["client"])
    @contextlib.contextmanager
    def lend(self, name: str, client: Any) -> Iterator[str]:
        yield name

    @agentrace.tool(ignore=["client"])
    @functools.singledispatchmethod
    def pack(self, item: object, client: Any) -> str:
        return "packed"


class Asked:
    def __call__(self, question: str, client: Any) -> str:
        return question


asked = agentrace.tool(Asked(), ignore=["client"], name="asked")
largest = agentrace.tool(max, ignore=["anything"], name="largest")


def program(number: int, client: Any) -> Callable[[], Any]:
    async def main() -> Any:
        told: list[Any] = [
            ask("a", client, number, request_id=str(number)),
            await search("q", trace=number, other=1),
            list(count("k", number)),
            Shop().buy("tea", client),
            Shop.open("s", client=client),
            Shop().sell("tea", client=client),
            Shop().pack("p", client),
            asked("b", client),
            largest(["a", "b"]),
        ]
        with Shop().lend("l", client) as lent:
            told.append(lent)
        return told

    return main


def test_what_is_ignored_makes_no_other_call_and_no_caveat() -> None:
    seen, record = record_of(program(1, Client()))

    again = replayed(record, program(2, {"another": "kind"}))

    assert (again.code, again.verdict, again.caveats, again.seen) == ("", "exact", [], seen)
    assert replayable(record, ()).caveats == []


def test_what_is_ignored_is_recorded_all_the_same(record: MemoryRecorder) -> None:
    ask("a", Client(), 5, request_id="r")
    ask("a")

    first, second = (step.dispatched for step in record.steps)
    given = record.json(first.input)
    assert (given["question"], given["*args"], given["request_id"]) == ("a", [5], "r")
    assert given["client"]["type"].endswith(":Client")
    assert (first.fidelity, second.fidelity) == ("exact", "exact")
    assert first.ignored == second.ignored == ["request_id", "client", "*args"]


def test_what_is_not_ignored_counts_and_is_the_only_thing_told() -> None:
    def call(question: str, number: str) -> Callable[[], Any]:
        return lambda: ask(question, request_id=number)

    _, record = record_of(call("a", "first"))
    again = replayed(record, call("b", "second"))

    assert again.code == "CALL_CHANGED"
    assert "[-a-][+b+]" in again.report
    assert "first" not in again.report
    assert "second" not in again.report


def test_an_opaque_argument_that_counts_is_still_a_caveat() -> None:
    @agentrace.tool(ignore=["number"])
    def use(client: Any, number: int) -> int:
        return 1

    _, record = record_of(lambda: use(Client(), 1))
    assert [caveat.partition(" of ")[0] for caveat in replayable(record, ()).caveats] == ["an argument"]


def test_a_name_that_is_no_parameter_is_told_where_it_is_written() -> None:
    def function(question: str) -> str:
        return question

    with pytest.raises(ConfigError, match=r"'queston'.*\n.*its parameters are: question") as raised:
        agentrace.tool(function, ignore=["queston"])  # type: ignore[call-overload]
    assert raised.value.slug == "ignore"
    with pytest.raises(ConfigError, match="is no list of names"):
        agentrace.tool(ignore="question")(function)
    with pytest.raises(ConfigError, match="parameters are: item, client"):
        agentrace.tool(ignore=["self_"])(Shop.buy)
    agentrace.tool(ignore=["anything"])(search)
    agentrace.tool(ignore=["anything"])(max)


# --- codecs -------------------------------------------------------------------------------------------------


class Picture:
    """An output that can only be described."""

    def __init__(self, pixels: bytes) -> None:
        self.pixels = pixels

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Picture) and other.pixels == self.pixels

    def __hash__(self) -> int:
        return hash(self.pixels)


def encode(picture: Picture) -> bytes:
    return picture.pixels


PICTURE = Codec("picture/1", encode, Picture)


@agentrace.tool(codec=PICTURE)
def paint(colour: str) -> Any:
    return Picture(colour.encode()) if colour else "no colour"


@agentrace.tool(codec=PICTURE)
async def paint_slowly(colour: str) -> Picture:
    return Picture(colour.encode())


@agentrace.tool(codec=PICTURE)
def film(frames: int) -> Iterator[Any]:
    for frame in range(frames):
        yield Picture(bytes([frame] * 700))
        yield frame
    return Picture(b"the end")


@agentrace.tool(codec=PICTURE)
async def live(frames: int) -> AsyncIterator[Picture]:
    for frame in range(frames):
        yield Picture(bytes([frame]))


@agentrace.tool(codec=PICTURE)
@contextlib.contextmanager
def framed() -> Iterator[Picture]:
    yield Picture(b"framed")


class Painter:
    def __call__(self) -> Picture:
        return Picture(b"called")


painter = agentrace.tool(Painter(), codec=PICTURE, name="painter")


async def pictures() -> Any:
    told: list[Any] = [paint("red"), paint(""), paint("x" * 10_000), await paint_slowly("blue"), painter()]
    frames = film(2)
    told += [next(frames), next(frames), *frames]
    told += [picture async for picture in live(2)]
    with framed() as picture:
        told.append(picture)
    return told


def test_outputs_of_every_shape_come_back_as_they_were() -> None:
    seen = exact(pictures)

    assert seen[0] == Picture(b"red")
    assert seen[-1] == Picture(b"framed")


def test_the_trace_tells_the_codec_and_reading_runs_nothing_of_it() -> None:
    _, record = record_of(pictures)

    assert replayable(record, ()).because == []
    steps = list(record.trace.steps.values())
    ends = [step.ended for step in steps if isinstance(step.ended, events.StepCompleted)]
    assert [(end.codec, end.fidelity) for end in ends[:3]] == [
        ("picture/1", "exact"),
        ("canonical/1", "exact"),
        ("picture/1", "exact"),
    ]
    assert output_of(record, steps[0]) == {"$codec": "picture/1", "value": {"$bytes": "red"}}
    assert output_of(record, steps[5])[-1] == {"return": {"$codec": "picture/1", "value": {"$bytes": "the end"}}}
    with pytest.raises(agentrace.AgentraceError, match="what the codec picture/1 of the recorded program gave"):
        record.values.python(ends[0].output)


def test_a_replay_needs_the_same_codec() -> None:
    seen, record = record_of(lambda: paint("red"))
    function = paint.__wrapped__  # type: ignore[attr-defined]

    def again(**options: Any) -> Any:
        return replayed(record, lambda: agentrace.tool(**options, name="paint")(function)("red"))

    assert again(codec=PICTURE).seen == seen
    for options, now in (({}, "has none"), ({"codec": Codec("picture/2", encode, Picture)}, "has picture/2")):
        found = again(**options)
        assert found.code == "CODEC_CHANGED"
        assert found.report == f"/paint#0: the record was kept with the codec picture/1; the function now {now}"
    failing = again(codec=Codec("picture/1", encode, int))
    assert failing.code == "OUTPUT_UNDECODABLE"
    assert "the codec picture/1 failed with ValueError: invalid literal" in failing.report


def failing(_: Any) -> bytes:
    raise LookupError("nothing there")


@pytest.mark.parametrize(
    ("encoding", "why"),
    [(failing, "failed with LookupError"), (lambda _: Client(), "gave a Client that cannot be kept either")],
    ids=["raises", "gives what cannot be kept"],
)
def test_a_codec_that_fails_is_told_and_costs_the_program_nothing(
    encoding: Callable[[Any], Any], why: str, capsys: pytest.CaptureFixture[str], record: MemoryRecorder
) -> None:
    codec = Codec(f"{why}/1", encoding, Picture)

    @agentrace.tool(codec=codec)
    def both() -> Iterator[Picture]:
        yield Picture(b"1")
        return Picture(b"2")

    assert list(both()) == [Picture(b"1")]
    agentrace.shutdown()

    ended = record.steps[0].ended
    assert isinstance(ended, events.StepCompleted)
    assert (ended.codec, ended.fidelity) == ("canonical/1", "opaque")
    assert record.json(ended.output)["reason"] == f"its codec {codec.name} {why}"
    (message,) = capsys.readouterr().err.splitlines()
    assert message == f"agentrace: the record only describes a Picture: its codec {codec.name} {why}"


def test_secrets_in_what_a_codec_gives_are_taken_out() -> None:
    secret = "sk-" + "a1B2" * 12

    @agentrace.tool(
        codec=Codec("settings/1", lambda picture: {"key": picture.pixels.decode(), "raw": picture.pixels}, str)
    )
    def settings() -> Picture:
        return Picture(f"use {secret}".encode())

    with recorded() as record:
        settings()
    assert secret.encode() not in record.everything()
    assert b"redacted:" in record.everything()

    with recorded(redact="off") as open_record:
        settings()
    assert secret.encode() in open_record.everything()


def test_an_export_takes_secrets_out_of_what_a_codec_gave() -> None:
    secret = "sk-" + "a1B2" * 12

    @agentrace.tool(codec=PICTURE)
    def picture(size: int) -> Picture:
        return Picture(f"use {secret} {'x' * size}".encode())

    with recording(redact="off") as made:
        picture(0)
        picture(600)
    record = made.record
    step = record.trace.steps[1]
    assert secret in str(output_of(record, step))

    changed = redacting(redactor("default"))(record._source)
    cleaned = b"".join(changed.event(event) + b"".join(changed._fresh.values()) for event in record._source.events())
    assert secret.encode() not in cleaned
    assert cleaned.count(b"picture/1") == 4  # of each output its value, and the event
    assert cleaned.count("⟨redacted:".encode()) == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: Codec("", bytes, bytes),
        lambda: Codec("canonical/1", bytes, bytes),
        lambda: Codec("a\nb", bytes, bytes),
        lambda: Codec(b"x", bytes, bytes),  # type: ignore[arg-type]
        lambda: Codec("x/1", None, bytes),  # type: ignore[arg-type]
        lambda: Codec("x/1", bytes, "decode"),  # type: ignore[arg-type]
        lambda: agentrace.tool(codec="json")(len),  # type: ignore[call-overload]
    ],
)
def test_what_is_no_codec_is_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(ConfigError):
        make()


def test_a_codec_travels_with_its_function(record: MemoryRecorder) -> None:
    travelled = pickle.loads(pickle.dumps(painter))

    assert travelled() == Picture(b"called")
    assert [step.ended.codec for step in record.steps if isinstance(step.ended, events.StepCompleted)] == ["picture/1"]
    assert asyncio.run(pictures())[0] == Picture(b"red")
