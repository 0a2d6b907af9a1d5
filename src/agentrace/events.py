"""The vocabulary of the whole system: every fact that a trace can hold, as one closed union of frozen structs.

On disk an event is a msgpack array ``[tag, seq, step_id, ts, ...]`` in the order of the fields below; at the edges it
is JSON with its type's name under ``"type"``. The run an event belongs to is told by what frames it (a journal frame, a
segment, a trace file), so it is not repeated in each event. Fields are only ever appended, with defaults; a changed
meaning is a new type. An event whose tag this version does not know is kept as :class:`UnknownEvent`, never dropped.

``Value`` fields are canonical values (see ``agentrace.canonical``), kept in their encoded form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Final, TypeAlias

import msgspec
from msgspec import Raw, Struct

FORMAT_VERSION = "1.1"
"""Version of the trace format, stamped into every ``WorkflowStarted``. An addition makes it 1.2, a change 2.0."""
_BEFORE = "0.1"
"""The version of which all that was kept says the same in 1.0."""


def is_readable(version: str) -> bool:
    """Whether this agentrace reads a trace of that version; what later ones have added it keeps as it is."""
    return version == _BEFORE or version.partition(".")[0] == FORMAT_VERSION.partition(".")[0]


Value: TypeAlias = Raw
"""A canonical value in its msgpack encoding; empty when there is none."""

NO_VALUE: Value = Raw(b"\xc0")
"""The canonical value of ``None``."""

RUN_STEP = 0
"""The ``step_id`` of events that belong to the run itself."""

BOUNDARIES = frozenset({"model", "embedding", "tool", "retriever"})
"""Kinds of steps whose outcome comes from outside the program, so that a replay answers them."""


def answered_kind(kind: str, replay: str) -> bool:
    """Whether a replay answers a step of this kind and ``replay`` option."""
    return replay == "answer" or (not replay and kind in BOUNDARIES)


IMPORT: Final = "import"
"""The ``mode`` of runs that another recorder recorded."""


class Part(Struct, frozen=True, array_like=True):
    """A struct inside an event."""


class Origin(Part, frozen=True):
    """Where a run came from, if it is not a live one."""

    mode: str = "live"
    """``live``, ``replay`` or ``fork``; ``import`` where it was made from what another recorder kept of a wire: then
    nothing of it tells where in the program a call was made, when it ended, or how the program did."""
    source_run_id: bytes = b""
    """The run whose record was used (16 bytes), empty for a live run."""
    source_digest: bytes = b""
    """Chain head of the source at the start (32 bytes)."""
    fork_step: int = 0
    """Step of the source from which something was changed; 0 if nothing was."""
    overrides: Value = NO_VALUE
    """What was changed, as a canonical mapping."""

    @property
    def imported(self) -> bool:
        """Whether only requests and answers are known."""
        return self.mode == IMPORT


class Parent(Part, frozen=True):
    """The place in another run from which this one was started, or its job was sent."""

    run_id: bytes = b""
    """The parent run, 16 bytes; empty for a root run."""
    step_id: int = 0
    """The parent's step that was open; 0 for none."""
    flow: str = ""
    """Scope path of the spawn in the parent, ending in ``process:K`` for its K-th child, ``job:K`` for its K-th job."""

    @property
    def is_of_a_job(self) -> bool:
        """Whether a job was sent from there, rather than a process started."""
        return self.flow.rpartition("/")[2].startswith("job:")


class Failure(Part, frozen=True):
    """An exception, as far as it can be told without running its class."""

    type: str
    """``module:qualname`` of the exception's class."""
    message: str
    """``str(exception)``, redacted."""
    bases: list[str] = []
    """``module:qualname`` of the class's ancestors down to ``BaseException``, nearest first."""
    args: Value = NO_VALUE
    """``exception.args``."""
    fields: Value = NO_VALUE
    """The exception's public instance attributes."""
    notes: list[str] = []
    """``__notes__``."""
    traceback: str = ""
    """Formatted traceback, redacted."""
    causes: list[Failure] = []
    """The explicit or implicit cause, its cause, and so on; nearest first."""


