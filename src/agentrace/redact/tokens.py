"""Keys and tokens that their issuer marked with a prefix: the table, and the rules made from it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

from agentrace.redact.patterns import Pattern
from agentrace.redact.spans import Finding, Open, Rule, Span

ALNUM = "A-Za-z0-9"
WORD = "A-Za-z0-9_"
DASHED = "A-Za-z0-9_-"
DOTTED = "A-Za-z0-9_.-"
CAPITALS = "A-Z0-9"
BASE64 = "A-Za-z0-9+/="
LONGEST = 1024
"""A run of token characters longer than this is data, not a key."""


class Prefix(NamedTuple):
    """``text`` followed by at least ``least`` characters of ``body`` is a secret of ``kind``."""

    kind: str
    text: str
    body: str
    least: int


def _prefixes(kind: str, body: str, least: int, *texts: str) -> list[Prefix]:
    return [Prefix(kind, text, body, least) for text in texts]


PREFIXES: tuple[Prefix, ...] = (
    *_prefixes("sk-key", DASHED, 20, "sk-"),
    *_prefixes("api-key", ALNUM, 20, "gsk_", "r8_", "fw_", "hf_", "e2b_"),
    *_prefixes("api-key", WORD, 20, "pcsk_", "lsv2_pt_", "lsv2_sk_"),
    *_prefixes("api-key", DASHED, 20, "tgp_v1_", "tvly-", "nvapi-"),
    # "\x78": the prefix is a provider's name, too, and those stand only in their own integration's file.
    *_prefixes("api-key", ALNUM, 32, "\x78ai-", "csk-", "pplx-", "fc-", "key-"),
    *_prefixes("api-key", DASHED, 24, "NRAK-", "PMAK-"),
    *_prefixes("github-token", ALNUM, 30, "ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
    *_prefixes("github-token", WORD, 40, "github_pat_"),
    *_prefixes("gitlab-token", DASHED, 20, "glpat-", "gldt-", "glrt-", "glptt-", "glcbt-", "glft-", "glsoat-"),
    *_prefixes("slack-token", DASHED, 20, "xoxa-", "xoxb-", "xoxe-", "xoxo-", "xoxp-", "xoxr-", "xoxs-", "xapp-"),
    *_prefixes("aws-access-key", CAPITALS, 16, "AKIA", "ASIA"),
    *_prefixes("google-api-key", DASHED, 35, "AIza"),
    *_prefixes("google-oauth-token", DASHED, 20, "ya29.", "GOCSPX-"),
    *_prefixes("stripe-key", ALNUM, 16, "sk_live_", "rk_live_", "sk_test_", "rk_test_"),
    *_prefixes("webhook-secret", BASE64, 24, "whsec_"),
    *_prefixes("sendgrid-key", DOTTED, 40, "SG."),
    *_prefixes("registry-token", ALNUM, 36, "npm_", "rubygems_"),
    *_prefixes("registry-token", DASHED, 20, "pypi-", "dckr_pat_"),
    *_prefixes("vault-token", DASHED, 20, "hvs.", "hvb.", "hvr."),
    *_prefixes("service-token", ALNUM, 20, "dop_v1_", "doo_v1_", "dor_v1_", "shpat_", "shpca_", "shppa_", "shpss_"),
    *_prefixes("service-token", DASHED, 20, "sbp_", "sb_secret_", "glsa_", "glc_", "lin_api_", "ntn_", "figd_"),
    *_prefixes("service-token", DASHED, 20, "pscale_tkn_", "pscale_pw_", "sntrys_", "sntryu_", "sq0atp-", "sq0csp-"),
    *_prefixes("service-token", ALNUM, 20, "dp.pt.", "dp.st."),
    *_prefixes("private-key", CAPITALS, 50, "AGE-SECRET-KEY-1"),
)

JWT = "eyJ"
LONGEST_JWT = 16_384
_JWT_BODY = Pattern(r"eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){1,3}")
_JWT_REACH = Pattern(rf"[A-Za-z0-9_.-]{{0,{LONGEST_JWT}}}")

# A token starts where no token character stands before it; behind a mark nothing starts, so that
# redacting twice finds nothing new. An escape (\n, \u0041, %20, the colour codes of a terminal) ends in a
# letter or digit, and a token may start behind it all the same.
_ESCAPED = r"(?<=\\[nrtbf])|(?<=\\u[0-9a-fA-F]{4})|(?<=%[0-9A-Fa-f]{2})|(?<=\[[0-9]m)|(?<=\[[0-9]{2}m)"
_STARTS = Pattern(rf"(?<![A-Za-z0-9_⟩\xa9-])|{_ESCAPED}")
_STARTS_DOTTED = Pattern(rf"(?<![A-Za-z0-9_.⟩\xa9-])|{_ESCAPED}")
_TAIL = 96
_RUN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"


def looks_made(text: str) -> bool:
    """Whether a machine made this: a stretch of 8 or more with a digit in it or capitals among small letters."""
    return any(_made(part) for part in _PARTS.split(text) if len(part) >= 8)


_PARTS = Pattern(r"[._-]+")
_DIGIT = Pattern(r"[0-9]")
_WORDS = Pattern(r"(?:[A-Z]?[a-z]{2,})+|[A-Z]+")


def _made(part: str) -> bool:
    if _DIGIT.search(part):
        return True
    return any("A" <= c <= "Z" for c in part) and _WORDS.fullmatch(part) is None


@cache
def _pivot(prefix: str) -> int:
    """The index of the prefix's rarest character: its last mark, or the capital that prose has least."""
    marks = [i for i, c in enumerate(prefix) if not c.isalnum()]
    return marks[-1] if marks else prefix.index("I")


