"""How an integration is declared: what to intercept, and what its requests and responses mean.

Pure data and pure functions: this part knows canonical values only and is used by readers and replay as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from msgspec import Struct


class Usage(Struct, frozen=True):
    """Tokens of one call in disjoint buckets."""

    input_fresh: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output_visible: int = 0
    reasoning: int = 0

    @property
    def input_tokens(self) -> int:
        """All input tokens."""
        return self.input_fresh + self.cache_read + self.cache_write

    @property
    def output_tokens(self) -> int:
        """All output tokens."""
        return self.output_visible + self.reasoning


class ToolCall(Struct, frozen=True):
    """A tool call that a model asked for."""

    id: str
    name: str
    arguments: Any
    """The arguments as JSON data, or their text if it is not JSON."""


class ToolResult(Struct, frozen=True):
    """The result of a tool call, as a later request tells it to the model."""

    id: str
    content: Any


class Facts(Struct, frozen=True):
    """What one call meant, read from the provider's own JSON."""

    model: str = ""
    """The model that served the call."""
    finish_reason: str = ""
    text: str = ""
    """The visible answer."""
    usage: Usage | None = None
    """``None`` when the response does not tell."""
    tool_calls: Sequence[ToolCall] = ()
    tool_results: Sequence[ToolResult] = ()
    """Results that the request carried."""


class Media(Struct, frozen=True):
    """What is in a message and is no text: that it is there, never its bytes."""

    kind: str
    """``image``, ``audio``, ``video``, ``file``, ``document``, or what the provider calls it."""
    mime: str = ""
    size: int = 0
    """Bytes of its content where that is in the message, else 0."""
    source: str = ""
    """Its URL, its id at the provider, or its name."""


class ServedCall(Struct, frozen=True):
    """A call of a tool that the provider ran itself, such as a search, and what it gave the model."""

    id: str
    name: str
    arguments: Any = None
    result: Any = None
    """As the provider tells it; ``None`` where it does not, or in another message than the call."""


class Message(Struct, frozen=True):
    """A message of a request, or an answer. Names are those of OpenTelemetry's GenAI conventions."""

    role: str
    """``system``, ``developer``, ``user``, ``assistant`` or ``tool``, as the provider names it."""
    text: str = ""
    """Everything in it that is visible text."""
    reasoning: str = ""
    """Thoughts before the answer, or the summary of them, where they are told."""
    tool_calls: Sequence[ToolCall] = ()
    tool_call_id: str = ""
    """The call that a message of a tool answers."""
    name: str = ""
    """Who says it, where there are several of a role."""
    failed: bool = False
    """Whether it tells that a tool failed."""
    refusal: str = ""
    """Why the model does not answer."""
    citations: Sequence[str] = ()
    """URLs, titles or files that the text refers to."""
    media: Sequence[Media] = ()
    served: Sequence[ServedCall] = ()


class Asked(Struct, frozen=True):
    """Where in a request its messages stand."""

    parts: Sequence[tuple[str, Sequence[Any]]] = ()
    """Lists of items in the order in which the model gets them, each as it is in the request, not a copy: that is how
    a reader knows again what it read before. Beside a list stands the role of items that do not tell theirs."""
    continues: str = ""
    """What comes before these messages and is kept by the provider, under this id; empty if nothing does."""


class Dialogue(Struct, frozen=True):
    """How the messages of a library's calls are read: pure functions, each of which is given no more than it reads.

    As with facts they may fail on a body that is other than its provider documents it, with ``AttributeError``,
    ``LookupError``, ``TypeError`` or ``ValueError``.
    """

    asked: Callable[[Any], Asked]
    """Request JSON; where its messages stand."""
    messages: Callable[[str, Any], Sequence[Message]]
    """The role beside a list and one of its items; the messages that the item is: results of tools may stand in the
    item of what is said next to them."""
    answer: Callable[[Sequence[Any]], Sequence[Message]]
    """The response's JSON as for facts; one message, or several where the model answered several times."""