class Chunk(Part, frozen=True):
    """One element of a stream."""

    at_ns: int
    """Monotonic nanoseconds since the step was dispatched."""
    op: str
    """``yield``, ``send``, ``throw`` or ``return`` for generators; ``bytes`` for an exchange's body."""
    data: Value
    """The element."""
    tick: int = 0
    """Iteration of the event loop in which a piece of a body came; 0 outside loops and for generators."""
    behind: int = 0
    """As in ``StepCompleted``."""
    random: int = 0
    """The same, for elements of generators."""


class Callback(Part, frozen=True):
    """A call by an event loop of a timer, or of what another thread gave it."""

    tick: int
    """The iteration of the loop."""
    ts: int
    """When, in wall-clock nanoseconds since 1970."""
    parent: int = 0
    """The step that encloses what made the timer, or gave the callback; 0 for none."""
    flow: str = ""
    """What made or gave it, as in ``StepDispatched``."""
    ordinal: int = 0
    """How many this flow made or gave before, under the same enclosing step."""
    posted: bool = False
    """Whether another thread gave it to the loop; else it is a timer."""


class Event(Struct, frozen=True, array_like=True, kw_only=False):
    """What every event begins with."""

    seq: int
    """Position in the run, from 1, without duplicates."""
    step_id: int
    """The step the event belongs to: its ordinal in the run in dispatch order, from 1; 0 for the run itself."""
    ts: int
    """Wall clock, Unix nanoseconds, UTC."""


class WorkflowStarted(Event, frozen=True, tag=1):
    """A run was opened."""

    format: str = FORMAT_VERSION
    """Version of the trace format."""
    name: str = ""
    """What the run is called, by its user or after its program."""
    workflow: str = ""
    """The workflow this is a run of, for grouping."""
    agent: str = ""
    """The agent that runs it, for grouping."""
    session_id: str = ""
    """The conversation that spans runs, if any."""
    tenant: str = ""
    """Tenant, for grouping and budgets."""
    workspace: str = ""
    """Workspace, for grouping and budgets."""
    project: str = ""
    """Project, for grouping and budgets."""
    operator: str = ""
    """Who or what triggered the run."""
    argv: list[str] = []
    """Command line, redacted."""
    cwd: str = ""
    """Working directory."""
    pid: int = 0
    """Process id of the writer."""
    python: str = ""
    """Python implementation and version."""
    platform: str = ""
    """Operating system, release and machine."""
    hash_seed: str = ""
    """``PYTHONHASHSEED`` of the process; empty if it was random and is unknown."""
    timezone: str = ""
    """Name of the local time zone."""
    sdk: str = ""
    """Version of agentrace."""
    redaction: str = ""
    """Redaction profile and the version of its rules."""
    durability: str = ""
    """``process`` (a killed process loses nothing), ``power`` (fsynced in batches) or ``buffered`` with the reason."""
    origin: Origin = Origin()
    """Live, or a replay or fork of another run."""
    parent: Parent = Parent()
    """The run that started this process or sent this job, if one did."""
    tags: list[str] = []
    """Free labels."""
    patched: list[str] = []
    """What ``--patch`` recorded at the program's own call sites: ``time``, ``uuid``, ``random``."""
    excluded: list[str] = []
    """Patterns of requests that the settings leave out of the record."""
    tools: list[str] = []
    """What the setting of this name held: which functions were recorded as tools without being decorated."""
    retrievers: list[str] = []
    """The same for retrievers."""
    sample_rate: float = 1.0
    """Of a root run: the share of root runs that were written, 0 to 1, when this was chosen. It stands for
    ``1 / sample_rate`` of them."""


