"""Secrets known by their value: those in the environment when recording starts, in every spelling they travel in."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus, unquote, urlsplit

from agentrace.redact.names import named
from agentrace.redact.patterns import Pattern
from agentrace.redact.spans import Finding, Rule, Span

KIND = "known-secret"
SHORTEST = 8
MOST = 256
"""Lines of values beyond this many are left out, the shortest first: their patterns would take seconds to compile."""

_NAMES = Pattern(
    r"(?:^|_)(?:PASSWORD|PASSWD|PASSPHRASE|PASS|PWD|SECRET|SECRETS|TOKEN|CREDENTIALS?|API_?KEYS?|PRIVATE_?KEY|SECRET_?KEY"
    r"|ACCESS_?KEY|ACCOUNT_?KEY|SIGNING_?KEY|ENCRYPTION_?KEY|MASTER_?KEY|AUTH|AUTH_?KEY|SSH_?KEY|DEPLOY_?KEY)(?:_|$)|PASSWORD"
)
_WORDS = ("PASS", "PWD", "SECRET", "TOKEN", "CREDENTIAL", "KEY", "AUTH")
"""One of them is in every name that the pattern knows."""
_ABOUT = Pattern(
    r"_(?:FILE|PATH|DIR|NAME|ID|URL|URI|HOST|PORT|TYPE|TTL|EXPIRY|EXPIRES|LENGTH|COUNT|LIMIT|ALGORITHM|SCHEME|PROMPT"
    r"|COMMAND|CMD|SOCK|ENABLED|REQUIRED|POLICY|VERSION|REGION)$|PUBLIC"
)
_DIRECTORIES = {"PWD", "OLDPWD"}
_PLAIN_WORD = Pattern(r"[A-Za-z][a-z]*(?:[-_ ][A-Za-z][a-z]*)*")
_PLAIN_NUMBER = Pattern(r"[0-9]{1,15}|[0-9.]{1,8}")
_PATH = Pattern(r"(?:~|\.{0,2})/[\w@+. /-]*|[A-Za-z]:\\.*", re.DOTALL)
_URL = Pattern(r"[A-Za-z][A-Za-z0-9+.-]*://")


def environment_secrets(environ: Mapping[str, str]) -> list[str]:
    """The values in ``environ`` that must not appear in a record, longest first.

    Taken are values of at least 8 characters under names such as ``*_API_KEY``, ``*_TOKEN``, ``*_SECRET`` and
    ``*PASSWORD*``, and the password of any value that is a URL with one. A value that is a plain word or number, a path
    or a URL is no secret by itself: replacing ``production`` wherever it stands would ruin the record.
    """
    found: set[str] = set()
    for name, value in environ.items():
        found.update(_url_password(value))
        if _is_secret_name(name) and not _URL.match(value):
            found.update(line for line in map(str.strip, value.splitlines()) if _is_worth(line))
    return sorted(found, key=lambda secret: (-len(secret), secret))


def _is_secret_name(name: str) -> bool:
    upper = name.upper()
    if upper in _DIRECTORIES:
        return False
    telling = named(name) is not None or (any(word in upper for word in _WORDS) and _NAMES.search(upper) is not None)
    return telling and _ABOUT.search(upper) is None


def _url_password(value: str) -> Iterator[str]:
    if "@" not in value or not _URL.match(value):
        return
    try:
        password = urlsplit(value).password
    except ValueError:
        return
    for spelling in {password, unquote(password)} if password else ():
        if _is_worth(spelling):
            yield spelling


def _is_worth(value: str) -> bool:
    """Whether replacing every occurrence of ``value`` protects something and ruins nothing."""
    if len(value) < SHORTEST or len(set(value)) < 4 or value.startswith("-----"):
        return False
    if _PLAIN_NUMBER.fullmatch(value) or (_PLAIN_WORD.fullmatch(value) and len(value) < 20):
        return False
    return _PATH.fullmatch(value) is None or _is_dense(value)


_CAPITAL_AND_DIGIT = Pattern("[A-Z].*[0-9]|[0-9].*[A-Z]")


def _is_dense(value: str) -> bool:
    """A base64 secret may begin with a slash; a path of that length has a dot or a word in it."""
    return (
        len(value) >= 32 and value.count("/") <= 4 and "." not in value and _CAPITAL_AND_DIGIT.search(value) is not None
    )


# --- spellings ----------------------------------------------------------------------------------------------


_PERCENT = Pattern("%[0-9A-F]{2}")


def spellings(secret: str) -> set[str]:
    """How ``secret`` may be written: as it is, in JSON, in a URL, and inside of base64 at each of three offsets."""
    raw = secret.encode("utf-8", "surrogatepass")
    texts = {secret, raw.decode("latin-1"), *_in_json(secret), quote(raw, safe=""), quote(raw), quote_plus(raw)}
    texts |= {_PERCENT.compiled.sub(lambda code: code[0].lower(), text) for text in texts}
    for offset in range(3):
        # The characters that no neighbour of the secret has a part in.
        encoded = binascii.b2a_base64(b"\0" * offset + raw, newline=False).decode().rstrip("=")
        inner = encoded[(offset * 8 + 5) // 6 : (offset + len(raw)) * 8 // 6]
        texts |= {inner, inner.replace("+", "-").replace("/", "_")}
    return {text for text in texts if len(text) >= SHORTEST}


_ESCAPED_IN_JSON = Pattern(r'["\\/\x00-\x1f\x7f-\U0010ffff]')


def _in_json(secret: str) -> Iterator[str]:
    if _ESCAPED_IN_JSON.search(secret):
        import json  # most secrets need none, and it takes milliseconds

        for written in (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
            yield from (written, written.replace("/", "\\/"))


# From rare to frequent in prose, code and JSON: where to look first for a known text.
_RARE = "QZXJKqVWzYjHUxGBFMPNDOLRICSTAEkvw9876543210ybgfmpucdhlirsnoate"
_RANK = {character: rank for rank, character in enumerate(_RARE)}


def known_rules(secrets: Iterable[str], pivots: Iterable[str]) -> list[Rule]:
    """One rule for each pivot character; those in ``pivots``, which are looked at anyway, are preferred."""
    lines = {line for secret in secrets for line in secret.splitlines() if len(line) >= SHORTEST}
    kept = sorted(lines, key=lambda s: (-len(s), s))
    texts = sorted({text for secret in kept[:MOST] for text in spellings(secret)}, key=lambda t: (-len(t), t))
    looked_at = set(pivots)
    groups: dict[str, list[tuple[str, int]]] = {}
    for text in texts:
        pivot = min(set(text), key=lambda c: (c not in looked_at, _RANK.get(c, -1 if c.isascii() else 99), c))
        looked_at.add(pivot)
        groups.setdefault(pivot, []).append((text, text.index(pivot)))
    begins = _Beginnings(texts)
    return [
        Rule(f"known {pivot}", pivot, _near(group), _Known(group), begins if n == 0 else None)
        for n, (pivot, group) in enumerate(groups.items())
    ]


def _near(group: list[tuple[str, int]]) -> str:
    # What follows the pivot is told apart by its first character, most often; all of the text is compared last.
    return "(?=" + "|".join(f"{re.escape(t[at + 1 :])}(?<={re.escape(t)})" for t, at in group) + ")"


class _Known:
    """The finder of the known texts that share a pivot character."""

    def __init__(self, group: list[tuple[str, int]]) -> None:
        self._group = group

    def __call__(self, text: str, at: int, _whole: bool) -> Finding:
        # All that match here share the pivot, so they overlap: one span holds them.
        start, end = at, at
        for known, pivot in self._group:
            if at >= pivot and text.startswith(known, at - pivot):
                start, end = min(start, at - pivot), max(end, at - pivot + len(known))
        return Span(start, end, KIND) if end > at else None


class _Beginnings:
    """Where the end of a text may be the beginning of a known one."""

    def __init__(self, texts: list[str]) -> None:
        self._first = {text[0] for text in texts}
        ends: dict[str, set[str]] = {}
        for text in texts:
            for size in range(2, len(text)):
                ends.setdefault(text[size - 2 : size], set()).add(text[:size])
        self._ends = {end: tuple(sorted(starts, key=len, reverse=True)) for end, starts in ends.items()}

    def __call__(self, text: str) -> int:
        for start in self._ends.get(text[-2:], ()):
            if text.endswith(start):
                return len(text) - len(start)
        return len(text) - (text[-1:] in self._first)
