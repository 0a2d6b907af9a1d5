"""Redaction finds every secret it claims to find, by value, shape and name, and leaves everything else alone."""

from __future__ import annotations

import base64
import json
import random
import sys
import threading
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from agentrace.errors import ConfigError
from agentrace.redact import Redactor, redactor
from agentrace.redact.redactor import rules_of
from agentrace.redact.spans import Span
from agentrace.redact.tokens import PREFIXES as PREFIX_TABLE
from tests.unit.redaction_examples import CLEAN, IMPERSONAL, PREFIXES, RULES, Example

STRICT = redactor("strict")
DEFAULT = redactor()
OFF = redactor("off")
EXAMPLES = [*PREFIXES.values(), *(example for examples in RULES.values() for example in examples)]


def cleaned(text: str, by: Redactor = STRICT) -> str:
    found = by.text(text)
    return text if found is None else found.text


# --- every rule has an example that it finds ----------------------------------------------------------------


def test_every_rule_has_an_example() -> None:
    assert set(RULES) == {rule.name for rule in rules_of("strict")}
    assert set(PREFIXES) == {prefix.text for prefix in PREFIX_TABLE}


@pytest.mark.parametrize("rule", rules_of("strict"), ids=lambda rule: rule.name)
def test_a_rule_finds_its_examples_by_itself(rule) -> None:
    for text, secret, _ in RULES[rule.name]:
        findings = [rule.find(text, at, True) for at in range(len(text)) if text[at] in rule.pivots]
        spans = [finding for finding in findings if isinstance(finding, Span)]

        assert any(secret in text[span.start : span.end] for span in spans)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.text[:40])
def test_a_secret_is_replaced_and_nothing_else(example: Example) -> None:
    found = STRICT.text(example.text)

    assert found is not None
    assert found.found == {example.kind: 1}
    before, _, after = example.text.partition(example.secret)
    shown = found.text.partition(f"⟨redacted:{example.kind}⟩")
    assert before.startswith(shown[0].rstrip('"\\'))
    assert after.endswith(shown[2].lstrip('"\\'))
    left = shown[0] + shown[2]
    assert not any(example.secret[i : i + 6] in left for i in range(len(example.secret) - 5))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.text[:40])
def test_bytes_are_redacted_like_text(example: Example) -> None:
    found = STRICT.data(example.text.encode())

    assert found is not None
    assert found.data.decode() == cleaned(example.text)
    assert found.found == {example.kind: 1}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.text[:40])
def test_redacting_twice_changes_nothing(example: Example) -> None:
    once = cleaned(example.text)

    assert STRICT.text(once) is None
    assert STRICT.data(once.encode()) is None
    assert STRICT.data(json.dumps(once).encode()) is None


STARTED = [
    *PREFIXES.values(),
    *(found for name in ("jwt", "email", "number", "phone", "iban", "ipv6") for found in RULES[name]),
]


@pytest.mark.parametrize("example", STARTED, ids=lambda example: example.secret[:20])
def test_a_secret_is_found_behind_an_escape(example: Example) -> None:
    for before in ("line\n", "column\t", "\u2028"):
        assert example.secret not in cleaned(before + example.secret)
        assert example.secret not in cleaned(json.dumps(before + example.secret))


@pytest.mark.parametrize("example", PREFIXES.values(), ids=PREFIXES)
def test_a_token_is_found_behind_colours_and_percents(example: Example) -> None:
    assert example.secret not in cleaned("\x1b[32m" + example.secret)
    assert example.secret not in cleaned(json.dumps("\x1b[1m" + example.secret))
    assert example.secret not in cleaned(quote("a, " + example.secret, safe=""))


# --- everything else passes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("text", CLEAN)
def test_what_holds_no_secret_passes(text: str) -> None:
    assert DEFAULT.text(text) is None
    assert DEFAULT.data(text.encode()) is None
    assert DEFAULT.text(text + "\n" * 400) is None


