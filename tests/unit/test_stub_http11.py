"""Reading HTTP/1.1 requests: the same however they arrive, and never more than an error."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentrace.testing.http11 import BadRequest, RequestReader
from tests.unit.raw_requests import BODY, CHUNKED, MODELS, SIZED


@given(st.lists(st.sampled_from([SIZED, CHUNKED, MODELS, b"\r\n" + MODELS]), max_size=4), st.data())
@example([CHUNKED, SIZED], None)
def test_requests_are_the_same_however_they_arrive(requests: list[bytes], data: st.DataObject | None) -> None:
    stream = b"".join(requests)
    size = data.draw(st.integers(1, max(1, len(stream)))) if data else 1
    reader = RequestReader()
    read: list[tuple[str, bytes, bytes]] = []

    for start in range(0, len(stream), size):
        reader.feed(stream[start : start + size])
        while (request := reader.next()) is not None:
            read.append((request[0].method, request[0].target, request[1]))

    chat, models = ("POST", b"/v1/chat/completions", BODY), ("GET", b"/v1/models", b"")
    assert read == [models if request.endswith(MODELS) else chat for request in requests]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET  HTTP/1.1\r\n\r\n", 400),
        (b"G(T / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nname : value\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n: value\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: \xb2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"F" * 17 + b"\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFF\r\n", 413),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 70_000, 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"1" * 70_000, 400),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 12_000, 431),
    ],
)
def test_what_is_no_request_is_refused(data: bytes, status: int) -> None:
    reader = RequestReader()
    reader.feed(data)

    with pytest.raises(BadRequest) as bad:
        reader.next()

    assert bad.value.status == status


@pytest.mark.parametrize("request_bytes", [SIZED, CHUNKED])
def test_a_body_may_be_as_long_as_the_limit_and_no_longer(request_bytes: bytes) -> None:
    enough, short = RequestReader(body_limit=len(BODY)), RequestReader(body_limit=len(BODY) - 1)
    enough.feed(request_bytes)
    short.feed(request_bytes)

    request = enough.next()
    with pytest.raises(BadRequest) as bad:
        short.next()

    assert request is not None
    assert request[1] == BODY
    assert bad.value.status == 413


@given(st.binary(max_size=300))
@example(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\n")
def test_no_bytes_break_the_reader(data: bytes) -> None:
    for prefix in (b"", MODELS[:-4], CHUNKED[:-20]):
        reader = RequestReader()
        reader.feed(prefix + data)
        with suppress(BadRequest):
            while (request := reader.next()) is not None:
                assert request[0].method
