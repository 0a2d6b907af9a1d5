"""Redaction: secrets are taken out of everything before anything of it is hashed or written."""

from __future__ import annotations

from agentrace.redact.known import environment_secrets
from agentrace.redact.redactor import Profile, Redacted, RedactedBytes, Redactor, redactor
from agentrace.redact.stream import StreamRedactor

__all__ = [
    "Profile",
    "Redacted",
    "RedactedBytes",
    "Redactor",
    "StreamRedactor",
    "environment_secrets",
    "redactor",
]
