"""Names that say their value is a secret: of fields, parameters, variables, options."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

from agentrace.redact.patterns import Pattern
from agentrace.redact.spans import MARK
from agentrace.redact.tokens import looks_made

Strength = Literal["password", "secret", "perhaps"]


class Named(NamedTuple):
    """What a name says of its value.

    ``password``: any text. ``secret``: any text without blanks. ``perhaps``: only what a machine made, for
    the name has other uses (the ``token`` of a log-probability is a word).
    """

    kind: str
    strength: Strength


_ISSUED_TOKENS = (
    "access|refresh|auth|bearer|session|id|api|oauth|oauth2|bot|security|app|jwt|user|service|vault|deploy|registry"
    "|csrf|xsrf|github|gitlab|slack|npm|pypi|admin|device|web|secret|private|personal|login|reset|verification|invite"
)
_KEYS = (
    "api|secret|access|account|signing|encryption|master|subscription|auth|ssh|service_role|shared|shared_access"
    "|storage|license|deploy|webhook|deployment|service"
)
# First match wins, among the patterns for how the name ends, so that few are ever compiled. Names are lower case,
# their words joined by one underscore.
_NAMES: tuple[tuple[tuple[str, ...], Pattern, Named | None], ...] = tuple(
    (tuple(endings.split()), Pattern(pattern), named)
    for endings, pattern, named in (
        # Cursors, idempotency and the special tokens of a vocabulary.
        (
            "token",
            r"(?:^|_)(?:page|next|sync|continuation|client|pagination|cursor|resume|cancellation)_?token$",
            None,
        ),
        (
            "token",
            r"(?:^|_)(?:pad|eos|bos|unk|mask|sep|cls|stop|start|end|special|first|last|prefix|image)_?token$",
            None,
        ),
        ("key token", r"(?:public|publishable)_?key(?:_?token)?$", None),
        (
            "password passwd passphrase passcode pwd",
            r"(?:password|passwd|passphrase|passcode)$|(?:^|_)pwd$",
            Named("password-field", "password"),
        ),
        (
            "pass",
            r"(?:^|_)(?:db|database|user|smtp|mail|ftp|admin|root|auth)_?pass$",
            Named("password-field", "password"),
        ),
        ("key key_pem", r"private_?key(?:_pem)?$", Named("private-key", "password")),
        ("key", r"secret_?access_?key$", Named("aws-secret-key", "secret")),
        ("key", rf"(?:^|_|x)(?:{_KEYS})_?key$", Named("key-field", "secret")),
        ("authorization", r"(?:^|_)(?:proxy_)?authorization$", Named("authorization", "secret")),
        ("cookie", r"(?:^|_)(?:set_)?cookie$", Named("cookie", "password")),
        ("token", rf"(?:^|_)(?:{_ISSUED_TOKENS})_?token$", Named("token-field", "secret")),
        ("secret", r"secret$", Named("secret-field", "secret")),
        (
            "token credential credentials auth",
            r"(?:^|_)(?:token|credentials?|auth)$|token$",
            Named("token-field", "perhaps"),
        ),
    )
)
_ENDINGS = tuple({ending for endings, _, _ in _NAMES for ending in endings})
_HUMPS = Pattern(r"(?<=[a-z0-9])(?=[A-Z])|[-. ]+")
SOURCES = tuple(pattern.source for _, pattern, _ in _NAMES)
LONGEST_NAME = 64


@lru_cache(maxsize=4096)
def named(name: str) -> Named | None:
    """What ``name`` says of its value; ``None``: nothing. Case, camel case, dashes and dots do not matter."""
    words = _HUMPS.sub("_", name[-LONGEST_NAME:]).lower()
    told = words.rstrip("\n")  # one may stand behind what a pattern's end matches
    if not told.endswith(_ENDINGS):
        return None
    for endings, pattern, meaning in _NAMES:
        if told.endswith(endings) and pattern.search(words):
            return meaning
    return None


_IDLE = Pattern(
    r"(?i:none|null|nil|true|false|undefined|string|str|text|required|optional|yes|no|on|off|changeme|example"
    r"|secret|pass|passwd|password|token|bearer|basic|authorization|redacted|filtered|masked|hidden|removed"
    r"|your[-_ ].*|my[-_ ](?:api|secret|key|token|password)[-_a-z]*)"
    r"|(.)\1+|\*|<.*>|\{.*\}|%\w+%|…"
)
_VARIABLE = Pattern(r"\$[A-Z_][A-Z0-9_]*|\$[({].*")


def is_idle(value: str) -> bool:
    """Whether ``value`` stands where a secret would stand and is none: nothing, a type, a variable, a mark."""
    idle = _IDLE.fullmatch(value) or _VARIABLE.fullmatch(value) or MARK.search(value)
    return not value or idle is not None


_BLANK = Pattern(r"\s")


def is_secret(meaning: Named, value: str) -> bool:
    """Whether ``value`` under a name of this ``meaning`` is to be replaced: not if it is empty or says nothing."""
    if is_idle(value):
        return False
    if meaning.kind == "cookie" and "=" not in value:
        return False
    if meaning.strength == "password":
        return True
    if _BLANK.search(value):
        return False
    return meaning.strength == "secret" or is_made(value)


_OPAQUE = Pattern(r"[A-Za-z0-9._~+/=%:|-]{16,}")


def is_made(value: str) -> bool:
    """Whether ``value`` reads as an issued token: 16 characters or more, no blanks, not words."""
    return _OPAQUE.fullmatch(value) is not None and looks_made(value)
