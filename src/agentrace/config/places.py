"""Where settings are looked for, in order of precedence: the first place that has a setting wins.

1. the arguments of the call (``agentrace.init(durability="power")``); None means "not given"
2. the environment (``AGENTRACE_DURABILITY=power``); an empty variable means "not given"
3. ``config.toml`` in the store directory
4. the ``[tool.agentrace]`` table of the nearest ``pyproject.toml`` upward that has one
5. the default

Nothing is guessed: a key that is no setting, or a value of the wrong type, is a ConfigError that names the
place and the nearest right spelling. A misspelt variable only warns: an environment is shared with others.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from agentrace.config.settings import Settings
from agentrace.config.values import KINDS, WORDS
from agentrace.errors import AgentraceWarning, ConfigError

STORE_NAME: Final = ".agentrace"
VARIABLE_PREFIX: Final = "AGENTRACE_"
INTERNAL_VARIABLES: Final = frozenset(
    VARIABLE_PREFIX + name for name in ("PARENT", "REPLAY", "REPLAY_MANNER", "BOOT", "SOAK", "DEBUG", "PAGER")
)
"""Variables that agentrace's own processes hand to each other, or that only its commands read; no settings."""


class _Given(NamedTuple):
    value: Any
    source: str


def load(arguments: Mapping[str, object] | None = None, *, environ: Mapping[str, str], cwd: Path) -> Settings:
    """The settings in force. ``cwd`` is absolute; raises ConfigError."""
    given = _gather(arguments or {}, environ, cwd)
    return Settings(**{name: found.value for name, found in given.items()})


def sources(arguments: Mapping[str, object] | None = None, *, environ: Mapping[str, str], cwd: Path) -> dict[str, str]:
    """Where :func:`load` finds each setting that is not at its default, in words to show to a person."""
    return {name: found.source for name, found in _gather(arguments or {}, environ, cwd).items()}


def variable(name: str) -> str:
    """The environment variable of a setting: that of ``on_error`` is ``AGENTRACE_ON_ERROR``."""
    return VARIABLE_PREFIX + name.upper()


def _gather(arguments: Mapping[str, object], environ: Mapping[str, str], cwd: Path) -> dict[str, _Given]:
    given: dict[str, _Given] = {}
    try:
        given |= _from_environment(environ, cwd)
        given |= _from_arguments(arguments, cwd)
        project = _from_project(cwd)
        home = given.get("home") or project.get("home") or _find_home(environ, cwd)
        return {**project, **_from_store(home.value), "home": home, **given}
    except ConfigError:
        # Whoever switches agentrace off because something is wrong must not be stopped by what is wrong.
        if not _switched_off(arguments, environ):
            raise
        home = given.get("home") or _Given(cwd / STORE_NAME, "the working directory")
        return {"home": home, "disabled": _Given(True, "an argument or AGENTRACE_DISABLED")}


def _switched_off(arguments: Mapping[str, object], environ: Mapping[str, str]) -> bool:
    asked = arguments.get("disabled")
    if isinstance(asked, bool):
        return asked
    return WORDS.get(environ.get(variable("disabled"), "").strip().lower(), False)


# --- places -------------------------------------------------------------------------------------------------


def _from_arguments(arguments: Mapping[str, object], cwd: Path) -> dict[str, _Given]:
    given = {name: value for name, value in arguments.items() if value is not None}
    return _from_table(given, cwd, "the argument {}", "argument")


def _from_environment(environ: Mapping[str, str], cwd: Path) -> dict[str, _Given]:
    _warn_of_misspelt(environ)
    given: dict[str, _Given] = {}
    for name, kind in KINDS.items():
        if text := environ.get(variable(name), "").strip():
            source = f"the environment variable {variable(name)}"
            given[name] = _Given(_read(kind.from_text, text, kind.expects, source), source)
    return _anchored(given, cwd)


def _from_project(cwd: Path) -> dict[str, _Given]:
    for directory in (cwd, *cwd.parents):
        file = directory / "pyproject.toml"
        content = _content(file) if _is_ours(file) else b""
        # Most projects have a pyproject.toml and none of our settings: those pay for no parser.
        tool = _parsed(content, file).get("tool") if b"agentrace" in content else None
        if isinstance(tool, dict) and "agentrace" in tool:
            return _from_file(tool["agentrace"], file, where="[tool.agentrace] ")
    return {}