class WorkflowDescribed(Event, frozen=True, tag=2):
    """What takes time to know about the run's surroundings; written from the background."""

    git_commit: str = ""
    """Commit of the working directory's repository."""
    git_dirty: bool | None = None
    """Whether tracked files differed from that commit; ``None`` when nobody looked (``modules`` tells more)."""
    modules: dict[str, str] = {}
    """blake3 (hex) of the source of each module of the user's program that was loaded."""
    libraries: dict[str, str] = {}
    """Versions of the integrated libraries that were loaded."""
    stdin_digest: str = ""
    """blake3 (hex) of standard input, if it was a regular file."""
    tools: list[str] = []
    """Functions that were recorded without being decorated, as ``module:qualname``; followed by `` as NAME`` where a
    request offers one under another name."""
    unsupported: list[str] = []
    """What was seen that is not recorded, each as one sentence."""
    left_out: dict[str, int] = {}
    """Requests that are not in the record, by host: those that the settings exclude, and reports that libraries send
    about the program."""
    missing_tools: dict[str, str] = {}
    """Tools that requests offered and that no function was found for, and why; with ``--tools auto``."""


class StepDispatched(Event, frozen=True, tag=3):
    """A step is about to run; written before the call."""

    kind: str
    """``model``, ``embedding``, ``tool``, ``retriever``, ``planner``, ``validator``, ``safety``, ``agent`` or
    ``task``."""
    name: str
    """What is called: a function's name, or the integration's name for the call."""
    operation: str = ""
    """What is asked of it, e.g. ``chat/completions`` or ``chat/completions:stream``."""
    parent: int = 0
    """The enclosing step; 0 for none."""
    flow: str = ""
    """Tasks and threads between the enclosing step and this one, as ``task:2/thread:0``; empty in the same flow.
    The numbers count creations within their parent, which is program order."""
    ordinal: int = 0
    """How many steps this flow dispatched before, under the same enclosing step."""
    shared: bool = False
    """True when the order was a matter of timing: the flow is used by several tasks or threads, or takes jobs from a
    queue as others do, or trio or gevent chose whose turn it was. Readers call it ``scope_quality``: ``shared``, else
    ``exact``."""
    thread: int = 0
    """Ordinal of the thread in its process, 0 for the first that dispatched a step."""
    task: int = 0
    """Ordinal of the task (of asyncio or trio) or greenlet (of gevent) in its process, from 1; 0 outside."""
    loop: int = 0
    """Ordinal of the event loop in its process, from 1; 0 outside loops."""
    input: Value = NO_VALUE
    """Arguments: ``{parameter: value}`` for a function, the request's JSON for a provider call."""
    fidelity: str = "exact"
    """``exact``, ``structural`` or ``opaque``: the worst in ``input``, but for what is ``ignored``."""
    integration: str = ""
    """What captured it: an integration's name, empty for decorators."""
    call_site: str = ""
    """``file:line function`` of the nearest caller outside libraries."""
    effects: str = ""
    """What a tool does to the world, if it says so: ``none``, ``read``, ``write``."""
    replay: str = ""
    """``answer`` if a replay answers the step from the record, ``reexecute`` if it runs it again."""
    tick: int = 0
    """Iteration of the event loop in which it was dispatched, counted as in ``StepCompleted``; a step that ended in the
    same one never passed control to the loop. 0 outside loops and where it is not known."""
    ignored: list[str] = []
    """Parameters in ``input`` whose values make it no other call: a request id, a client. From 1.1 on."""


class StepCompleted(Event, frozen=True, tag=4):
    """A step ended without an exception."""

    output: Value = NO_VALUE
    """What it returned; ``None`` for a stream and for a call whose exchanges are its output."""
    fidelity: str = "exact"
    """``exact``, ``structural``, ``opaque``, or ``exchange``: the output is made again from the recorded exchanges."""
    codec: str = "canonical/1"
    """How ``output`` is encoded: canonically, or, from 1.1 on, by the program's codec of this name, which gave what
    stands in a ``CODED`` value. Elements of a stream say so themselves."""
    outcome: str = "ok"
    """``ok``; for streams ``exhausted`` or ``closed_by_consumer``."""
    chunks: int = 0
    """Elements of the stream that were handed over."""
    duration_ns: int = 0
    """Monotonic time from dispatch to end."""
    first_chunk_ns: int = 0
    """Monotonic time from dispatch to the first element; 0 if there was none."""
    tick: int = 0
    """Iteration of the event loop in which it ended; steps that share loop and tick ended together. 0 outside loops."""
    exchanges: int = 0
    """Number of exchanges recorded under the step."""
    shape: str = ""
    """What a plain function gave its caller instead of a value: ``coroutine``, ``generator`` or ``async_generator``,
    and from 1.1 on ``contextmanager`` or ``asynccontextmanager``, which is what was recorded then; empty for a value,
    and for functions that say so themselves."""
    behind: int = 0
    """How many callbacks that were ready when the iteration began came after this in it, without those of calls that a
    replay answers. 0 outside loops, and where it is not known."""
    random: int = 0
    """Where the generator of the module ``random`` stood then: the first word of its state times 1024, plus how many
    words are used up. 0 for kinds that are executed again, and where it had not moved since this was told before."""


