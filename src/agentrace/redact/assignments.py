"""Secrets that stand behind their name: ``password=x``, ``"api_key": "x"``, ``--token x``, ``<secret>x</secret>``.

The name tells (see ``names``) and only the value is replaced. Values in quotes are read to the quote that closes
them, also where JSON stands inside a string of JSON and each quote has backslashes before it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from agentrace.redact.names import LONGEST_NAME, Named, is_secret, named
from agentrace.redact.patterns import Pattern
from agentrace.redact.spans import Finding, Open, Rule, Span

LONGEST_VALUE = 8192
_OPTION = r"[A-Za-z0-9_-]{0,40}(?:token|key|secret|password|passwd|passphrase|pwd|pass|authorization)"
_GAP = "\"'\\ ]`\t"
_NAME = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
_BEFORE = LONGEST_NAME + 16
_OPERATOR = Pattern(r"(?:=>|:=|===?|[:=>])[ \t]{0,8}")
_QUOTE = Pattern(r"(\\{0,7})([\"'`])")
_ESCAPE = Pattern(r"(?:[nrtbf]|u[0-9a-fA-F]{4})")
_SCHEME = Pattern(r"(?:[Bb]earer|BEARER|[Bb]asic|BASIC|[Tt]oken|[Aa]pi[-_]?[Kk]ey|[Dd]igest)[ \t]{1,4}")
_BARE = Pattern(r"[^\s\"'`\\,;&<>(){}\[\]|=]{1,512}={0,2}")
_NUMBER = Pattern(r"-?[0-9][0-9.eE+-]*")
_COOKIES = Pattern(r"[\w!#$%&*+.^|~-]{1,64}=[^;,\s\"'\\]{1,4096}(?:;[ ]?[\w-]{1,64}(?:=[^;,\s\"'\\]{0,1024})?){0,32}")
_STOPS = Pattern(r"(\\*)([\"'`])|\n")
_OUTER_END = Pattern(r"\"[ \t]{0,8}(?:[,}\]:\n]|\Z)")
_ATTRIBUTE = Pattern(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_CONSTANT = Pattern(r"[A-Z][A-Z0-9_]*\Z")
_DIGIT = Pattern(r"[0-9]")


class _Key(NamedTuple):
    name: str
    start: int
    gap: str


class _Assignment:
    """Judges what follows one operator."""

    def __init__(self, operator: str) -> None:
        self._here = Pattern(operator + _near(operator))

    def __call__(self, text: str, at: int, whole: bool) -> Finding:
        if self._here.match(text, at) is None:
            return None
        key = _key_before(text, at)
        if key is None or (text[at] == ">" and text[max(0, key.start - 1) : key.start] not in ("<", ":", "/")):
            return None
        if text[at] == ">":
            return _element(text, at + 1, key, whole)
        lead = _OPERATOR.match(text, at)
        return _value(text, lead.end() if lead else at + 1, key, whole)


_ELEMENT = Pattern(r"[^\s\"'`\\<>]{1,512}")


def _element(text: str, begin: int, key: _Key, whole: bool) -> Finding:
    """The text of an XML element."""
    meaning = named(key.name)
    value = _ELEMENT.match(text, begin) if meaning else None
    if meaning is None or value is None:
        return None
    end = value.end()
    if len(text) < end + 2 and not whole:
        return Open(begin)
    closed = text.startswith("</", end)
    return Span(begin, end, meaning.kind) if closed and is_secret(meaning, value[0]) else None


_OPTION_NAME = Pattern(rf"(?<=-)-(?={_OPTION}[ \t])([A-Za-z0-9_-]{{1,{LONGEST_NAME}}})[ \t]{{1,4}}")


def _find_option(text: str, at: int, whole: bool) -> Finding:
    option = _OPTION_NAME.match(text, at)
    return _value(text, option.end(), _Key(option[1], at + 1, ""), whole) if option else None


def _value(text: str, begin: int, key: _Key, whole: bool) -> Finding:
    meaning = named(key.name)
    if meaning is None or begin == len(text):
        return None
    quote = _QUOTE.match(text, begin)
    if quote is not None:
        # In ``prompt("Password: ")`` the quote closes what one before the name opened.
        if quote[2] == text[max(0, key.start - 1) : key.start] and quote[2] not in key.gap:
            return None
        return _quoted(text, quote, meaning, whole)
    return _bare(text, begin, key, meaning, whole)


def _key_before(text: str, at: int) -> _Key | None:
    window = text[max(0, at - _BEFORE) : at]
    head = window.rstrip(_GAP)
    gap = window[len(head) :]
    name = head[len(head.rstrip(_NAME)) :][-LONGEST_NAME:]
    if not name:
        return None
    start = at - len(gap) - len(name)
    if text[start - 1 : start] == "\\":
        escape = _ESCAPE.match(name)
        if escape is not None:
            return _Key(name[escape.end() :], start + escape.end(), gap)
    return _Key(name, start, gap)


# --- in quotes ----------------------------------------------------------------------------------------------


def _quoted(text: str, quote: re.Match[str], meaning: Named, whole: bool) -> Finding:
    begin = quote.end()
    if begin == len(text):
        return None
    end = _closing(text, begin, quote, whole)
    if end is None:
        if not whole and len(text) - begin < LONGEST_VALUE:
            return Open(begin)
        end = _uncut(text, begin, min(len(text), begin + LONGEST_VALUE))
    scheme = _SCHEME.match(text, begin, end)
    if scheme is not None and meaning.kind == "authorization":
        begin = scheme.end()
    return Span(begin, end, meaning.kind) if is_secret(meaning, text[begin:end]) else None


def _closing(text: str, begin: int, quote: re.Match[str], whole: bool) -> int | None:
    """The index where the quoted value that begins at ``begin`` ends; ``None``: not in this text.

    The backslashes before the opening quote are 0, 1, 3 or 7 as strings of JSON nest. At depth ``n`` a backslash of
    the value is written with ``2 * (n + 1)``, so their number modulo that tells the closing quote from one that is
    part of the value.
    """
    depth, opened = len(quote[1]), quote[2]
    unit = 2 * (depth + 1)
    for stop in _STOPS.finditer(text, begin, begin + LONGEST_VALUE):
        if stop[2] is None:
            return stop.start()
        odd = len(stop[1]) % unit
        if stop[2] == opened and odd != unit - 1:
            return stop.start(2) - odd
        # Inside a string of JSON, what an apostrophe opened ends at the latest where the string does.
        if stop[2] == '"' and opened != '"' and odd <= depth:
            outer = _OUTER_END.match(text, stop.start(2))
            if outer is not None:
                return stop.start(2) - odd if whole or outer.end() < len(text) or outer[0][-1] in ",}]:\n" else None
    return None


def _uncut(text: str, begin: int, end: int) -> int:
    """``end``, or a place before it where no escape is cut in two."""
    escape = text.rfind("\\", max(begin, end - 16), end)
    if escape < 0:
        return end
    while escape > begin and text[escape - 1] == "\\":
        escape -= 1
    return escape


# --- bare ---------------------------------------------------------------------------------------------------


def _bare(text: str, begin: int, key: _Key, meaning: Named, whole: bool) -> Finding:
    if text[begin] == "\\":
        return None
    if meaning.kind == "cookie":
        return _cookies(text, begin, whole)
    scheme = _SCHEME.match(text, begin) if meaning.kind == "authorization" else None
    start = scheme.end() if scheme else begin
    value = _BARE.match(text, start)
    end = value.end() if value else start
    if end == len(text) and not whole:
        return Open(begin)
    if value is None:
        return None
    quote = key.gap.strip(" \t]")
    if quote.endswith('"') and _NUMBER.fullmatch(value[0]):
        # A number of JSON: what replaces it must be a string.
        telling = meaning.strength == "password" and end - start >= 4
        return Span(start, end, meaning.kind, quote) if telling else None
    if text[end : end + 1] in ("(", "["):
        return None
    return Span(start, end, meaning.kind) if _is_bare_secret(value[0], text[begin - 1], key, meaning) else None


def _is_bare_secret(value: str, before: str, key: _Key, meaning: Named) -> bool:
    """Prose and code have names and colons, too: a bare value must look like no word and no expression."""
    if not is_secret(meaning, value):
        return False
    constant = _CONSTANT.search(key.name) if before == "=" and meaning.strength != "perhaps" else None
    if constant is not None and named(constant[0]) is not None:
        return len(value) >= 4  # a line of a shell or of an .env file, whatever the name is glued to
    if _ATTRIBUTE.fullmatch(value):
        return False
    least = 6 if meaning.strength == "password" else 8
    return len(value) >= least and _DIGIT.search(value) is not None


def _cookies(text: str, begin: int, whole: bool) -> Finding:
    value = _COOKIES.match(text, begin)
    if not whole:
        # Cookies may go on until something ends them that is in none of their parts.
        reach = _COOKIE_REACH.match(text, begin)
        if reach is not None and reach.end() == len(text) < begin + LONGEST_VALUE:
            return Open(begin)
    return Span(begin, min(value.end(), begin + LONGEST_VALUE), "cookie") if value else None


_COOKIE_REACH = Pattern(rf"[^,\t\r\n\"'\\]{{0,{LONGEST_VALUE}}}")


# --- where to look ------------------------------------------------------------------------------------------

_QUOTING = r"[\"'\\ \]`\t]"
# The last three letters tell most other names apart at the price of one look, whole endings the rest.
_LAST = r"[osprkaiOSPRKAI][rwesoiRWESOI][dtnyesDTNYES]"
_ENDINGS = (
    "pwd|Pwd|PWD",
    "oken|OKEN|cret|CRET|sswd|SSWD|[a-zA-Z_-](?:key|Key|KEY)",
    "sword|SWORD|hrase|HRASE|_pass|_PASS|ookie|OOKIE",
    "zation|ZATION",
)


_WHOLE = "|".join(f"(?<={endings})" for endings in _ENDINGS)


def _ends(gap: int, operator: str) -> str:
    """A name that may tell stands before so many quoting characters and the operator, which was just passed."""
    # Each character costs time when recording starts, so the endings and the gap are told once for all of them.
    return f"(?<={_LAST}{_gap(gap)}{operator})(?<=(?:{_WHOLE}){'.' * (gap + 1)})"


def _gap(size: int) -> str:
    return f"{_QUOTING}{{{size}}}" if size else ""


def _near(operator: str) -> str:
    if operator == ">":
        return _ends(0, operator)
    # A quote has 1, 3 and 7 backslashes before it as strings of JSON nest: from the fifth on all names pass.
    found = f"{_ends(4, operator)}|(?<={_gap(5)}{operator})"
    for count in (3, 2, 1):
        more = f"(?<={_gap(count + 1)}{operator})(?:{found})"
        found = f"{_ends(count, operator)}|{more}"
    return f"(?:{_ends(0, operator)}|(?<={_gap(1)}{operator})(?:{found}))"


def assignment_rules() -> list[Rule]:
    """One rule for each operator, and the one for options of a command."""
    rules = [Rule(f"assignment {op}", op, _near(op), _Assignment(op)) for op in ":=>"]
    rules.append(Rule("option", "-", rf"(?<=--)(?={_OPTION}[ \t])", _find_option))
    return rules