@pytest.mark.parametrize("text", IMPERSONAL)
def test_what_holds_no_personal_data_passes(text: str) -> None:
    assert STRICT.text(text) is None


def test_personal_data_is_left_by_the_default_profile() -> None:
    for name in ("email", "number", "phone", "iban", "ipv6"):
        for example in RULES[name]:
            assert DEFAULT.text(example.text) is None


def test_the_standard_library_passes() -> None:
    sources = [sys.modules[name] for name in ("json.decoder", "threading", "random", "base64", "urllib.parse")]
    texts = [Path(str(source.__file__)).read_text(encoding="utf-8") for source in sources]

    assert [DEFAULT.text(text) for text in texts] == [None] * len(texts)


def test_ids_are_never_taken_for_numbers() -> None:
    draw = random.Random(7)
    ids = [f"{draw.getrandbits(128):032x}" for _ in range(3000)]
    uuids = [f"{i[:8]}-{i[8:12]}-4{i[13:16]}-a{i[17:20]}-{i[20:]}" for i in ids]

    assert STRICT.text(" ".join(ids)) is None
    assert STRICT.text(" ".join(uuids)) is None
    assert STRICT.text(json.dumps([{"id": i, "session_id": f"s-{i}"} for i in uuids])) is None


# --- JSON, and JSON in strings ------------------------------------------------------------------------------

HARD_PASSWORDS = ['a"b', "a\\", '"', '\\"', "a\\\\", "ä\n\t\u2028", "a'b", "{[,:", "xy" * 4500 + '\\"']


@pytest.mark.parametrize("password", HARD_PASSWORDS)
@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_json_stays_json(password: str, depth: int, ascii_only: bool) -> None:
    value: object = {"user": "alice", "password": password, "after": ["kept", 1]}
    for _ in range(depth):
        value = {"body": json.dumps(value, ensure_ascii=ascii_only), "after": "kept"}
    body = json.dumps(value, ensure_ascii=ascii_only).encode()

    found = DEFAULT.data(body)

    assert found is not None
    shown = json.loads(found.data)
    for _ in range(depth):
        assert shown["after"] == "kept"
        shown = json.loads(shown["body"])
    assert shown["after"] == ["kept", 1]
    assert shown["password"].startswith("⟨redacted:password-field⟩")
    assert len(password) > 8192 or shown["password"] == "⟨redacted:password-field⟩"


def test_a_number_is_replaced_by_a_string() -> None:
    found = DEFAULT.data(b'{"password": 12345678, "port": 5432}')

    assert found is not None
    assert json.loads(found.data) == {"password": "⟨redacted:password-field⟩", "port": 5432}


def test_a_command_inside_of_json_ends_with_its_string() -> None:
    body = json.dumps({"command": "login --password='hunter2", "cwd": "/srv"}).encode()

    found = DEFAULT.data(body)

    assert found is not None
    assert json.loads(found.data) == {
        "command": "login --password='⟨redacted:password-field⟩",
        "cwd": "/srv",
    }


@pytest.mark.parametrize("before", ["line\n", "column\t", "\u2028", 'quote"', "back\\", "back\\\\n"])
def test_nothing_is_cut_out_of_an_escape(before: str) -> None:
    own = redactor("strict", extra=["[a-z]+-secret"], secrets=["nova-known-1"])

    for text in ("bob@example.org", "mine-secret", "nova-known-1", "face::1:2:3"):
        found = own.data(json.dumps({"text": before + text}).encode())

        assert found is not None
        assert json.loads(found.data)["text"].startswith(before[:-1])


def test_the_shortest_secrets_are_found() -> None:
    assert cleaned("pwd='x'", DEFAULT) == "pwd='⟨redacted:password-field⟩'"
    assert cleaned("a@b.co") == "⟨redacted:email⟩"