class StepFailed(Event, frozen=True, tag=5):
    """A step ended with an exception, or was cancelled."""

    outcome: str
    """``error`` or ``cancelled``."""
    failure: Failure
    """The exception."""
    source: str = ""
    """Of a cancellation: ``task`` (cancelled from outside), ``timeout``, ``generator`` (closed), ``process`` (exit)."""
    chunks: int = 0
    """Elements of the stream that were handed over before."""
    duration_ns: int = 0
    """Monotonic time from dispatch to end."""
    first_chunk_ns: int = 0
    """Monotonic time from dispatch to the first element; 0 if there was none."""
    tick: int = 0
    """As in ``StepCompleted``."""
    exchanges: int = 0
    """Number of exchanges recorded under the step."""
    shape: str = ""
    """As in ``StepCompleted``."""
    behind: int = 0
    """The same."""
    random: int = 0
    """The same."""


class StreamChunks(Event, frozen=True, tag=6):
    """Elements of a stream, written as they arrive: within milliseconds those of an exchange."""

    exchange: int
    """The exchange whose body this is, from 1; 0 for the elements of a generator."""
    first: int
    """Index of the first of these chunks in its stream."""
    chunks: list[Chunk]
    """The elements."""
    tick: int = 0
    """Iteration of the event loop in which the elements of a generator came; 0 outside loops and for bodies."""
    behind: int = 0
    """As in ``StepCompleted``."""


class TokensUpdated(Event, frozen=True, tag=7):
    """Usage of a model step in disjoint buckets."""

    input_fresh: int = 0
    """Input tokens that no cache had."""
    cache_read: int = 0
    """Input tokens read from the provider's cache."""
    cache_write: int = 0
    """Input tokens written to the provider's cache."""
    output_visible: int = 0
    """Output tokens that are part of the answer."""
    reasoning: int = 0
    """Output tokens spent on reasoning."""
    modalities: dict[str, int] = {}
    """Of these, tokens by ``direction.modality``, e.g. ``input.audio``."""
    model: str = ""
    """The model that served the call, as the provider names it."""
    source: str = ""
    """Where the numbers come from: an integration's name and facts version."""


class CostRecalculated(Event, frozen=True, tag=8):
    """The price of a step. A correction is a new event that reverses the old one."""

    amount_nano_usd: int = 0
    """Amount in 1e-9 US dollars."""
    price: Value = NO_VALUE
    """The price row that was used."""
    unpriced: str = ""
    """Why there is no price, if there is none."""
    reverses: int = 0
    """``seq`` of the event that this one takes back; 0 for none."""


class ApprovalRequested(Event, frozen=True, tag=9):
    """A step waits for a decision."""

    approval_id: str
    """Names the request; the decision has the same."""
    requested_by: str = ""
    """Who or what asks."""
    action: str = ""
    """What is to be allowed."""
    details: Value = NO_VALUE
    """What the one who decides is shown."""
    policy: str = ""
    """Policy and version that asked."""
    expires_ts: int = 0
    """Unix nanoseconds after which the request lapses; 0 for never."""


class ApprovalApplied(Event, frozen=True, tag=10):
    """A decision was made."""

    approval_id: str
    """The request that is decided."""
    decision: str
    """``approved``, ``denied`` or ``expired``."""
    decided_by: str = ""
    """Who decided; empty for a request that lapsed."""
    reason: str = ""
    """Why, in the words of the one who decided."""


