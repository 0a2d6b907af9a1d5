"""Personal data, for the strict profile: e-mail addresses, phone and card numbers, IBANs, IP addresses."""

from __future__ import annotations

from agentrace.redact.patterns import Pattern
from agentrace.redact.spans import Finding, Open, Rule, Span

_LOWER, _UPPER, _DIGITS = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
_MAILBOX = _LOWER + _UPPER + _DIGITS + "._%+-"
_HEX = "abcdefABCDEF" + _DIGITS
_LONGEST_MAILBOX = 64
_LONGEST_NUMBER = 48


def _starting(pivot: str, *, after: str) -> str:
    """Before ``pivot``, which was just passed, stands none of the characters ``after``, or the end of an escape."""
    escape = rf"(?<=\\[nrtbf]{pivot})|(?<=\\u[0-9a-fA-F]{{4}}{pivot})"
    return rf"(?:(?<![{after}]{pivot})|{escape})"


# --- e-mail -------------------------------------------------------------------------------------------------

_DOMAIN = Pattern(r"@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9-])")
_DOMAIN_REACH = Pattern(r"@[A-Za-z0-9.-]{0,256}")


def _find_email(text: str, at: int, whole: bool) -> Finding:
    before = text[max(0, at - _LONGEST_MAILBOX - 1) : at]
    start = at - len(before) + len(before.rstrip(_MAILBOX))
    if start == at or at - start > _LONGEST_MAILBOX:
        return None
    reach = _DOMAIN_REACH.match(text, at)
    if reach is not None and reach.end() == len(text) and not whole:
        return Open(start)
    domain = _DOMAIN.match(text, at)
    return Span(start, domain.end(), "email") if domain else None


# --- numbers ------------------------------------------------------------------------------------------------

_NUMBER_STARTS = _starting("[0-9]", after=r"\w.+(-") + "(?=[0-9 .-]{6})"
_NUMBER_REACH = Pattern(rf"[0-9 .-]{{0,{_LONGEST_NUMBER}}}")
_CARD = Pattern(
    r"(?:[0-9]{4}(?P<sep>[ -]?)[0-9]{4}(?P=sep)[0-9]{4}(?P=sep)[0-9]{1,4}(?:(?P=sep)[0-9]{3})?"
    r"|[0-9]{4}(?P<amex>[ -]?)[0-9]{6}(?P=amex)[0-9]{4,5})(?![0-9A-Za-z_]|[.-][0-9])"
)
_ISSUERS = Pattern(
    r"4(?:.{12}|.{15}|.{18})|(?:5[1-5]|2[2-7]|65|35).{14}|6(?:011|4[4-9].).{12}|3[47].{13}|3[0689].{12}|62.{14,17}"
)
# Loopback and "any" addresses tell nothing of anybody.
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = Pattern(rf"(?!127\.|0\.0\.0\.0){_OCTET}(?:\.{_OCTET}){{3}}(?![0-9A-Za-z_]|[.-][0-9])")
_LOCAL_PHONE = Pattern(r"[2-9][0-9]{2}([-. ])[2-9][0-9]{2}\1[0-9]{4}(?![0-9A-Za-z_]|[.-][0-9])")


def _find_number(text: str, at: int, whole: bool) -> Finding:
    if _NUMBER_HERE.match(text, at) is None:
        return None
    reach = _NUMBER_REACH.match(text, at)
    if reach is not None and reach.end() == len(text) < at + _LONGEST_NUMBER and not whole:
        return Open(at)
    card = _CARD.match(text, at)
    if card is not None and is_card(card[0]):
        return Span(at, card.end(), "card-number")
    for pattern, kind in ((_IPV4, "ip-address"), (_LOCAL_PHONE, "phone")):
        found = pattern.match(text, at)
        if found is not None:
            return Span(at, found.end(), kind)
    return None


_NUMBER_HERE = Pattern(rf"[0-9]{_NUMBER_STARTS}")


