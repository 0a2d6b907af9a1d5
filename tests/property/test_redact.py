"""Redaction under any text: the quick look misses nothing, pieces give what the whole gives, nothing leaks."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentrace.redact import Redactor, redactor
from agentrace.redact.redactor import rank, rules_of
from agentrace.redact.scan import CONTEXT, LONG, replaced
from agentrace.redact.spans import Rule, Span, mark, merged
from agentrace.redact.stream import MOST_HELD
from tests.unit.redaction_examples import CLEAN, PREFIXES, RULES, mixed

EXAMPLES = [*PREFIXES.values(), *(found for examples in RULES.values() for found in examples)]
KNOWN = ["correct/horse+battery&staple?9", "Zq0aBcDeF", "Zq0aBcDeF/xyz", 'quo"ted\\secret1']
PROFILES = {
    "default": redactor(),
    "strict": redactor("strict"),
    "known": redactor(secrets=KNOWN),
    "plain known": redactor(secrets=KNOWN[:3]),
    "own": redactor(extra=[r"ACME-\d{2,8}", r"(?i)ticket ([a-z]+ )?(?P<ticket>\d+)", "[äö]+ß"], secrets=KNOWN),
}

# What rules look for, cut so that it comes together in every right and wrong way.
SCRAPS = [
    *("password", "passwd", "pwd", "PASSWORD", "secret", "token", "api_key", "apiKey", "authorization", "Cookie"),
    *("next_page_token", "private_key", "_", "-", "--", ".", ":", "=", ">", "</", "<", "=>", ":=", "==", "@", "://"),
    *(
        '"',
        "'",
        "`",
        "\\",
        '\\"',
        '\\\\\\"',
        "\\n",
        "\\u0041",
        "\n",
        " ",
        "  ",
        "\t",
        "]",
        "(",
        ")",
        ";",
        ",",
        "{",
        "}",
    ),
    *("Bearer ", "Basic ", "bearer ", "Token ", "sk-", "sk", "ghp_", "gh", "AKIA", "AIza", "eyJ", "SG.", "xoxb-", "I"),
    *(
        "a",
        "Zq0",
        "hunter2",
        "1234",
        "4111111111111111",
        "4111 1111 ",
        "192.0.2.1",
        "+49 30 12",
        "DE89",
        "::1",
        "2001:",
    ),
    *("-----BEGIN RSA PRIVATE KEY-----", "-----BEGIN ", "-----END RSA PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED"),
    *("hooks.slack.com/services/", "https", "?sig=", "&key=", "12345678", ":AA", "ä", "⟨", "⟩", "🙂", "\u2028", "%20"),
    *("redacted:", "⟨redacted:sk-key⟩", mark("password-field"), "ACME-12", "Ticket no 7", "äß", "\x1b[32m"),
    *(mixed(8), mixed(20), mixed(40), mixed(64), "x" * 30, "user:pass@", *KNOWN),
]
scraps = st.lists(
    st.one_of(
        st.sampled_from(SCRAPS),
        st.sampled_from([found.secret for found in EXAMPLES] + [found.text for found in EXAMPLES]),
        st.sampled_from(CLEAN),
        st.text(max_size=4),
    ),
    max_size=9,
).map("".join)
profiles = st.sampled_from(sorted(PROFILES))


def cleaned(by: Redactor, text: str) -> str:
    found = by.text(text)
    return text if found is None else found.text


def cleaned_bytes(by: Redactor, data: bytes) -> bytes:
    found = by.data(data)
    return data if found is None else found.data


# --- the quick look misses nothing --------------------------------------------------------------------------


def naively(rules: list[Rule], text: str) -> str:
    """Every rule at every place, without a look ahead."""
    findings = [rule.find(text, at, True) for rule in rules for at in range(len(text))]
    spans = merged((finding for finding in findings if isinstance(finding, Span)), text, rank)
    return replaced(text, 0, len(text), spans, mark)


@given(scraps, st.sampled_from(["default", "strict"]))
@settings(max_examples=150, deadline=None)
def test_the_quick_look_finds_what_all_rules_find(text: str, profile: str) -> None:
    rules = rules_of("strict" if profile == "strict" else "default")

    assert cleaned(PROFILES[profile], text) == naively(rules, text)


@given(scraps)
@settings(max_examples=80, deadline=None)
def test_a_long_text_is_judged_like_a_short_one(text: str) -> None:
    strict = PROFILES["strict"]
    blanks = "\n" * LONG

    assert cleaned(strict, blanks + text + blanks) == blanks + cleaned(strict, "\n" + text + "\n")[1:-1] + blanks


# --- pieces give what the whole gives -----------------------------------------------------------------------


def in_pieces(by: Redactor, data: bytes, cuts: list[int]) -> list[bytes]:
    stream = by.stream()
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    pieces = [stream.feed(data[a:b]) for a, b in pairwise(places)]
    return [*pieces, stream.end()]


KEY_AND_TOKEN = (
    "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0F\n\n"
    f"{mixed(64)}\n{mixed(64)}\ngsk_{mixed(30)}"
)
"""What the end of the text leaves open begins in the last line of the key, which begins after a newline."""


@given(scraps, st.lists(st.integers(0, 5000), max_size=12), profiles)
@example(KEY_AND_TOKEN, [], "default")
@settings(max_examples=250, deadline=None)
def test_pieces_give_what_the_whole_gives(text: str, cuts: list[int], profile: str) -> None:
    data = text.encode()

    assert b"".join(in_pieces(PROFILES[profile], data, cuts)) == cleaned_bytes(PROFILES[profile], data)


@given(scraps, profiles)
@settings(max_examples=60, deadline=None)
def test_single_bytes_give_what_the_whole_gives(text: str, profile: str) -> None:
    data = text.encode()

    pieces = in_pieces(PROFILES[profile], data, list(range(len(data))))

    assert b"".join(pieces) == cleaned_bytes(PROFILES[profile], data)


def in_two(by: Redactor, data: bytes, cut: int) -> tuple[bytes, int]:
    stream = by.stream()
    joined = stream.feed(data[:cut]) + stream.feed(data[cut:]) + stream.end()
    return joined, sum(stream.found.values())


@pytest.mark.parametrize("found", EXAMPLES, ids=lambda found: found.text[:30])
def test_a_secret_cut_anywhere_is_found(found) -> None:
    profile = "strict" if PROFILES["default"].text(found.text) is None else "default"
    escaped = json.dumps({"text": f"line\n{found.secret if found in PREFIXES.values() else found.text}"}).encode()

    for data in (f"data: {found.text}\n\n".encode(), escaped):
        whole = cleaned_bytes(PROFILES[profile], data)
        results = {in_two(PROFILES[profile], data, cut) for cut in range(len(data) + 1)}

        assert results == {(whole, 1)}


@pytest.mark.parametrize(
    "text",
    [
        *(f"it is {known}; see" for known in KNOWN),
        "Zq0aBcDeF⟨redacted:sk-key⟩Zq0aBcDeF",
        "Zq0aBcDeF\\u27e8redacted:sk-key\\u27e9",
        "-----BEGIN PRIVATE KEY-----\nis what it begins with",
        "sk-" + mixed(1500),
    ],
)
def test_what_is_cut_anywhere_is_judged_as_a_whole(text: str) -> None:
    data = text.encode()
    whole = cleaned_bytes(PROFILES["known"], data)

    assert {in_two(PROFILES["known"], data, cut)[0] for cut in range(len(data) + 1)} == {whole}


@given(st.lists(st.sampled_from(CLEAN), min_size=1, max_size=6), st.lists(st.integers(0, 5000), max_size=8))
@settings(max_examples=60, deadline=None)
def test_clean_pieces_pass_as_they_came(texts: list[str], cuts: list[int]) -> None:
    lines = [f"data: {json.dumps(text)}\n\n".encode() for text in texts]
    stream = PROFILES["default"].stream()

    assert [stream.feed(line) for line in lines] == lines
    assert stream.end() == b""
    assert stream.found == {}


words = st.one_of(
    st.sampled_from(
        ["a", "the ", "", "sk-", "password", "token", "Bearer ", "1234", "hunter2", '\\"', "a,b", "Zq0aBcDe", "F"]
    ),
    st.sampled_from([found.secret for found in EXAMPLES]),
    st.text("ab1 '!?,-_.", max_size=9),
)
events = st.sampled_from(
    [
        'data: {"id":"c-1","choices":[{"delta":{"content":%s},"n":1}]}\n\n',
        'data: {"password":%s}\n\n',
        'data: {%s:"hunter2"}\n\n',
        'data: {"a":{"token":%s}}\n',
        'data: [%s,"x"]\n\n',
    ]
)


@given(events, st.lists(words, max_size=8), profiles)
@example('data: {"password":%s}\n\n', ["none", "true", "hunter2"], "default")
@settings(max_examples=120, deadline=None)
def test_events_that_repeat_each_other_give_what_the_whole_gives(event: str, texts: list[str], profile: str) -> None:
    by = PROFILES[profile]
    pieces = [(event % json.dumps(text)).encode() for text in texts]
    stream = by.stream()

    assert b"".join([*(stream.feed(piece) for piece in pieces), stream.end()]) == cleaned_bytes(by, b"".join(pieces))


shapes = st.sampled_from(
    [
        '{"id":%s,"n":%d,"choices":[{"delta":{"content":%s}}],"padding":%s}\n',
        'data: {"name":%s,"value":%d,"token":%s,"password":%s}\n\n',
        '{"user":{"name":%s},"pwd":%d,"notes":[%s,%s]}',
        "api_key=%s %d --token %s:%s\n",
        '{"a":%s,"created":%d,"b":%s,"c":%s}',
    ]
)
numbers = st.one_of(st.integers(-9, 99_999), st.sampled_from([4111111111111111, 1790000000, 12345678]))
rows = st.lists(st.tuples(words, numbers, words, words), min_size=3, max_size=9)


@given(shapes, rows, profiles)
@settings(max_examples=200, deadline=None)
def test_a_body_of_a_known_shape_is_judged_like_any_other(shape: str, filled: list[Any], profile: str) -> None:
    by = PROFILES[profile]
    texts = [shape % tuple(part if isinstance(part, int) else json.dumps(part) for part in row) for row in filled]
    quiet = shape % ('"a"', 1, '"b"', '"c"'), shape % ('"d"', 2, '"e"', '"f"')

    for text in (*quiet, *texts):
        assert cleaned_bytes(by, text.encode()).decode() == cleaned(by, text)


def test_a_known_secret_with_quotation_marks_is_found_in_a_body_of_a_known_shape() -> None:
    by = redactor(secrets=['{"reg":"r.example.org","auth":"dXNlcjpodW50ZXIy","x":"b"}'])

    def body(auth: str, last: str) -> bytes:
        return f'{{"cfg":{{"reg":"r.example.org","auth":"{auth}","x":"{last}"}}}}'.encode()

    assert [by.data(body(letter * 4, letter)) for letter in "acd"] == [None] * 3
    assert cleaned_bytes(by, body("dXNlcjpodW50ZXIy", "b")).decode() == '{"cfg":⟨redacted:known-secret⟩}'


def test_a_text_that_differs_behind_many_slots_is_judged_as_quickly_as_another() -> None:
    by = redactor()

    def body(letter: str, end: str) -> bytes:
        return json.dumps({"rows": [f" {letter}{n}" for n in range(20)], "counts": [*range(3)], "end": end}).encode()

    for letter in "abcd":
        by.data(body(letter, "stop"))
    began = time.process_time()
    assert by.data(body("z", "length of all that was asked for")) is None

    assert time.process_time() - began < 0.5  # one way for each slot; all ways of all slots take minutes


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=6), profiles)
@settings(max_examples=80, deadline=None)
def test_bytes_of_any_kind_come_through(data: bytes, cuts: list[int], profile: str) -> None:
    assert b"".join(in_pieces(PROFILES[profile], data, cuts)) == cleaned_bytes(PROFILES[profile], data)


@pytest.mark.parametrize("opening", ['"password": "', "-----BEGIN PRIVATE KEY-----\n", "eyJ", "sk-", "password="])
@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_withheld_is_bounded(opening: str, profile: str) -> None:
    stream = PROFILES[profile].stream()
    fed = out = 0

    for piece in [opening.encode(), *[mixed(1000).encode()] * 150]:
        fed += len(piece)
        out += len(stream.feed(piece))
        assert fed - out <= MOST_HELD + 8192 + CONTEXT or stream.found

    assert stream.end() is not None


# --- nothing leaks, nothing breaks --------------------------------------------------------------------------


@given(scraps, profiles)
@settings(max_examples=200, deadline=None)
@example("password=" + mark("custom") + "x1y2z3", "default")
@example(PREFIXES["sk-"].secret + "+49 30 1234567", "strict")
@example("correct/horse+battery&staple?9DB_PASSWORD=correcthorse", "known")
@example("Zq0aBcDeFDB_PASSWORD=correcthorse", "known")
def test_redacting_twice_changes_nothing(text: str, profile: str) -> None:
    by = PROFILES[profile]
    once = cleaned(by, text)

    assert cleaned(by, once) == once
    once_in_bytes = cleaned_bytes(by, text.encode())
    assert cleaned_bytes(by, once_in_bytes) == once_in_bytes


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), scraps),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(st.sampled_from(["password", "api_key", "token", "a", "cookie"]), scraps), inner, max_size=3
        ),
        inner.map(json.dumps),
        inner.map(lambda value: json.dumps(value, ensure_ascii=False)),
    ),
    max_leaves=6,
)


@given(json_values, st.booleans(), profiles)
@settings(max_examples=200, deadline=None)
def test_json_stays_json(value: object, ascii_only: bool, profile: str) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")

    shown = json.loads(cleaned_bytes(PROFILES[profile], body))

    assert type(shown) is type(value) or isinstance(shown, str)


@given(st.sampled_from(EXAMPLES), st.sampled_from(CLEAN), st.sampled_from(CLEAN), st.integers(0, 1))
@settings(max_examples=120, deadline=None)
def test_a_planted_secret_does_not_come_through(found, before: str, after: str, depth: int) -> None:
    body: object = f"{before}\n{found.text}\n{after}"
    for _ in range(depth):
        body = {"content": json.dumps({"text": body})}
    data = json.dumps(body).encode()
    planted = json.dumps(found.secret)[1:-1].encode()

    shown = cleaned_bytes(PROFILES["strict"], data)

    assert planted in json.dumps(f"{before}\n{found.text}\n{after}").encode()
    assert planted not in shown
    assert cleaned_bytes(redactor("off"), data) == data
