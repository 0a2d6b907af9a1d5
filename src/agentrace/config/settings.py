"""Every setting there is, with its type, its default and what it means; docs/settings.md is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

OnError = Literal["warn", "raise"]
Durability = Literal["process", "power"]
Redaction = Literal["default", "strict", "off"]
Logs = Literal["off", "debug", "info", "warning", "error"]
Output = Literal["off", "stdout", "stderr", "both"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a process records, where, and how strictly. Made once, by ``config.load``, and passed down."""

    home: Path
    """The store directory, absolute. Unless it is set: the nearest `.agentrace` directory upward from the
    working directory, else `agentrace` in the user's data directory (`$XDG_DATA_HOME`, else
    `~/.local/share`), so that a first run leaves nothing in a project that did not ask for it.
    `mkdir .agentrace` gives a project a store of its own. A relative path counts from the working directory
    or, in a `pyproject.toml`, from that file's directory. The store's own `config.toml` cannot set it."""

    disabled: bool = False
    """Record nothing: the program runs as if agentrace were not there. While an argument or the variable asks
    for it, no other setting can be an error."""

    on_error: OnError = "warn"
    """What happens when an event cannot be kept (a full disk, a read-only directory): `warn` lets the program
    go on, says so once on stderr and counts the loss in the run; `raise` raises RecordingFailed in the
    program, for environments that must not run unrecorded."""

    durability: Durability = "process"
    """What a finished step survives: `process` a killed process, `power` also a machine that loses power, for
    which every batch waits for the disk."""

    redact: Redaction = "default"
    """Which secrets are taken out before anything is written: `default` credentials and keys of known shapes,
    `strict` personal data as well, `off` nothing."""

    redact_patterns: tuple[str, ...] = ()
    """Regular expressions whose matches are taken out too, whatever `redact` says. In the variable: one on
    each line."""

    tools: tuple[str, ...] = ()
    """Functions to record as tools although nothing in the program announces them: names such as
    `lookup_order`, or `module:pattern` such as `shop.tools:*`; and `auto` for those that requests offer to a
    model. In the variable: separated by commas."""

    retrievers: tuple[str, ...] = ()
    """The same for functions that fetch documents: they are recorded as retrievers."""

    exclude_urls: tuple[str, ...] = ()
    """Requests that are left out of the record: a host such as `metrics.internal`, or a host and a path such as
    `*.example.com/collect/*`; `*` stands for any characters. On a replay such hosts cannot be reached. What
    libraries report about the program to OpenTelemetry collectors, Sentry and the like is left out anyway.
    In the variable: separated by commas."""

    patch: tuple[str, ...] = ()
    """What is recorded, and answered on a replay, where the program's own code asks for it: `time`
    (`time.time`, `time.time_ns`, `datetime.now`, `utcnow` and `today`), `uuid` (`uuid.uuid4`) and `random` (the
    functions of the module). Libraries are left alone. In the variable: separated by commas."""

    logs: Logs = "off"
    """Keep what the program logs through `logging`, at this level and above, as notes of the steps that it logs in.
    What its own loggers do not let through, because their level is higher, is not there to be kept."""

    output: Output = "off"
    """Keep what the program prints, line by line, as notes of the steps that it prints in: what it writes to
    `sys.stdout`, to `sys.stderr` or to both."""

    record_env: tuple[str, ...] = ()
    """Names of environment variables whose values may be recorded with a run. No other value is. In the
    variable: separated by commas."""

    sample_rate: float = 1.0
    """The share of runs that is written, 0 to 1, decided at the beginning of each root run (a request, a job, a
    `with agentrace.run(...)`, or else the process) by its id. Whatever is below a root is written if the root is:
    child processes, forks, jobs that were sent with `agentrace.carry()`. A run that is left out leaves no trace,
    also if it fails. `agentrace.run(..., sample=True)` decides for itself. What `agentrace run`, a replay or a
    test with a trace records is never left out."""

    name: str | None = None
    """What the run of this process is called. Unless it is set: after the program."""

    workflow: str | None = None
    """The name of the workflow that runs belong to."""

    agent: str | None = None
    """The name of the agent that runs belong to."""

    session_id: str | None = None
    """The conversation that runs belong to, when it spans several."""

    tenant: str | None = None
    """The customer or tenant on whose behalf runs happen."""

    workspace: str | None = None
    """The workspace that runs belong to."""

    project: str | None = None
    """The project that runs belong to."""

    operator: str | None = None
    """Who started the runs: a person, a service or a scheduler."""

    tags: tuple[str, ...] = ()
    """Labels by which runs are found, with `agentrace ls --tag`. `agentrace.run(..., tags=[...])` adds others to its
    own. In the variable: separated by commas."""

    seal: bool = True
    """Compress and hash finished runs in a background thread. When off, the next reader does it."""

    exit_timeout: float = 2.0
    """How many seconds the end of the process may wait for that thread. Nothing is lost when they are over:
    what is not sealed yet is sealed by the next reader."""
