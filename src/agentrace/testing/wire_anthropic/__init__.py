"""Anthropic's wire: messages, token counts and models, with their headers and errors."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import formatdate

from agentrace.testing.mint import Mint
from agentrace.testing.wire import Ask, Headers, Wire

from .errors import UNREADABLE, failure, unknown
from .messages import COUNTING, MESSAGES
from .models import LISTING

_LIMITS = {"requests": 4_000, "input-tokens": 2_000_000, "output-tokens": 400_000, "tokens": 2_400_000}


def headers(ask: Ask, mint: Mint, _took: float) -> Headers:
    """The headers that every answer of Anthropic carries."""
    reset = datetime.fromtimestamp(mint.now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    used = {"requests": 1, "input-tokens": ask.input_tokens, "output-tokens": 0, "tokens": ask.input_tokens}
    limits: Headers = []
    for name, limit in _LIMITS.items():
        limits += [
            (f"anthropic-ratelimit-{name}-limit", str(limit)),
            (f"anthropic-ratelimit-{name}-remaining", str(max(0, limit - used[name]))),
            (f"anthropic-ratelimit-{name}-reset", reset),
        ]
    return [
        ("date", formatdate(mint.now, usegmt=True)),
        ("request-id", mint.request_id("req_011", 21)),
        ("anthropic-organization-id", "00000000-0000-4000-8000-000000000000"),
        ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
        ("x-robots-tag", "none"),
        *limits,
    ]


_ENDPOINTS = (MESSAGES, COUNTING, LISTING)

ANTHROPIC = Wire(
    name="anthropic",
    endpoints=_ENDPOINTS,
    headers=headers,
    failure=failure,
    unknown=lambda method, path: unknown(method, path, _ENDPOINTS),
    unreadable=UNREADABLE,
    marked_by="anthropic-version",
)