def _run_of(body: str) -> Pattern:
    return Pattern(f"[{body}]{{0,{LONGEST + 1}}}")


class _Prefixes:
    """The finder of the prefixes that share a pivot character."""

    def __init__(self, prefixes: Iterable[Prefix]) -> None:
        self._table: dict[str, list[tuple[Prefix, int, Pattern, Pattern]]] = {}
        for p in sorted(prefixes, key=lambda p: -len(p.text)):
            pivot = _pivot(p.text)
            starts = _STARTS_DOTTED if p.body == DOTTED else _STARTS
            around = p.text[pivot - 1 : pivot + 1]
            self._table.setdefault(around, []).append((p, pivot, starts, _run_of(p.body)))

    def __call__(self, text: str, at: int, whole: bool) -> Finding:
        for prefix, pivot, starts, body in self._table.get(text[max(0, at - 1) : at + 1], ()):
            start = at - pivot
            if start < 0 or not text.startswith(prefix.text, start) or starts.match(text, start) is None:
                continue
            begin = start + len(prefix.text)
            run = body.match(text, begin)
            end = run.end() if run else begin
            if end - begin > LONGEST:
                return None
            if end == len(text) and not whole:
                return Open(start)
            if end - begin >= prefix.least and looks_made(text[begin:end]):
                return Span(start, end, prefix.kind)
            return None
        return None


def _find_jwt(text: str, at: int, whole: bool) -> Finding:
    start = at - 2
    if start < 0 or not text.startswith(JWT, start) or _STARTS_DOTTED.match(text, start) is None:
        return None
    reach = _JWT_REACH.match(text, start)
    end = reach.end() if reach else start
    if not whole and end == len(text) < start + LONGEST_JWT:
        return Open(start)
    found = _JWT_BODY.match(text, start, end)
    if found is None or found.end() - start < 32:
        return None
    return Span(start, found.end(), "jwt")


def _near(prefixes: Sequence[Prefix]) -> str:
    """The zero-width pattern behind the pivot: enough of the body, then one of the prefixes before it."""
    ahead: dict[str, dict[int, list[str]]] = {}
    for p in prefixes:
        pivot = _pivot(p.text)
        rest = re.escape(p.text[pivot + 1 :]) + f"[{p.body}]{{{min(p.least, 16)}}}"
        before = p.text[: pivot + 1]
        ahead.setdefault(rest, {}).setdefault(len(before), []).append(re.escape(before))
    choices = []
    for rest, widths in ahead.items():
        behind = "|".join(f"(?<={'|'.join(texts)})" for texts in widths.values())
        choices.append(f"(?={rest})(?:{behind})")
    near = f"(?:{'|'.join(choices)})"
    if min(_pivot(p.text) for p in prefixes) < 2:
        return near
    # Two characters before the pivot rule most of it out at the price of one look.
    pairs = {p.text[_pivot(p.text) - 2 : _pivot(p.text)] for p in prefixes}
    gate = "".join(f"[{''.join(sorted({pair[n] for pair in pairs}))}]" for n in (0, 1))
    return f"(?<={gate}.){near}"


def _proper_beginnings() -> frozenset[str]:
    texts = [p.text for p in PREFIXES] + [JWT]
    return frozenset(text[:n] for text in texts for n in range(1, len(text)))


_BEGINNINGS = _proper_beginnings()
_WHOLE = tuple(sorted({p.text for p in PREFIXES} | {JWT}))
_ESCAPE = Pattern(r"(?<=\\)(?:[nrtbf]|u[0-9a-fA-F]{4})|(?<=%)[0-9A-Fa-f]{2}|(?<=\[)[0-9]{1,2}m")


def _begins(text: str) -> int:
    """Where the run of token characters at the end begins, if it is the beginning of a token."""
    size = len(text)
    if not size or text[-1] not in _RUN:
        return size
    tail = text[-_TAIL:]
    run = size - len(tail) + len(tail.rstrip(_RUN))
    escape = _ESCAPE.match(text, run)
    starts = [run, *(at + 1 for at in range(run, size) if text[at] == ".")]
    if escape is not None:
        starts.append(escape.end())
    for start in sorted(starts):
        if start < size and (text.startswith(_WHOLE, start) or text[start:] in _BEGINNINGS):
            return start
    return size


# In base64 of anything the three letters come every 260 kB: what stands before them is asked at once.
_NEAR_JWT = (
    r"(?<=eyJ)(?=[A-Za-z0-9_-]{6})(?:(?<![A-Za-z0-9_-]eyJ)|(?<=\\.eyJ)|(?<=\\u.{4}eyJ)|(?<=%..eyJ)"
    r"|(?<=\[..eyJ)|(?<=\[...eyJ))"
)


def token_rules() -> list[Rule]:
    """One rule for each pivot character of the table, and the one for JSON web tokens."""
    groups: dict[str, list[Prefix]] = {}
    for prefix in PREFIXES:
        groups.setdefault(prefix.text[_pivot(prefix.text)], []).append(prefix)
    rules = [Rule(f"prefix {pivot}", pivot, _near(group), _Prefixes(group)) for pivot, group in groups.items()]
    rules.append(Rule("jwt", "J", _NEAR_JWT, _find_jwt, _begins))
    return rules