def is_card(text: str) -> bool:
    """Whether the digits in ``text`` are a card number: an issuer's range, its length and a right check digit."""
    digits = "".join(c for c in text if c in _DIGITS)
    if _ISSUERS.fullmatch(digits) is None or len(set(digits)) < 2:
        return False
    doubled = (int(c) * 2 for c in digits[-2::-2])
    return (sum(map(int, digits[::-2])) + sum(d - 9 if d > 9 else d for d in doubled)) % 10 == 0


_PHONE_NEAR = _starting("[+(]", after=r"\w+") + r"(?:(?<=\+)(?=[1-9][0-9 ().-]{6})|(?<=\()(?=[2-9][0-9]{2}\)))"
_PHONE_HERE = Pattern(rf"[+(]{_PHONE_NEAR}")
_PHONE = Pattern(
    # Not a signed decimal, not a signed year with month and day.
    r"(?!\+[0-9]+\.[0-9]+(?![0-9.])|\+[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:\+[1-9](?:[ ().-]{0,2}[0-9]){6,14}|\([2-9][0-9]{2}\)[-. ]?[2-9][0-9]{2}[-. ][0-9]{4})(?![0-9A-Za-z_])"
)
_PHONE_REACH = Pattern(rf"[+(][0-9 ().-]{{0,{_LONGEST_NUMBER}}}")


def _find_phone(text: str, at: int, whole: bool) -> Finding:
    if _PHONE_HERE.match(text, at) is None:
        return None
    reach = _PHONE_REACH.match(text, at)
    if reach is not None and reach.end() == len(text) < at + _LONGEST_NUMBER and not whole:
        return Open(at)
    phone = _PHONE.match(text, at)
    return Span(at, phone.end(), "phone") if phone else None


# --- IBAN ---------------------------------------------------------------------------------------------------

_IBAN_NEAR = r"(?<=[A-Z]{2}[0-9])(?=[0-9][A-Z0-9 ]{10})" + _starting("[A-Z]{2}[0-9]", after=r"\w")
_IBAN_HERE = Pattern(rf"[0-9]{_IBAN_NEAR}")
_IBAN_REACH = Pattern(r"[A-Z]{2}[0-9]{2}[A-Z0-9 ]{0,44}")
_IBAN_LENGTHS = {
    entry[:2]: int(entry[2:])
    for entry in [
        "AD24",
        "AE23",
        "AL28",
        "AT20",
        "AZ28",
        "BA20",
        "BE16",
        "BG22",
        "BH22",
        "BR29",
        "BY28",
        "CH21",
        "CR22",
        "CY28",
        "CZ24",
        "DE22",
        "DK18",
        "DO28",
        "EE20",
        "EG29",
        "ES24",
        "FI18",
        "FO18",
        "FR27",
        "GB22",
        "GE22",
        "GI23",
        "GL18",
        "GR27",
        "GT28",
        "HR21",
        "HU28",
        "IE22",
        "IL23",
        "IQ23",
        "IS26",
        "IT27",
        "JO30",
        "KW30",
        "KZ20",
        "LB28",
        "LC32",
        "LI21",
        "LT20",
        "LU20",
        "LV21",
        "LY25",
        "MC27",
        "MD24",
        "ME22",
        "MK19",
        "MR27",
        "MT31",
        "MU30",
        "NL18",
        "NO15",
        "PK24",
        "PL28",
        "PS29",
        "PT25",
        "QA29",
        "RO24",
        "RS22",
        "SA24",
        "SC31",
        "SE24",
        "SI19",
        "SK24",
        "SM27",
        "ST25",
        "SV28",
        "TL23",
        "TN24",
        "TR26",
        "UA29",
        "VA22",
        "VG24",
        "XK20",
    ]
}


