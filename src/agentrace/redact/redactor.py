"""The redactor: what the rest of agentrace asks to take secrets out of texts, bodies, headers and command lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import msgspec

from agentrace.errors import ConfigError
from agentrace.redact import names, wire
from agentrace.redact.assignments import assignment_rules
from agentrace.redact.credentials import credential_rules
from agentrace.redact.known import KIND as KNOWN
from agentrace.redact.known import known_rules
from agentrace.redact.personal import personal_rules
from agentrace.redact.repeats import Repeats
from agentrace.redact.scan import LONG, Scanner, counted, replaced
from agentrace.redact.spans import Rule, mark, mark_in_bytes
from agentrace.redact.stream import StreamRedactor
from agentrace.redact.tokens import PREFIXES, token_rules

Profile = Literal["default", "strict", "off"]
REVISION = 1
"""Raised when the code of a rule changes what it finds, so that the recorded version changes, too."""
SHORTEST = {"default": 7, "strict": 6, "off": 0}
"""Fewer characters hold no secret that a rule could find: ``pwd='x'``, ``a@b.co``."""
_MOST_FIELDS = 4096
_MOST_URLS = 256
_LARGEST_ALIKE = 16_384
"""Bytes below which a body is asked whether it has the shape of one before."""


class Redacted(msgspec.Struct, frozen=True):
    """A text from which secrets were taken; ``found`` counts them by kind."""

    text: str
    found: dict[str, int]


class RedactedBytes(msgspec.Struct, frozen=True):
    """Bytes from which secrets were taken; ``found`` counts them by kind."""

    data: bytes
    found: dict[str, int]


class Redactor:
    """Takes secrets out. Immutable, deterministic, safe to use from several threads; made by `redactor`.

    The same text gives the same result on every machine that has the same profile, patterns and known secrets, and
    redacting a result changes nothing.
    """

    def __init__(self, profile: Profile, rules: Sequence[Rule], own: Sequence[re.Pattern[str]], version: str) -> None:
        self.profile = profile
        self.version = version
        """Names the rules, not the secrets known by their value: it tells nothing about those."""
        self._scanner = Scanner(rules, own, rank)
        # The user's patterns may match anything: with them, every text is searched.
        self._search: Callable[[str], object] = bool if own else self._early_search
        self._suspicious = bool if own else self._scanner.suspicious
        self._shortest = 1 if own else SHORTEST[profile]
        self._fields: dict[str, str | None] = {}
        self._urls: dict[str, str] = {}
        self._repeats = Repeats(lambda text: not self._scanner.suspicious(text), self._scanner.search)

    # -- texts and bodies --

    def text(self, s: str) -> Redacted | None:
        """``s`` without its secrets; ``None`` if it has none, which is the quick and common case."""
        if len(s) < LONG:
            if len(s) < self._shortest or self._search(s) is None:
                return None
        elif not self._suspicious(s):
            return None
        spans = self._scanner.spans(s, self._scanner.own_spans(s))
        return Redacted(replaced(s, 0, len(s), spans, mark), counted(spans, {})) if spans else None

    def data(self, b: bytes) -> RedactedBytes | None:
        """The same for bytes, such as an HTTP body: text in ASCII, UTF-8 or Latin-1. JSON stays JSON."""
        s = b.decode("latin-1")
        alike = len(b) < _LARGEST_ALIKE and not self._scanner.own
        if alike and self._repeats.holds(s):
            return None
        if not self._suspicious(s):
            if alike:
                self._repeats.learn(s)
            return None
        spans = self._scanner.spans(s, self._scanner.own_spans_in_bytes(s) if self._scanner.own else ())
        if not spans:
            return None
        return RedactedBytes(replaced(s, 0, len(s), spans, mark_in_bytes).encode("latin-1"), counted(spans, {}))

    def _early_search(self, s: str) -> object:
        together = self._scanner.together
        if together is not None:
            self._search = together.search
        return self._scanner.search(s)

    def stream(self) -> StreamRedactor:
        """For bytes that come in pieces: all pieces together give what `data` gives for the whole."""
        return StreamRedactor(self._scanner, self._repeats)

    # -- values known by their name --

    def field(self, key: str) -> str | None:
        """What stands for the whole value of a field, parameter or variable of this name, if the name tells.

        ``None`` for all others, also for those whose name alone does not tell: see `member`.
        """
        try:
            return self._fields[key]
        except KeyError:
            return self._remembered(key)

    def perhaps(self, key: str) -> bool:
        """Whether a field of this name holds a secret if its value looks like one: then ask `member`."""
        meaning = self._named(key)
        return meaning is not None and meaning.strength == "perhaps"

    def member(self, key: str, text: str) -> Redacted | None:
        """``text`` as the value of a field ``key``: what `field` and `text` say, and for names such as ``token``,
        which have other uses, whether the text reads as issued by a machine."""
        meaning = self._named(key)
        if meaning is None:
            return self.text(text)
        if meaning.strength != "perhaps":
            return Redacted(mark(meaning.kind), {meaning.kind: 1}) if text and text != mark(meaning.kind) else None
        found = names.is_secret(meaning, text)
        return Redacted(mark(meaning.kind), {meaning.kind: 1}) if found else self.text(text)

    def _named(self, key: str) -> names.Named | None:
        return None if self.profile == "off" else names.named(key)

    def _remembered(self, key: str) -> str | None:
        meaning = self._named(key)
        told = mark(meaning.kind) if meaning is not None and meaning.strength != "perhaps" else None
        if len(self._fields) >= _MOST_FIELDS:
            self._fields.clear()
        self._fields[key] = told
        return told

    # -- what goes over the wire and starts a program --

    def header(self, name: str, value: str) -> str:
        """A header's value for the record; of credentials and cookies only an authentication scheme is kept."""
        return self._clean(value) if self.profile == "off" else wire.header(name, value, self._clean)

    def url(self, url: str) -> str:
        """A URL without its password and without parameters that are credentials."""
        known = self._urls.get(url)
        if known is None:
            known = self._clean(url) if self.profile == "off" else wire.url(url, self._clean)
            if len(self._urls) >= _MOST_URLS:
                self._urls.clear()
            self._urls[url] = known
        return known

    def argv(self, argv: Iterable[str]) -> list[str]:
        """A command line without the values of options such as ``--password`` and without other secrets."""
        return [*map(self._clean, argv)] if self.profile == "off" else wire.argv(argv, self._clean)

    def _clean(self, text: str) -> str:
        found = self.text(text)
        return text if found is None else found.text