def _from_store(home: Path) -> dict[str, _Given]:
    file = home / "config.toml"
    table = _parsed(_content(file), file)
    if "home" in table:
        raise ConfigError(
            f"{file} sets home, but it lies in the directory that home would name",
            do="set AGENTRACE_HOME, or home in the [tool.agentrace] table of a pyproject.toml",
            slug="config-home-in-store",
        )
    return _from_file(table, file)


def _from_file(table: object, file: Path, where: str = "") -> dict[str, _Given]:
    if not isinstance(table, dict):
        raise ConfigError(
            f"{where.strip()} in {file} is no table",
            do="write settings below it as lines of the form name = value",
            slug="config-file",
        )
    return _from_table(table, file.parent, f"{where}{{}} in {file}", "setting")


def _from_table(table: Mapping[str, object], base: Path, where: str, what: str) -> dict[str, _Given]:
    given: dict[str, _Given] = {}
    for name, raw in table.items():
        source = where.replace("{}", name)
        if name not in KINDS:
            raise ConfigError(
                f"there is no {what} {name!r} ({source})", do=_suggestion(name, KINDS), slug="config-unknown"
            )
        kind = KINDS[name]
        given[name] = _Given(_read(kind.from_value, raw, kind.expects, source), source)
    return _anchored(given, base)


def _read(reader: Callable[[Any], object], raw: object, wanted: str, source: str) -> object:
    try:
        return reader(raw)
    except ValueError as error:
        because = f": {error}" if error.args else ""
        raise ConfigError(
            f"{source} is {repr(raw)[:100]}{because}", do=f"give it {wanted}", slug="config-value"
        ) from error


def _anchored(given: dict[str, _Given], base: Path) -> dict[str, _Given]:
    if home := given.get("home"):
        given["home"] = home._replace(value=base / home.value)
    return given


def _warn_of_misspelt(environ: Mapping[str, str]) -> None:
    known = INTERNAL_VARIABLES.union(map(variable, KINDS))
    for name in sorted(environ):
        if name.startswith(VARIABLE_PREFIX) and name not in known:
            message = f"the environment variable {name} is no setting: {_suggestion(name, known)}"
            warnings.warn(message, AgentraceWarning, stacklevel=2)


def _suggestion(name: str, known: Iterable[str]) -> str:
    import difflib

    names = sorted(set(known) - INTERNAL_VARIABLES)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]}?" if close else f"take one of {', '.join(names)}"


# --- the store directory ------------------------------------------------------------------------------------


def _find_home(environ: Mapping[str, str], cwd: Path) -> _Given:
    for directory in (cwd, *cwd.parents):
        store = directory / STORE_NAME
        if store.is_dir() and _is_ours(store):
            return _Given(store, "the nearest .agentrace directory")
    data = Path(environ.get("XDG_DATA_HOME", ""))
    if not data.is_absolute():  # the XDG specification says to ignore a relative one
        data = _user_directory(environ) / ".local" / "share"
    return _Given(data / "agentrace", "the user's data directory")


def _user_directory(environ: Mapping[str, str]) -> Path:
    user = Path(environ.get("HOME") or os.path.expanduser("~"))
    if not user.is_absolute():
        raise ConfigError(
            "no place for the store: AGENTRACE_HOME is not set, no .agentrace directory is near, "
            "and the user has no home directory",
            do="set AGENTRACE_HOME to a directory that this program may write",
            slug="config-no-home",
        )
    return user


def _is_ours(candidate: Path) -> bool:
    """False where somebody else may have laid it in our way: in a directory all may write, such as /tmp."""
    try:
        if not candidate.parent.stat().st_mode & 0o002:
            return True
        return candidate.lstat().st_uid in (0, os.geteuid())
    except OSError:
        return False


# --- files --------------------------------------------------------------------------------------------------


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be read: {error.strerror}",
            do="make it readable, or move it away",
            slug="config-file",
        ) from error


def _parsed(content: bytes, file: Path) -> dict[str, Any]:
    if not content:
        return {}
    import tomllib

    try:
        return tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid TOML: {error}", do="correct the file", slug="config-file") from error
