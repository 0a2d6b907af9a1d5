"""What is no cassette, is broken, or is made to do harm gets an error that names the file, the place and the way out."""

from __future__ import annotations

import base64
import gzip
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from agentrace.errors import CassetteError
from agentrace.vcr import read_cassette
from agentrace.vcr.loading import _loader
from tests.unit.cassettes import laid_down, one, read, run_of

pytest.importorskip("yaml", reason="PyYAML reads cassettes")

PLAIN = b'{"name": "caf\xc3\xa9"}'


@pytest.mark.parametrize(
    ("name", "text", "slug", "words"),
    [
        ("c.yaml", "services:\n  db: {image: postgres}\n", "cassette", "holds no list of `interactions`"),
        ("c.yaml", "just text", "cassette", "holds no list of `interactions`"),
        ("c.yaml", "", "cassette", "holds no list of `interactions`"),
        ("c.yaml", "- request: {}\n  response: {}\n", "cassette", "vcr.migration"),
        ("c.yml", "http_interactions: []\nrecorded_with: VCR 6.0.0\n", "cassette", "VCR 6.0.0"),
        ("c.yaml", "interactions: []\nversion: 2\n", "cassette-version", "version 2"),
        ("c.yaml", "interactions: [\n", "cassette-damaged", "line 2"),
        ("c.yaml", "interactions: []\n---\nversion: 1\n", "cassette-damaged", "document"),
        ("c.yaml", "interactions: [!!python/object/apply:os.system ['true']]\n", "cassette-damaged", "os.system"),
        ("c.yaml", "interactions: [!!python/name:os.system '']\n", "cassette-damaged", "os.system"),
        ("c.yaml", "interactions: [{a: 2026-99-99}]\n", "cassette-damaged", "month"),
        ("c.yaml", f"interactions: [{'9' * 5000}]\n", "cassette-damaged", "digits"),
        ("c.yaml", b"interactions: \xff", "cassette-damaged", "byte 14 is no UTF-8"),
        ("c.json", "{", "cassette-damaged", "no JSON"),
        ("c.json", "[" * 100_000, "cassette-damaged", "no JSON"),
        ("c.yaml", "[" * 100_000, "cassette-too-large", "nested"),
        ("c.yaml", "a: &a {k: v}\nb: {<<: [*a, *a]}\n", "cassette-too-large", "merges"),
        ("gone.yaml", None, "cassette", "cannot be read: No such file"),
    ],
)  # fmt: skip
def test_what_is_no_cassette(name: str, text: str | bytes | None, slug: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    began = time.monotonic()

    with pytest.raises(CassetteError) as refused:
        read_cassette(path)

    assert refused.value.slug == slug
    assert str(path) in refused.value.what
    assert words in str(refused.value)
    assert refused.value.do
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("no mapping", "it is a str"),
        ({}, "request is missing"),
        (one(request={"method": None}), "request.method is missing"),
        (one(request={"uri": "/relative"}), "no URL with a host"),
        (one(request={"uri": "http://[::1"}), "no URL with a host"),
        (one(request={"uri": "http://host/a\nb"}), "no URL with a host"),
        (one(request={"headers": ["a"]}), "request.headers is a list"),
        (one(request={"body": {"string": {"a": 1}}}), "request.body is a dict"),
        (one(response={"status": {"code": 0}}), "response.status is 0"),
        (one(response={"status": {"code": "²00"}}), "response.status is '²00'"),
        (one(response={"body": {"base64_string": "a"}}), "no base64"),
    ],
)
def test_a_broken_interaction_is_named(broken: Any, words: str, tmp_path: Path) -> None:
    path = laid_down(tmp_path / "c.json", one(), broken)

    with pytest.raises(CassetteError) as refused:
        read_cassette(path)

    assert refused.value.slug == "cassette-damaged"
    assert f"{path}, interaction 2: " in refused.value.what
    assert words in refused.value.what


def test_aliases_stand_for_what_they_name_but_not_without_end(tmp_path: Path) -> None:
    (first, second) = read(
        tmp_path / "c.yaml",
        """\
        version: 1
        interactions:
        - &one
          request: {method: GET, uri: http://shop.test/, headers: &none {}, body: null}
          response: {status: {code: 200, message: OK}, headers: *none, body: {string: "[]"}}
        - *one
        """,
    )
    assert (first.url, first.answer) == (second.url, second.answer)

    bombs = (
        # The same large body a million times.
        f"interactions:\n- &a\n  request: {{method: GET, uri: 'http://shop.test/', body: {'x' * 9000}}}\n"
        "  response: {status: {code: 200}}\n" + "- *a\n" * 9000,
        # A body of lists of lists.
        "interactions:\n- request: {method: GET, uri: 'http://shop.test/', parsed_body: &z [1]}\n"
        "  response:\n    status: {code: 200}\n    parsed_body:\n"
        + "".join(f"    - &l{n} [{', '.join([f'*l{n - 1}' if n else '*z'] * 10)}]\n" for n in range(12)),
        # A body that holds itself.
        (
            "interactions:\n- request: {method: GET, uri: 'http://shop.test/', parsed_body: &a [*a]}\n"
            "  response: {status: {code: 200}}\n"
        ),
    )
    for bomb in bombs:
        (tmp_path / "bomb.yaml").write_text(bomb)
        began = time.monotonic()
        with pytest.raises(CassetteError) as refused:
            read_cassette(tmp_path / "bomb.yaml")
        assert refused.value.slug == "cassette-too-large"
        assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        (gzip.compress(bytes(80 << 20), mtime=0), "cassette-too-large"),
        (gzip.compress(PLAIN, mtime=0)[:-6] + bytes(6), "cassette-damaged"),
    ],
)
def test_a_compressed_body_that_is_a_bomb_or_broken_is_refused(body: bytes, slug: str, tmp_path: Path) -> None:
    response = {"headers": {"content-encoding": "gzip"}, "body": {"base64_string": base64.b64encode(body).decode()}}

    with pytest.raises(CassetteError, match=r"interaction 1: response\.body is") as refused:
        run_of(tmp_path, one(response=response))

    assert refused.value.slug == slug


def test_yaml_needs_pyyaml_and_json_does_not(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("interactions: []")
    _loader.cache_clear()
    with patch.dict(sys.modules, {"yaml": None}):
        assert read_cassette(laid_down(tmp_path / "c.json", one())).interactions
        with pytest.raises(CassetteError, match=r"pip install 'agentrace\[vcr\]'") as refused:
            read_cassette(tmp_path / "c.yaml")

    assert refused.value.slug == "cassette-needs-yaml"