def redactor(profile: Profile = "default", extra: Sequence[str] = (), secrets: Sequence[str] = ()) -> Redactor:
    """A redactor of this profile.

    ``extra`` are regular expressions of the user's, whose matches are replaced in every profile, ``off`` included;
    a named group narrows the match and names the kind. They run on every text: one that backtracks without bound
    stalls the program. ``secrets`` are values to replace wherever they occur, such as `environment_secrets` gives.

    Raises ConfigError for a pattern that is no regular expression.
    """
    own = [_compiled(source) for source in extra]
    rules = rules_of(profile)
    version = _version(profile, rules, extra)
    if profile != "off":
        rules += known_rules(secrets, {pivot for rule in rules for pivot in rule.pivots})
    return Redactor(profile, rules, own, version)


def rules_of(profile: Profile) -> list[Rule]:
    """The built-in rules of a profile."""
    if profile == "off":
        return []
    rules = [*token_rules(), *credential_rules(), *assignment_rules()]
    return rules + personal_rules() if profile == "strict" else rules


def _compiled(source: str) -> re.Pattern[str]:
    try:
        return re.compile(source)
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigError(
            f"a redaction pattern cannot be used: {source!r} is no regular expression, {error}",
            do="correct it; Python's re module says what it may hold",
        ) from error


def _version(profile: str, rules: Iterable[Rule], extra: Iterable[str]) -> str:
    from blake3 import blake3

    told = [
        profile,
        REVISION,
        *((r.name, r.pivots, r.near) for r in rules),
        PREFIXES,
        names.SOURCES,
        list(extra),
    ]
    return blake3(repr(told).encode("utf-8", "surrogatepass")).hexdigest(length=6)


_RANKS = {"bearer": 1, "cookie": 1, "url-parameter": 1, "authorization": 2, "custom": 3, KNOWN: 4}


def rank(kind: str) -> int:
    """Of overlapping finds the most telling names the whole: what the secret looks like, then its field's name.

    A value known from this machine's environment comes last: another machine must give the same name without it.
    """
    return _RANKS.get(kind, int(kind.endswith("-field")))