class BudgetExceeded(Event, frozen=True, tag=11):
    """A budget reached a threshold or blocked a call."""

    budget: str
    """The budget's name."""
    scope: str
    """What the budget is for, e.g. ``tenant:acme``."""
    window: str = ""
    """The period, e.g. ``day``."""
    unit: str = "nano_usd"
    """What is counted: ``nano_usd`` (1e-9 US dollars), ``tokens`` or ``calls``."""
    limit: int = 0
    """How much the window allows, in units."""
    spent: int = 0
    """How much of it is spent."""
    reserved: int = 0
    """How much of it is held for calls that have not ended."""
    action: str = "threshold"
    """``threshold`` (told) or ``block`` (the call was not made)."""


class PolicyDecided(Event, frozen=True, tag=12):
    """A policy looked at a call."""

    decision: str
    """``allow``, ``deny``, ``require_approval``, ``redact`` or ``degrade``."""
    rule: str
    """The rule that decided."""
    version: str = ""
    """Version of the policy that the rule stands in."""
    reason: str = ""
    """What the rule says about why."""


class ExecutionAborted(Event, frozen=True, tag=13):
    """The run was stopped from outside its own logic."""

    by: str
    """``budget``, ``policy``, ``operator``, ``signal``, ``client`` where the one who asked has left, ``server`` where
    it cancelled a request, ``process`` where it ended first."""
    code: str
    """Reason code, e.g. ``SIGTERM``."""
    reason: str = ""
    """The same for a person."""


class ValueRecorded(Event, frozen=True, tag=14):
    """A value that the next run would not see again."""

    source: str
    """``now``, ``uuid4``, ``random``, ``getenv`` or ``input``."""
    value: Value
    """What the program got."""
    parent: int = 0
    """The enclosing step; 0 for none."""
    flow: str = ""
    """As in ``StepDispatched``."""
    ordinal: int = 0
    """How many values this flow recorded before, under the same enclosing step."""
    label: str = ""
    """What was asked for, e.g. the name of the variable."""
    loop: int = 0
    """As in ``StepDispatched``."""
    tick: int = 0
    """The same."""


class ArtifactStored(Event, frozen=True, tag=15):
    """A payload was stored once under its content hash."""

    digest: bytes
    """blake3 of the stored bytes, 32 bytes."""
    size: int
    """Bytes stored."""
    mime: str = ""
    """Media type, if it is known."""
    name: str = ""
    """What the program calls it."""
    redactions: dict[str, int] = {}
    """What was replaced in it, by kind."""


class ArtifactFailed(Event, frozen=True, tag=16):
    """A payload that could not be kept."""

    reason: str
    """Why it could not be kept."""
    size: int = 0
    """Its bytes, as far as they are known."""
    mime: str = ""
    """As in ``ArtifactStored``."""
    name: str = ""
    """As in ``ArtifactStored``."""


class Logged(Event, frozen=True, tag=17):
    """A note attached to a step."""

    message: str
    """The text, redacted."""
    level: str = "info"
    """``debug``, ``info``, ``warning`` or ``error``."""
    fields: Value = NO_VALUE
    """What was given beside the text, as a canonical mapping."""
    logger: str = ""
    """The logger that it came through; ``<stdout>`` or ``<stderr>`` for what was printed; empty for
    ``agentrace.log``."""


class Scored(Event, frozen=True, tag=18):
    """A score attached to a step or run."""

    name: str
    """What is scored, e.g. ``helpfulness``."""
    value: float
    """The score; its scale is up to whoever gives it."""
    comment: str = ""
    """Why."""
    source: str = ""
    """Who or what gave it."""


class ReplayDiverged(Event, frozen=True, tag=19):
    """On a replay: the program did something that the record does not hold."""

    code: str
    """A divergence code, e.g. ``CALL_CHANGED``."""
    expected_step: int = 0
    """Step of the source that was next; 0 for none."""
    expected: Value = NO_VALUE
    """The arguments that the record holds."""
    observed: Value = NO_VALUE
    """The arguments that the program gave."""
    report: str = ""
    """What happened, for a person: what was expected, what was observed, where they differ."""


