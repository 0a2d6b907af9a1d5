"""OpenAI's wire: chat completions, responses, embeddings and models, with their headers and errors.

Azure's paths (``/openai/deployments/NAME/...`` and ``/openai/v1/...``) reach the same endpoints.
"""

from __future__ import annotations

from email.utils import formatdate

from agentrace.testing.mint import Mint
from agentrace.testing.wire import Ask, Headers, Wire

from .chat import CHAT
from .embeddings import EMBEDDINGS
from .errors import UNREADABLE, failure, unknown
from .models import LISTING
from .responses import RESPONSES

_ALWAYS: Headers = [
    ("access-control-expose-headers", "X-Request-ID"),
    ("openai-organization", "org-stub"),
    ("openai-project", "proj_stub"),
    ("openai-version", "2020-10-01"),
    ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
    ("x-content-type-options", "nosniff"),
    ("x-ratelimit-limit-requests", "10000"),
    ("x-ratelimit-limit-tokens", "2000000"),
    ("x-ratelimit-remaining-requests", "9999"),
    ("x-ratelimit-reset-requests", "6ms"),
]


def headers(ask: Ask, mint: Mint, took: float) -> Headers:
    """The headers that every answer of OpenAI carries; ``took`` is in seconds."""
    used = ask.input_tokens
    return [
        *_ALWAYS,
        ("date", formatdate(mint.now, usegmt=True)),
        ("openai-processing-ms", str(round(1000 * took) + mint.whole(1, 9))),
        ("x-ratelimit-remaining-tokens", str(max(0, 2_000_000 - used))),
        ("x-ratelimit-reset-tokens", f"{used * 60 // 2000}ms"),
        ("x-request-id", f"req_{mint.hex(32)}"),
    ]


_ENDPOINTS = (CHAT, RESPONSES, EMBEDDINGS, LISTING)

OPENAI = Wire(
    name="openai",
    endpoints=_ENDPOINTS,
    headers=headers,
    failure=failure,
    unknown=lambda method, path: unknown(method, path, _ENDPOINTS),
    unreadable=UNREADABLE,
)
