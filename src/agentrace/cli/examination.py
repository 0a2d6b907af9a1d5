"""What ``doctor`` looks at: the interpreter, the store, the libraries, the commands on PATH, the settings."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from agentrace import config
from agentrace.cli.opening import working_directory
from agentrace.cli.units import counted
from agentrace.config import Settings
from agentrace.errors import StoreError
from agentrace.integrations.catalogue import Known, installed_version, known
from agentrace.integrations.unrecorded import LIBRARIES, WEBSOCKETS
from agentrace.journal.filesystem import judge
from agentrace.journal.store_format import format_of
from agentrace.query import Runs
from agentrace.store.leftovers import leftovers
from agentrace.version import VERSION

_SECONDS: Final = 20.0
_LATEST: Final = 20
"""Runs that are looked at, the newest first."""
_ASK: Final = "import agentrace; print(agentrace.__version__)"


class Finding(Struct, frozen=True):
    """One thing that was looked at."""

    level: Literal["ok", "note", "warning", "problem"]
    """``problem`` keeps programs from being recorded, ``warning`` may keep some, ``note`` is for information."""
    text: str
    do: str = ""


class Setting(Struct, frozen=True):
    """A setting in force."""

    name: str
    value: Any
    source: str
    """Where it was found."""


class Examination(Struct, frozen=True):
    """Everything that was found."""

    version: str
    able_to_record: bool
    interpreter: list[Finding]
    store: list[Finding]
    store_path: str
    store_size: int
    """Bytes."""
    store_format: int
    """0 where there is no store yet, or none of a format that is known."""
    left_over: int
    """Bytes that `agentrace gc` would free."""
    runs: int
    journal: str
    """``mmap`` or ``fallback``."""
    commands: list[Finding]
    libraries: list[Finding]
    settings: list[Setting]


def examine(home: Path | None = None, environ: Mapping[str, str] | None = None) -> Examination:
    """Look at everything. Raises ``ConfigError`` where settings contradict what they accept."""
    environ = os.environ if environ is None else environ
    given, cwd = {"home": home}, working_directory()
    settings = config.load(given, environ=environ, cwd=cwd)
    sources = config.sources(given, environ=environ, cwd=cwd)
    interpreter = list(_interpreter(settings))
    verdict = judge(settings.home)
    runs, size, store = _store(settings.home)
    kept_as, left_over = _house(settings.home)
    journal = Finding("ok", f"events are written through a memory mapping: {verdict.why}")
    if not verdict.safe:
        journal = Finding("warning", f"events are written in batches, so a killed process may lose some: {verdict.why}")
    store = [Finding("note", f"{settings.home}, from {sources.get('home', 'the default')}"), *store, journal]
    store += _damaged(settings.home)
    return Examination(
        version=VERSION,
        able_to_record=not any(finding.level == "problem" for finding in (*interpreter, *store)),
        interpreter=interpreter,
        store=store,
        store_path=str(settings.home),
        store_size=size,
        store_format=kept_as,
        left_over=left_over,
        runs=runs,
        journal="mmap" if verdict.safe else "fallback",
        commands=list(_commands(environ)),
        libraries=[*(_library(found) for found in known()), *_websockets(settings.home)],
        settings=_settings(settings, sources),
    )


def _interpreter(settings: Settings) -> Iterator[Finding]:
    yield Finding("note", f"{platform.python_implementation()} {platform.python_version()}, {sys.executable}")
    if getattr(sys, "_is_gil_enabled", lambda: True)():
        yield Finding("ok", "it has the GIL, on which the journal relies")
    else:
        yield Finding("problem", "it runs without the GIL, on which the journal relies", "use a build with the GIL")
    if settings.disabled:
        yield Finding("problem", "recording is switched off by the setting disabled", "see settings below")
    for flag, name in ((sys.flags.ignore_environment, "-E"), (sys.flags.isolated, "-I"), (sys.flags.no_site, "-S")):
        if flag:
            yield Finding("warning", f"it was started with {name}: `agentrace run` needs it without")


def _store(home: Path) -> tuple[int, int, list[Finding]]:
    nearest = next((path for path in (home, *home.parents) if path.exists()), home)
    findings = [Finding("ok", "it can be written")]
    if not os.access(nearest, os.W_OK | os.X_OK) or not nearest.is_dir():
        findings = [
            Finding("problem", f"{nearest} cannot be written by this user", "make it writable, or set AGENTRACE_HOME")
        ]
    elif not home.exists():
        findings = [Finding("ok", "it does not exist yet: the first run makes it")]
    runs = Runs(home)
    try:
        return len(runs.ids), runs.store.size(), findings
    except StoreError as error:
        return 0, 0, [*findings, Finding("problem", error.what, error.do)]


def _damaged(home: Path) -> Iterator[Finding]:
    """Whether records of the last runs are damaged, as far as listing them tells."""
    runs = Runs(home)
    try:
        latest = [runs.summary(run_id) for run_id in runs.ids[:_LATEST]]
    except StoreError:
        return
    found = [one.run_id.hex()[:12] for one in latest if "damaged" in one.health]
    if found:
        text = (
            f"of the last {counted(len(latest), 'run')} the records of {len(found):,} are damaged: {', '.join(found)}"
        )
        yield Finding("warning", text, "`agentrace verify --all` tells what is damaged, and looks at all of them")


def _house(home: Path) -> tuple[int, int]:
    """The format of the store, and the bytes that belong to no run of it."""
    if not home.is_dir():
        return 0, 0
    try:
        return format_of(home), sum(one.size for one in leftovers(home, Runs(home).is_kept))
    except (StoreError, OSError):
        return 0, 0


def _commands(environ: Mapping[str, str]) -> Iterator[Finding]:
    path = environ.get("PATH", os.defpath)
    here = Path(sys.executable).parent
    ours = shutil.which("agentrace", path=path)
    if ours is None:
        yield Finding("warning", "agentrace is not on PATH", f"add {here} to PATH, or use {here / 'agentrace'}")
    elif Path(ours).parent != here:
        yield Finding("warning", f"agentrace on PATH is {ours}, of another environment than this one ({here})")
    else:
        yield Finding("ok", f"agentrace is {ours}")
    for name in ("python", "python3"):
        found = shutil.which(name, path=path)
        if found is not None:
            yield _python(name, found)


def _python(name: str, found: str) -> Finding:
    if Path(found).parent == Path(sys.executable).parent:
        return Finding("ok", f"{name} is {found}")
    version = _version_of(found)
    if not version:
        do = f"install it there: {found} -m pip install agentrace"
        return Finding("warning", f"{name} is {found}, which cannot import agentrace: it records nothing", do)
    if version != VERSION:
        return Finding("warning", f"{name} is {found}, which has agentrace {version}, not {VERSION}")
    return Finding("ok", f"{name} is {found}, which has agentrace {version} too")


def _version_of(python: str) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AGENTRACE_")}
    try:
        done = subprocess.run(
            [python, "-c", _ASK], env=environ, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _library(found: Known) -> Finding:
    if not found.installed:
        return Finding("note", f"{found.name} is not installed; supported are {found.requires}")
    if found.supported:
        return Finding("ok", f"{found.name} {found.installed}")
    text = f"{found.name} {found.installed} is not among the versions that were tested: {found.requires}"
    return Finding("warning", text, "it is recorded all the same; look at a trace before you rely on it")


def _websockets(home: Path) -> Iterator[Finding]:
    """What is said of websockets where a run used them lately, or a library could."""
    for name in LIBRARIES:
        version = installed_version(name)
        if version:
            yield Finding("note", f"{name} {version} is not supported: {WEBSOCKETS}")
    runs = Runs(home)
    try:
        latest = [runs.summary(run_id) for run_id in runs.ids[:_LATEST]]
    except StoreError:
        return
    used = [found for found in latest if WEBSOCKETS in found.replayable.because]
    if used:
        text = f"{WEBSOCKETS}, and {len(used)} of the last {counted(len(latest), 'run')} used them"
        yield Finding("warning", text, f"`agentrace show {used[0].run_id.hex()[:12]}` tells what is known without them")


def _settings(settings: Settings, sources: Mapping[str, str]) -> list[Setting]:
    values: dict[str, Any] = {field.name: getattr(settings, field.name) for field in msgspec.structs.fields(Settings)}
    return [
        Setting(name, str(value) if isinstance(value, Path) else value, sources.get(name, "the default"))
        for name, value in values.items()
    ]