FactsOf: TypeAlias = Callable[[Any, Sequence[Any]], Facts]
"""Request JSON, and the response JSON as a list: one body, or the events of a stream."""


OfferedIn: TypeAlias = Callable[[Any], Sequence[str]]
"""Request JSON; the names of the tools that it offers to the model and that the program runs if the model asks."""


def _no_tools(_: Any) -> Sequence[str]:
    return ()


class Request(Struct, frozen=True):
    """What a funnel call is about to ask."""

    kind: str
    operation: str
    input: Any
    json: bool = True


class Reader(Protocol):
    """Reads what a library's request funnel was called with."""

    def funnel(self, owner: Any, name: str) -> str:
        """The method of ``owner`` to intercept for the declared ``name``: in this version, who is given the request."""
        ...

    def request(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Request:
        """The request of ``funnel(client, *args, **kwargs)``."""
        ...

    def no_wait(self, owner: Any) -> Mapping[str, Callable[[Any], Any]]:
        """How methods of the client's class are replaced, by name, so that an answered retry does not sleep."""
        ...


class Sent(Struct, frozen=True):
    """A request as it went over a wire."""

    method: str
    path: str
    """Without the query."""
    query: str
    headers: Mapping[str, str]
    """By name in lower case."""
    content: bytes


class ReadBack(Struct, frozen=True):
    """The call that a client was making when it sent a request."""

    request: Request
    attempt: int
    """How many requests the client had made for the same call before; -1 where the request does not tell."""


class Sender(Protocol):
    """Knows a client's requests again where only the wire was recorded."""

    def read_back(self, sent: Sent) -> ReadBack | None:
        """The call behind a request, as the client's :class:`Reader` would have read it; ``None`` if it is not one of
        this client's, or the wire does not tell what was called."""
        ...

    def raised(self, status: int, body: bytes) -> tuple[str, str]:
        """Of a status that the client raises for: ``module:qualname`` of the exception, and its message."""
        ...


class Shape(Struct, frozen=True):
    """A request by which anybody may ask for what a library asks for, over any wire and from any host."""

    end: str
    """How the path of the URL ends, e.g. ``/things/made``. Without slashes it is the operation of the step."""
    fields: Mapping[str, tuple[type, ...]]
    """What the JSON that is posted holds: fields and their types, enough of them to tell it from other requests."""
    kind: str = "model"


class Integration(Struct, frozen=True):
    """One library whose calls are recorded."""

    name: str
    """File name, settings key, and ``integration`` of its steps."""
    requires: str
    """Distribution and supported versions, e.g. ``name>=3,<4``; read from metadata, nothing is imported to check."""
    targets: Sequence[str]
    """Request funnels as ``module:Class.method``, sync and async alike."""
    reader: Reader
    facts: FactsOf
    facts_version: str = "1"
    dialogue: Dialogue | None = None
    """``None`` where there are no messages in its calls."""
    offered: OfferedIn = _no_tools
    credentials: Mapping[str, str] = {}
    """Environment variables that a client insists on, with a value for replays, where nothing is sent."""
    sender: Sender | None = None
    """``None`` where its requests cannot be told from others."""
    shapes: Sequence[Shape] = ()
    """What its provider's calls look like where no library is known that makes them; the first that fits."""
    signed_in_by: Sequence[str] = ()
    """Variables that name another way to sign in: where one of them is set, a made-up key would take its place."""


class Wire(Struct, frozen=True):
    """One transport library whose exchanges are recorded."""

    name: str
    requires: str
    module: str
    """The module that, once imported, is handed to ``install``."""
    install: Callable[[Any], None]


class Jobs(Struct, frozen=True):
    """One library that runs jobs, each execution of which is a run."""

    name: str
    requires: str
    module: str
    """The module that, once imported, is handed to ``install``."""
    install: Callable[[Any], None]
