"""OpenAI's errors: the body that comes with each status."""

from __future__ import annotations

from typing import Any

import msgspec

from agentrace.testing.answers import Failure
from agentrace.testing.mint import Mint
from agentrace.testing.wire import Ask, Endpoint

_INVALID = "invalid_request_error"
_BAD_KEY = (
    "Incorrect API key provided: sk-stub*****1234. "
    "You can find your API key at https://platform.openai.com/account/api-keys."
)
_TOO_FAST = (
    "Rate limit reached for {model} in organization org-stub on requests per min (RPM): "
    "Limit 500, Used 500, Requested 1. Please try again in 120ms."
)

_BY_STATUS: dict[int, tuple[str, str, str | None]] = {
    400: ("The request could not be processed: it has an invalid value.", _INVALID, None),
    401: (_BAD_KEY, _INVALID, "invalid_api_key"),
    403: ("Project does not have access to model `{model}`", _INVALID, "model_not_found"),
    404: ("The model `{model}` does not exist or you do not have access to it.", _INVALID, "model_not_found"),
    409: ("The resource is being changed by another request. Please try again.", _INVALID, "conflict"),
    422: ("The request was well-formed but could not be followed.", _INVALID, "unprocessable_entity"),
    429: (_TOO_FAST, "requests", "rate_limit_exceeded"),
    500: ("The server had an error while processing your request. Sorry about that!", "server_error", None),
    503: ("The engine is currently overloaded, please try again later.", "server_error", None),
    529: ("The service is overloaded, please try again later.", "overloaded_error", "overloaded"),
}
_BAD_GATEWAY = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    b"<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>cloudflare</center>\r\n"
    b"</body>\r\n</html>\r\n"
)

UNREADABLE = Failure(
    status=400,
    message="We could not parse the JSON body of your request. The OpenAI API "
    "expects a JSON payload, but what was sent was not valid JSON.",
)


def failure(told: Failure, ask: Ask, _mint: Mint) -> tuple[str, bytes]:
    """An error's content type and body: JSON as OpenAI writes it, or the page of the proxy in front of it."""
    if told.body is not None:
        return told.content_type or "text/plain; charset=utf-8", told.body.encode()
    if told.status == 502 and told.message is None:
        return "text/html", _BAD_GATEWAY
    return "application/json", msgspec.json.format(msgspec.json.encode({"error": error(told, ask)}), indent=2)


def error(told: Failure, ask: Ask) -> dict[str, Any]:
    """The ``error`` object: what the script says, and OpenAI's words for the rest. A code of "" is null."""
    other = _BY_STATUS[500 if told.status >= 500 else 400]
    message, kind, code = _BY_STATUS.get(told.status, other)
    return {
        "message": told.message or message.replace("{model}", ask.model),
        "type": told.type or kind,
        "param": told.param,
        "code": (code if told.code is None else told.code) or None,
    }


def unknown(method: str, path: str, endpoints: tuple[Endpoint, ...]) -> Failure:
    """The error for a path that OpenAI does not have, or for a method that its path does not have."""
    if any(endpoint.path.fullmatch(path) for endpoint in endpoints):
        return Failure(status=405, message=f"Not allowed to {method} on {path}.", code="method_not_supported")
    return Failure(status=404, message=f"Invalid URL ({method} {path})", code="")


def missing(parameter: str) -> Failure:
    """The error for a parameter that has to be there."""
    return Failure(
        status=400,
        message=f"Missing required parameter: '{parameter}'.",
        param=parameter,
        code="missing_required_parameter",
    )


NO_MODEL = Failure(status=400, message="you must provide a model parameter")