class EventsLost(Event, frozen=True, tag=20):
    """A hole: the events from ``seq`` up to and including ``to`` are not in the record."""

    to: int
    """Last lost position."""
    reason: str
    """``crash``, ``disk``, ``damage``, or ``fault``: agentrace could not tell what happened."""


class WorkflowCompleted(Event, frozen=True, tag=21):
    """The program ended by itself."""

    exit_code: int = 0
    """The process's; 0 here."""
    duration_ns: int = 0
    """Monotonic time from the start."""
    steps: int = 0
    """Steps dispatched."""
    lost: int = 0
    """Events that could not be kept."""
    faults: int = 0
    """Faults of agentrace itself that its guard caught."""
    health: list[str] = []
    """Health flags, e.g. ``privacy_risk``."""
    replay: str = ""
    """On a replay: ``exact``, ``exact_with_caveats`` or ``diverged``."""
    caveats: list[str] = []
    """On a replay: what keeps it from being exact."""


class WorkflowFailed(Event, frozen=True, tag=22):
    """The program ended with an exception, a signal or a non-zero exit code."""

    exit_code: int = 1
    """The process's: of ``sys.exit``, 1 for an exception, 128 and the number for a signal."""
    failure: Failure | None = None
    """The exception, if one ended the program."""
    duration_ns: int = 0
    """As in ``WorkflowCompleted``."""
    steps: int = 0
    """As in ``WorkflowCompleted``."""
    lost: int = 0
    """As in ``WorkflowCompleted``."""
    faults: int = 0
    """As in ``WorkflowCompleted``."""
    health: list[str] = []
    """As in ``WorkflowCompleted``."""
    replay: str = ""
    """As in ``WorkflowCompleted``."""
    caveats: list[str] = []
    """As in ``WorkflowCompleted``."""


class ExchangeStarted(Event, frozen=True, tag=23):
    """A request is about to go over a wire, under its step."""

    exchange: int
    """Ordinal in its step, from 1; retries are exchanges of their own."""
    wire: str
    """The transport that was intercepted, by its integration's name."""
    method: str
    """HTTP method."""
    url: str
    """Redacted."""
    headers: list[tuple[str, str]] = []
    """As sent, in order, redacted."""
    body: Value = NO_VALUE
    """The body: bytes, or how it derives from the body of an earlier exchange (see ``agentrace.canonical.bodies``)."""


class ExchangeAnswered(Event, frozen=True, tag=24):
    """The head of a response came."""

    exchange: int
    """As in ``ExchangeStarted``."""
    status: int
    """HTTP status."""
    headers: list[tuple[str, str]] = []
    """As received, in order, redacted."""
    http_version: str = ""
    """E.g. ``HTTP/1.1``."""
    reason: str = ""
    """What the status line says after the status."""
    at_ns: int = 0
    """Monotonic nanoseconds since the step was dispatched."""
    encoding: str = ""
    """The content encoding that was taken off the recorded body chunks, so that they could be redacted."""
    tick: int = 0
    """Iteration of the event loop in which it came; 0 outside loops."""
    behind: int = 0
    """As in ``StepCompleted``."""


class ExchangeEnded(Event, frozen=True, tag=25):
    """Nothing more comes from this exchange."""

    exchange: int
    """As in ``ExchangeStarted``."""
    outcome: str
    """``exhausted``, ``closed_by_consumer`` or ``error``."""
    failure: Failure | None = None
    """How the transport failed, if it did."""
    at_ns: int = 0
    """Monotonic nanoseconds since the step was dispatched."""
    size: int = 0
    """Bytes of body received."""
    tick: int = 0
    """Iteration of the event loop in which it ended; 0 outside loops."""
    behind: int = 0
    """As in ``StepCompleted``."""


class CallbacksRun(Event, frozen=True, tag=27):
    """What an event loop called that came from outside its own callbacks: timers of the program, such as sleeps and
    timeouts, and what other threads gave it, such as the results of their jobs. Those of libraries at work on a model,
    tool or retriever call are not among them, and of more than 10,000 between two steps the rest. Written at the loop's
    next step, after each hundred of them, and when the loop is closed."""

    loop: int
    """Ordinal of the event loop, as in ``StepDispatched``."""
    callbacks: list[Callback]
    """Those since the loop told the last ones, in the order in which they were called."""
    over: bool = False
    """Whether the loop was closed: it called no others."""