def test_bytes_of_any_kind_survive() -> None:
    token = PREFIXES["ghp_"].secret.encode()
    noise = bytes(range(256))

    found = DEFAULT.data(noise + b" " + token + b" " + noise)

    assert found is not None
    assert found.data == noise + b" " + "⟨redacted:github-token⟩".encode() + b" " + noise
    assert DEFAULT.data(noise) is None


# --- secrets known by value ---------------------------------------------------------------------------------

VALUE = "correct/horse+battery&staple?9"


@pytest.mark.parametrize(
    "spelling",
    [
        VALUE,
        json.dumps(VALUE)[1:-1],
        json.dumps(VALUE)[1:-1].replace("/", "\\/"),
        quote(VALUE, safe=""),
        quote(VALUE, safe="").lower(),
        quote(VALUE),
        *(base64.b64encode(b"." * offset + VALUE.encode()).decode() for offset in range(3)),
        *(base64.urlsafe_b64encode(b"." * offset + VALUE.encode() + b"..").decode() for offset in range(3)),
    ],
)
def test_a_known_value_is_replaced_in_every_spelling(spelling: str) -> None:
    found = redactor(secrets=[VALUE]).text(f"before {spelling} after")

    assert found is not None
    assert found.found == {"known-secret": 1}
    assert "⟨redacted:known-secret⟩" in found.text
    assert not any(spelling[i : i + 6] in found.text for i in range(6, len(spelling) - 12))


def test_known_values_that_overlap_leave_nothing() -> None:
    knows = redactor(secrets=["abcdefgh12", "gh12ijklmn", "abcdefgh12345"])

    assert cleaned("xabcdefgh12ijklmnx", knows) == "x⟨redacted:known-secret⟩x"
    assert cleaned("xabcdefgh12345x", knows) == "x⟨redacted:known-secret⟩x"
    assert cleaned("xabcdefgh1x", knows) == "xabcdefgh1x"


def test_a_known_value_with_lines_is_known_by_each_line() -> None:
    knows = redactor(secrets=["first line 1\nsecond line 2\n-\n"])

    assert cleaned("second line 2, first line 1", knows) == ("⟨redacted:known-secret⟩, ⟨redacted:known-secret⟩")


def test_letters_beyond_ascii_are_known_in_bodies_too() -> None:
    knows = redactor(secrets=["grüße-aus-köln"])
    found = knows.data("sag grüße-aus-köln!".encode())

    assert found is not None
    assert found.data.decode() == "sag ⟨redacted:known-secret⟩!"
    assert cleaned("sag grüße-aus-köln!", knows) == "sag ⟨redacted:known-secret⟩!"


def test_the_name_of_a_secret_does_not_depend_on_this_machine() -> None:
    token = PREFIXES["sk-"].secret
    texts = [token, f"Bearer {token}", f'{{"password": "{VALUE}"}}', f"API_KEY={VALUE}"]

    here = redactor(secrets=[token, VALUE])

    assert [cleaned(text, here) for text in texts[:3]] == [cleaned(text, DEFAULT) for text in texts[:3]]
    assert here.version == DEFAULT.version


# --- overlaps -----------------------------------------------------------------------------------------------


def test_what_overlaps_is_replaced_as_one() -> None:
    token = PREFIXES["sk-"].secret
    text = f"Authorization: Bearer {token}, password={token};x"

    found = redactor(secrets=[f"{token};x", token[5:]]).text(text)

    assert found is not None
    assert found.text == "Authorization: Bearer ⟨redacted:sk-key⟩, password=⟨redacted:sk-key⟩"
    assert found.found == {"sk-key": 2}


def test_a_mark_inside_of_a_match_goes_with_it() -> None:
    text = "see ⟨redacted:sk-key⟩ and <b>⟨redacted:jwt⟩</b>"
    own = redactor(extra=[r"<b>.*</b>", r"redacted", r"key⟩ and"])

    assert cleaned(text, own) == "see ⟨redacted:custom⟩ <b>⟨redacted:jwt⟩</b>".replace(
        " <b>⟨redacted:jwt⟩</b>", " ⟨redacted:custom⟩"
    )


