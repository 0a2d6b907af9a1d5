"""Requests as the bytes that a client sends."""

from __future__ import annotations

import json

BODY = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}).encode()
CHAT = b"POST /v1/chat/completions HTTP/1.1\r\nHost: stub\r\n"
SIZED = CHAT + b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
CHUNKED = CHAT + b"Transfer-Encoding: chunked\r\n\r\n5;x=y\r\n%s\r\n%X\r\n%s\r\n0\r\nA: b\r\n\r\n" % (
    BODY[:5],
    len(BODY) - 5,
    BODY[5:],
)
MODELS = b"GET /v1/models HTTP/1.1\r\nHost: stub\r\n\r\n"