class UnknownEvent(Struct, frozen=True):
    """An event of a type that this version does not know, kept whole."""

    tag: int
    seq: int
    step_id: int
    ts: int
    data: bytes
    """The event as it was stored."""


class _Head(Struct, frozen=True, array_like=True):
    tag: int
    seq: int
    step_id: int
    ts: int


AnyEvent: TypeAlias = (
    WorkflowStarted
    | WorkflowDescribed
    | StepDispatched
    | StepCompleted
    | StepFailed
    | StreamChunks
    | TokensUpdated
    | CostRecalculated
    | ApprovalRequested
    | ApprovalApplied
    | BudgetExceeded
    | PolicyDecided
    | ExecutionAborted
    | ValueRecorded
    | ArtifactStored
    | ArtifactFailed
    | Logged
    | Scored
    | ReplayDiverged
    | EventsLost
    | WorkflowCompleted
    | WorkflowFailed
    | ExchangeStarted
    | ExchangeAnswered
    | ExchangeEnded
    | CallbacksRun
)

EVENT_TYPES: tuple[type[Event], ...] = AnyEvent.__args__

encode = msgspec.msgpack.Encoder().encode
"""The bytes of an event."""

encode_fields = encode
"""The bytes of an event given as the tuple of its tag and all its fields, for the events that every call writes: the
same bytes, without the struct in between."""

ChunkFields: TypeAlias = tuple[int, str, Value | bytes, int, int]
"""The fields of a ``Chunk``, likewise; bytes that are not large are their own canonical value."""

STEP_DISPATCHED = StepDispatched.__struct_config__.tag
STEP_COMPLETED = StepCompleted.__struct_config__.tag
STREAM_CHUNKS = StreamChunks.__struct_config__.tag
EXCHANGE_STARTED = ExchangeStarted.__struct_config__.tag
EXCHANGE_ANSWERED = ExchangeAnswered.__struct_config__.tag
EXCHANGE_ENDED = ExchangeEnded.__struct_config__.tag

_head: msgspec.msgpack.Decoder[_Head] = msgspec.msgpack.Decoder(_Head)
_TAGS = frozenset(type_.__struct_config__.tag for type_ in EVENT_TYPES)


@cache
def _decoder() -> msgspec.msgpack.Decoder[AnyEvent]:
    """Made when first needed: it looks at every field above, and a program that is recorded reads no events."""
    return msgspec.msgpack.Decoder(AnyEvent)


def decode(data: bytes) -> AnyEvent | UnknownEvent:
    """The event that ``data`` encodes.

    Raises ``msgspec.DecodeError`` when the bytes are no event at all; a type from a newer version is returned as
    :class:`UnknownEvent`.
    """
    try:
        return _decoder().decode(data)
    except msgspec.ValidationError:
        head = _head.decode(data)
        if head.tag in _TAGS:
            raise
        return UnknownEvent(head.tag, head.seq, head.step_id, head.ts, bytes(data))


def decoded(encoded: Callable[[], Iterable[bytes]]) -> list[AnyEvent | UnknownEvent]:
    """The same of all events that ``encoded`` gives; raises as :func:`decode` does."""
    try:
        return list(map(_decoder().decode, encoded()))
    except msgspec.ValidationError:  # one of a newer version is among them
        return [decode(data) for data in encoded()]


def type_name(event: AnyEvent | UnknownEvent) -> str:
    """The event's type as it is spelled in JSON, SQL and the UI."""
    return f"Unknown({event.tag})" if isinstance(event, UnknownEvent) else type(event).__name__


def tombstone(first: int, last: int, reason: str, ts: int) -> bytes:
    """The encoded ``EventsLost`` that stands for the positions ``first`` to ``last``."""
    return encode(EventsLost(first, RUN_STEP, ts, last, reason))
