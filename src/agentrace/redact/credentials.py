"""Secrets known by what stands before them: authentication schemes, PEM blocks, URLs with a password, hook URLs."""

from __future__ import annotations

import binascii
from collections.abc import Callable

from agentrace.redact.patterns import Pattern
from agentrace.redact.spans import Finding, Open, Rule, Span
from agentrace.redact.tokens import looks_made

LONGEST_KEY = 16_384
"""A PEM block's body is replaced up to this many characters."""


def _made(value: str) -> bool:
    return len(value) >= 12 and looks_made(value)


def is_basic_auth(value: str) -> bool:
    """Whether this is the base64 of ``user:password``; a word that follows "Basic" is not."""
    try:
        decoded = binascii.a2b_base64(value + "=" * (-len(value) % 4), strict_mode=True)
    except ValueError:
        return False
    return b":" in decoded and decoded.isascii() and decoded.decode("ascii").isprintable()


def _after(
    kind: str,
    pivots: str,
    near: str,
    before: str,
    value: str,
    check: Callable[[str], bool],
    *,
    name: str = "",
) -> Rule:
    """A rule for the run of characters ``value`` that follows ``before``, which begins at the pivot."""
    head, run = Pattern(f"(?=[{pivots}]{near}){before}"), Pattern(value)

    def find(text: str, at: int, whole: bool) -> Finding:
        lead = head.match(text, at)
        if lead is None:
            return None
        begin = lead.end()
        body = run.match(text, begin)
        end = body.end() if body else begin
        if end == len(text) and not whole:
            return Open(begin) if end > begin else None
        return Span(begin, end, kind) if end > begin and check(text[begin:end]) else None

    return Rule(name or kind, pivots, near, find)


def _bot_token(value: str) -> bool:
    return len(value) >= 32 and value.startswith("AA")


_TOKEN68 = r"[A-Za-z0-9._~+/-]{1,4096}={0,2}"

# --- PEM ----------------------------------------------------------------------------------------------------

_GAP = r"(?:[\s]|\\{1,4}[nrt])"
_HEAD = Pattern(r"-(?<=----)-BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----")
_BODY = Pattern(
    rf"(?:[A-Za-z-]{{3,32}}: [^\r\n\\]{{0,128}}{_GAP}{{1,8}}){{0,8}}"
    rf"[A-Za-z0-9+/=]{{16,{LONGEST_KEY}}}(?:{_GAP}{{1,8}}[A-Za-z0-9+/=]{{16,128}}){{0,300}}"
    # The last line may be short; a checksum may follow.
    rf"(?:{_GAP}{{1,8}}[A-Za-z0-9+/=]{{1,15}}(?![A-Za-z0-9+/=])){{0,2}}"
)
_LEADING_GAP = Pattern(rf"{_GAP}{{0,8}}")
_REACH = Pattern(rf"[A-Za-z0-9+/=:,.\s\\-]{{0,{LONGEST_KEY}}}")
_END = Pattern(rf"{_GAP}{{0,8}}-----END")


def _find_pem(text: str, at: int, whole: bool) -> Finding:
    head = _HEAD.match(text, at)
    if head is None:
        return None
    begin, limit = head.end(), head.end() + LONGEST_KEY
    gap = _LEADING_GAP.match(text, begin)
    body = _BODY.match(text, gap.end() if gap else begin, limit)
    if not whole and (body is None or _END.match(text, body.end()) is None):
        reach = _REACH.match(text, begin)
        if reach is not None and reach.end() == len(text) < limit:
            return Open(begin) if len(text) > begin else None
    return Span(*body.span(), "private-key") if body else None


# --- the rules ----------------------------------------------------------------------------------------------

_USER = r"""[^\s/?#@:"'<>\\]{0,64}"""
_PASSWORD = Pattern(r"""[^\s/?#"'<>\\]{1,256}""")
_URL_HEAD = Pattern(rf"(?<=[A-Za-z0-9+.-]):(?://|\\/\\/){_USER}:")


def _find_url_password(text: str, at: int, whole: bool) -> Finding:
    head = _URL_HEAD.match(text, at)
    if head is None:
        return None
    begin = head.end()
    body = _PASSWORD.match(text, begin)
    if body is None:
        return None
    if body.end() == len(text) and not whole:
        return Open(begin)
    end = text.rfind("@", begin, body.end())
    if end <= begin or end + 1 == body.end() or text[begin] == "$" or text[begin] == "{":
        return None
    return Span(begin, end, "url-password")


def credential_rules() -> list[Rule]:
    """The rules for what follows a known introduction."""
    bearer = r"B(?:earer|EARER)[ \t]{1,4}"
    return [
        _after("bearer", "B", r"(?=earer[ \t]|EARER[ \t])", bearer, _TOKEN68, _made),
        _after(
            "basic-auth",
            "B",
            r"(?=asic[ \t]|ASIC[ \t])",
            r"B(?:asic|ASIC)[ \t]{1,4}",
            _TOKEN68,
            is_basic_auth,
        ),
        Rule("private-key", "-", r"(?<=----)(?=-BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY)", _find_pem),
        Rule("url-password", ":", rf"""(?=[/\\](?:/|/\\/){_USER}:[^\s/?#"'<>\\])""", _find_url_password),
        _after(
            "url-parameter",
            "=",
            r"(?:(?<=[?&]sig=)|(?<=[?&]key=)|(?<=[?&]code=)|(?<=[?&-][sS]ignature=))",
            "=",
            r"[A-Za-z0-9%._~+/-]{1,2048}={0,2}",
            lambda value: len(value) >= 16 and looks_made(value),
        ),
        _after("bot-token", ":", r"(?<=[0-9]{8}:)", ":", r"AA?[A-Za-z0-9_-]{0,64}", _bot_token),
        _after(
            "hook-url",
            ".",
            r"(?=slack\.com/services/)(?<=hooks\.)",
            r"\.slack\.com/services/",
            r"[A-Za-z0-9/]{1,256}",
            lambda value: len(value) >= 20,
            name="hook-url slack",
        ),
        _after(
            "hook-url",
            ".",
            r"(?=com/api/webhooks/[0-9])(?<=discord\.|cordapp\.)",
            r"\.com/api/webhooks/[0-9]{1,24}/",
            r"[A-Za-z0-9_-]{1,256}",
            lambda value: len(value) >= 20,
            name="hook-url discord",
        ),
    ]