def _find_iban(text: str, at: int, whole: bool) -> Finding:
    start = at - 2
    length = _IBAN_LENGTHS.get(text[max(0, start) : at])
    if length is None or _IBAN_HERE.match(text, at) is None:
        return None
    reach = _IBAN_REACH.match(text, start)
    if reach is not None and reach.end() == len(text) < start + 48 and not whole:
        return Open(start)
    run = reach[0] if reach else ""
    spaced = run[4:5] == " "
    size = length + (length - 1) // 4 if spaced else length
    groups = run[:size].split(" ")
    whole_groups = not spaced or all(len(group) == 4 for group in groups[:-1])
    ended = len(run) >= size and not text[start + size : start + size + 1].isalnum()
    return Span(start, start + size, "iban") if ended and whole_groups and is_iban(run[:size]) else None


def is_iban(text: str) -> bool:
    """Whether the check digits of ``text``, which has an IBAN's letters, digits and blanks, are right."""
    compact = text.replace(" ", "")
    turned = compact[4:] + compact[:4]
    return compact.isalnum() and int("".join(str(int(c, 36)) for c in turned)) % 97 == 1


# --- IPv6 ---------------------------------------------------------------------------------------------------

_IPV6_NEAR = r"(?<=[0-9a-fA-F \[]:)(?=[0-9a-fA-F:])"
_IPV6_HERE = Pattern(f":{_IPV6_NEAR}")
_IPV6_STARTS = Pattern(_starting("", after=r"\w-"))
_IPV6_ALONE = Pattern(r"[^\w-]|\Z")
_IPV6_CHARACTERS = _HEX + ":."
_IPV6_REACH = Pattern(r"[0-9a-fA-F:.]{0,64}")


def _find_ipv6(text: str, at: int, whole: bool) -> Finding:
    before = text[max(0, at - 48) : at]
    start = at - len(before) + len(before.rstrip(_IPV6_CHARACTERS))
    if text[max(0, start - 2) : start] == "\\u":
        start = min(start + 4, at)
    if ":" in text[start:at] or _IPV6_HERE.match(text, at) is None or _IPV6_STARTS.match(text, start) is None:
        return None
    reach = _IPV6_REACH.match(text, start)
    end = reach.end() if reach else at
    if end == len(text) < start + 64 and not whole:
        return Open(start)
    while end > at and text[end - 1] in ":." and text[end - 2 : end] != "::":
        end -= 1
    address = text[start:end]
    if address.count(":") < 3 or _IPV6_ALONE.match(text[end : end + 1]) is None or not is_ipv6(address):
        return None
    return Span(start, end, "ip-address")


def is_ipv6(text: str) -> bool:
    """Whether ``text`` is an IPv6 address with a digit in it."""
    import ipaddress

    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return any(c in _DIGITS for c in text)


def _begins(text: str) -> int:
    """Where an address or a number may begin that the end of ``text`` cuts."""
    size = len(text)
    tail = text[-320:]
    start = size - len(tail) + len(tail.rstrip(_MAILBOX + "@:"))
    for characters, opening, longest in (
        (_DIGITS + " ().-+", _DIGITS + "+(", 64),
        (_UPPER + _DIGITS + " ", _UPPER, 56),
    ):
        tail = text[-longest:]
        run = tail[len(tail.rstrip(characters)) :]
        while run and run[0] not in opening:
            run = run[1:]
        start = min(start, size - len(run))
    return start


def personal_rules() -> list[Rule]:
    """The rules that the strict profile adds."""
    return [
        Rule("email", "@", r"(?<=[A-Za-z0-9._%+-]@)(?=[A-Za-z0-9])", _find_email, _begins),
        Rule("number", _DIGITS, _NUMBER_STARTS, _find_number),
        Rule("phone", "+(", _PHONE_NEAR, _find_phone),
        Rule("iban", _DIGITS, _IBAN_NEAR, _find_iban),
        Rule("ipv6", ":", _IPV6_NEAR, _find_ipv6),
    ]