# --- the user's patterns ------------------------------------------------------------------------------------


def test_own_patterns_are_replaced_in_every_profile() -> None:
    for profile in ("default", "strict", "off"):
        own = redactor(profile, extra=[r"ACME-\d{4}", r"(?i)ticket (?P<ticket_id>t\d+)"])

        assert cleaned("see ACME-1234 and Ticket T99.", own) == (
            "see ⟨redacted:custom⟩ and Ticket ⟨redacted:ticket-id⟩."
        )


def test_own_patterns_see_characters_also_in_bodies() -> None:
    own = redactor(extra=[r"[äöü]{2}\w"])
    found = own.data("x äöß y".encode())

    assert found is not None
    assert found.data.decode() == "x ⟨redacted:custom⟩ y"
    assert own.data(b"\xff\xfe x") is None


def test_a_pattern_that_matches_nothing_at_all_replaces_nothing() -> None:
    assert redactor(extra=["x*"]).text("abc") is None


def test_a_broken_pattern_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'\(' is no regular expression, missing \), unterminated"):
        redactor(extra=["("])


# --- profiles and versions ----------------------------------------------------------------------------------


def test_off_lets_everything_through() -> None:
    for example in EXAMPLES:
        assert OFF.text(example.text) is None
        assert OFF.data(example.text.encode()) is None
        assert OFF.url(example.text) == example.text
        assert OFF.header("Authorization", example.text) == example.text
        assert OFF.argv(["--password", example.text]) == ["--password", example.text]
        assert OFF.member("token", example.text) is None
    assert OFF.field("password") is None
    stream = redactor("off", secrets=[VALUE]).stream()
    assert stream.feed(VALUE.encode()) + stream.end() == VALUE.encode()


def test_the_version_names_the_rules() -> None:
    versions = {r.version for r in (DEFAULT, STRICT, OFF, redactor(extra=["a"]), redactor(extra=["b"]))}

    assert len(versions) == 5
    assert redactor().version == DEFAULT.version
    assert redactor(secrets=[VALUE]).version == DEFAULT.version


def test_threads_agree() -> None:
    shared = redactor("strict", secrets=[VALUE])
    texts = [example.text + " " * size for example in EXAMPLES for size in (0, 500)]
    expected = [cleaned(text, STRICT) for text in texts]
    results: list[list[str]] = []

    def work() -> None:
        results.append([cleaned(text, shared) for text in texts])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert results == [expected] * 4


# --- cost ---------------------------------------------------------------------------------------------------

HOSTILE = [
    *("eyJ-", "eyJa.", "sk-", "SG.", "password=", 'password="', "password='", "-----BEGIN PRIVATE KEY-----"),
    *("://a:b", '"token":"a" ', "Bearer ", "cookie: a=b; ", "::", "a@", "1 2", "--token-", "DE89 ", "+1", "\\"),
    *("-", "a.b.", '"password": "\\', "x@y.", "4111 ", "\\nsk-", "ghp_", "=", "⟨redacted:"),
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_text_takes_more_than_linear_time(piece: str) -> None:
    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        begin = time.process_time()
        STRICT.text(text)
        return time.process_time() - begin

    # 16 times the text may take 16 times the time; were it quadratic, it would take 256 times. A busy machine
    # may spoil one measurement, not three.
    ratios = (seconds(160_000) / max(seconds(10_000), 0.0005) for _ in range(3))

    assert any(ratio < 64 for ratio in ratios)


# --- the page -----------------------------------------------------------------------------------------------


def test_the_page_names_every_kind() -> None:
    page = (Path(__file__).parents[2] / "docs" / "redaction.md").read_text(encoding="utf-8")
    kinds = {example.kind for example in EXAMPLES} | {"known-secret", "custom"}

    assert [kind for kind in sorted(kinds) if f"`{kind}`" not in page and f":{kind}⟩" not in page] == []
