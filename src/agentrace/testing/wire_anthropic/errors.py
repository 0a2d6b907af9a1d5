"""Anthropic's errors: the body that comes with each status."""

from __future__ import annotations

from typing import Any

import msgspec

from agentrace.testing.answers import Failure
from agentrace.testing.mint import Mint
from agentrace.testing.wire import Ask, Endpoint

_TOO_FAST = (
    "This request would exceed your organization's rate limit of 4,000 requests per minute. "
    "For details, refer to: https://docs.claude.com/en/api/rate-limits."
)
_BY_STATUS: dict[int, tuple[str, str]] = {
    400: ("The request could not be processed: it has an invalid value.", "invalid_request_error"),
    401: ("invalid x-api-key", "authentication_error"),
    402: ("Your credit balance is too low to access the API.", "billing_error"),
    403: ("Your API key does not have permission to use the specified resource.", "permission_error"),
    404: ("model: {model}", "not_found_error"),
    413: ("Request exceeds the maximum size", "request_too_large"),
    429: (_TOO_FAST, "rate_limit_error"),
    500: ("Internal server error", "api_error"),
    504: ("The request took too long to process.", "timeout_error"),
    529: ("Overloaded", "overloaded_error"),
}
_BAD_GATEWAY = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    b"<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>cloudflare</center>\r\n"
    b"</body>\r\n</html>\r\n"
)

UNREADABLE = Failure(status=400, message="The request body is not valid JSON: expected an object.")


def failure(told: Failure, ask: Ask, mint: Mint) -> tuple[str, bytes]:
    """An error's content type and body: JSON as Anthropic writes it, or the page of the proxy in front of it."""
    if told.body is not None:
        return told.content_type or "text/plain; charset=utf-8", told.body.encode()
    if told.status == 502 and told.message is None:
        return "text/html", _BAD_GATEWAY
    return "application/json", msgspec.json.encode(error(told, ask, mint))


def error(told: Failure, ask: Ask, mint: Mint) -> dict[str, Any]:
    """The ``error`` object: what the script says, and Anthropic's words for the rest.

    A ``code`` stands in the details; this wire has no place for a ``param``.
    """
    message, kind = _BY_STATUS.get(told.status, _BY_STATUS[500 if told.status >= 500 else 400])
    details = {"details": {"error_code": told.code}} if told.code else {}
    inner = {"type": told.type or kind, "message": told.message or message.replace("{model}", ask.model), **details}
    return {"type": "error", "error": inner, "request_id": mint.request_id("req_011", 21)}


def unknown(method: str, path: str, endpoints: tuple[Endpoint, ...]) -> Failure:
    """The error for a path that Anthropic does not have, or for a method that its path does not have."""
    if any(endpoint.path.fullmatch(path) for endpoint in endpoints):
        return Failure(status=405, type="invalid_request_error", message=f"Method {method} is not allowed on {path}.")
    return Failure(status=404, message="Not found")


def missing(field: str) -> Failure:
    """The error for a field that has to be there."""
    return Failure(status=400, message=f"{field}: Field required")
