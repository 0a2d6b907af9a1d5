"""Headers, URLs and command lines: places where the name or the position says what is secret."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from agentrace.redact.names import Named, is_made, is_secret, named
from agentrace.redact.patterns import Pattern
from agentrace.redact.spans import MARK, mark

Clean = Callable[[str], str]

# Names that say nothing of their value elsewhere.
_HEADERS = {"x-functions-key": "key-field", "x-goog-iap-jwt-assertion": "jwt", "x-amzn-oidc-data": "jwt"}
_SCHEME = Pattern(
    r"((?i:bearer|basic|digest|token|apikey|api-key|key|oauth|negotiate|ntlm|hmac|hawk|aws4-hmac-sha256))[ ]+(?=\S)"
)
_SCHEME_KINDS = {"bearer": "bearer", "basic": "basic-auth"}


def header(name: str, value: str, clean: Clean) -> str:
    """A header's value for the record: the whole of it is replaced, but for the scheme, if the name says so."""
    kind = _HEADERS.get(name.lower())
    meaning = named(name)
    if kind is None and meaning is not None and meaning.strength != "perhaps":
        kind = meaning.kind
    if kind is None:
        return clean(value)
    if not value.strip() or MARK.fullmatch(value.rpartition(" ")[2]):
        return value
    scheme = _SCHEME.match(value) if kind == "authorization" else None
    if scheme is None:
        return mark(kind)
    return scheme[0] + mark(_SCHEME_KINDS.get(scheme[1].lower(), kind))


_USERINFO = Pattern(r"([A-Za-z][A-Za-z0-9+.-]*://)([^/?#@:]*)(:?)([^/?#]*)@")
_WHEN_MADE = {"key", "code", "sig", "signature", "sas", "st", "ticket", "x-amz-signature", "x-goog-signature"}
_HEX = Pattern(r"%([0-9A-Fa-f]{2})")


def url(text: str, clean: Clean) -> str:
    """A URL without its password and without the parameters that are credentials; all else stays as it is."""
    rest, hash_sign, fragment = text.partition("#")
    rest, question_mark, query = rest.partition("?")
    userinfo = _USERINFO.match(rest)
    if userinfo is not None:
        rest = _without_password(userinfo) + rest[userinfo.end() :]
    return clean(rest + question_mark + _parameters(query) + hash_sign + _parameters(fragment))


def _without_password(userinfo: re.Match[str]) -> str:
    scheme, user, colon, password = userinfo.groups()
    if MARK.search(userinfo[0]):
        return userinfo[0]
    if password:
        password = mark("url-password")
    elif not colon and is_made(user):
        user = mark("url-password")
    return f"{scheme}{user}{colon}{password}@"


def _parameters(query: str) -> str:
    if "=" not in query:
        return query
    return "&".join(_parameter(part) for part in query.split("&"))


def _parameter(part: str) -> str:
    name, equals, value = part.partition("=")
    plain = _HEX.compiled.sub(lambda code: chr(int(code[1], 16)), name)
    meaning = named(plain)
    if meaning is not None:
        found = is_secret(Named(meaning.kind, "password"), value)
    else:
        found = plain.lower() in _WHEN_MADE and is_made(value)
    return f"{name}{equals}{mark(meaning.kind if meaning else 'url-parameter')}" if found else part


_OPTION = Pattern(r"--?([A-Za-z][A-Za-z0-9_.-]*)(?:(=)(.*))?", re.DOTALL)


def argv(arguments: Iterable[str], clean: Clean) -> list[str]:
    """A command line for the record: values of options whose names tell, and what ``clean`` finds."""
    told: list[str] = []
    expected: Named | None = None
    for argument in arguments:
        option = _OPTION.fullmatch(argument)
        if expected is not None and (option is None or not argument.startswith("--")):
            told.append(mark(expected.kind) if is_secret(expected, argument) else clean(argument))
            expected = None
            continue
        meaning = named(option[1]) if option else None
        expected = None
        if option is None or meaning is None:
            told.append(clean(argument))
        elif option[2] is None:
            expected = Named(meaning.kind, "password")
            told.append(argument)
        elif is_secret(Named(meaning.kind, "password"), option[3]):
            told.append(f"{argument[: -len(option[3])]}{mark(meaning.kind)}")
        else:
            told.append(clean(argument))
    return told
