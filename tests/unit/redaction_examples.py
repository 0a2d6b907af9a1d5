"""One text for every redaction rule, with the secret in it, and texts in which nothing is secret.

Tokens are put together here: a scanner that reads this file finds none.
"""

from __future__ import annotations

import base64
import json
from typing import NamedTuple

_MIXED = "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z"
_HEX = "0f3a9c5e7b1d2486"


def mixed(size: int) -> str:
    """Letters and digits as an issuer draws them, always the same."""
    return (_MIXED * (size // len(_MIXED) + 1))[:size]


def hexadecimal(size: int) -> str:
    return (_HEX * (size // len(_HEX) + 1))[:size]


class Example(NamedTuple):
    """``text`` holds ``secret``, of which nothing may be left, and is recognised as ``kind``."""

    text: str
    secret: str
    kind: str


def _token(kind: str, secret: str) -> Example:
    return Example(f'a token "{secret}" in a text', secret, kind)


_UUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
PREFIXES: dict[str, Example] = {
    prefix: _token(kind, prefix + body)
    for kind, prefix, body in (
        ("sk-key", "sk-", "proj-" + mixed(74) + "T3BlbkFJ" + mixed(74)),
        ("api-key", "gsk_", mixed(52)),
        ("api-key", "r8_", mixed(37)),
        ("api-key", "fw_", mixed(24)),
        ("api-key", "hf_", mixed(34)),
        ("api-key", "e2b_", hexadecimal(40)),
        ("api-key", "pcsk_", mixed(6) + "_" + mixed(63)),
        ("api-key", "lsv2_pt_", hexadecimal(32) + "_" + hexadecimal(10)),
        ("api-key", "lsv2_sk_", hexadecimal(32) + "_" + hexadecimal(10)),
        ("api-key", "tgp_v1_", mixed(43)),
        ("api-key", "tvly-", "dev-" + mixed(32)),
        ("api-key", "nvapi-", mixed(64)),
        ("api-key", "\x78ai-", mixed(80)),
        ("api-key", "csk-", mixed(48)),
        ("api-key", "pplx-", mixed(48)),
        ("api-key", "fc-", hexadecimal(32)),
        ("api-key", "key-", hexadecimal(32)),
        ("api-key", "NRAK-", mixed(27).upper()),
        ("api-key", "PMAK-", hexadecimal(24) + "-" + hexadecimal(34)),
        *(("github-token", prefix, mixed(36)) for prefix in ("ghp_", "gho_", "ghu_", "ghs_", "ghr_")),
        ("github-token", "github_pat_", mixed(22) + "_" + mixed(59)),
        *(("gitlab-token", f"gl{name}-", mixed(20)) for name in ("pat", "dt", "rt", "ptt", "cbt", "ft", "soat")),
        *(("slack-token", f"xox{letter}-", "123456789012-" + mixed(24)) for letter in "abeoprs"),
        ("slack-token", "xapp-", "1-A012345678-" + mixed(32)),
        ("aws-access-key", "AKIA", mixed(16).upper()),
        ("aws-access-key", "ASIA", mixed(16).upper()),
        ("google-api-key", "AIza", "Sy" + mixed(33)),
        ("google-oauth-token", "ya29.", "a0" + mixed(120)),
        ("google-oauth-token", "GOCSPX-", mixed(28)),
        *(("stripe-key", f"{role}_{mode}_", mixed(24)) for role in ("sk", "rk") for mode in ("live", "test")),
        ("webhook-secret", "whsec_", mixed(32)),
        ("sendgrid-key", "SG.", mixed(22) + "." + mixed(43)),
        ("registry-token", "npm_", mixed(36)),
        ("registry-token", "rubygems_", hexadecimal(48)),
        ("registry-token", "pypi-", "AgEIcHlwaS5vcmc" + mixed(130)),
        ("registry-token", "dckr_pat_", mixed(27)),
        *(("vault-token", f"hv{letter}.", mixed(24)) for letter in "sbr"),
        *(("service-token", f"d{letter}_v1_", hexadecimal(64)) for letter in ("op", "oo", "or")),
        *(("service-token", f"shp{kind}_", hexadecimal(32)) for kind in ("at", "ca", "pa", "ss")),
        ("service-token", "sbp_", hexadecimal(40)),
        ("service-token", "sb_secret_", mixed(31)),
        ("service-token", "glsa_", mixed(32) + "_" + hexadecimal(8)),
        ("service-token", "glc_", mixed(60)),
        ("service-token", "lin_api_", mixed(40)),
        ("service-token", "ntn_", mixed(46)),
        ("service-token", "figd_", mixed(40)),
        ("service-token", "pscale_tkn_", mixed(43)),
        ("service-token", "pscale_pw_", mixed(43)),
        ("service-token", "sntrys_", mixed(80)),
        ("service-token", "sntryu_", hexadecimal(64)),
        ("service-token", "sq0atp-", mixed(22)),
        ("service-token", "sq0csp-", mixed(43)),
        ("service-token", "dp.pt.", mixed(43)),
        ("service-token", "dp.st.", mixed(43)),
        ("private-key", "AGE-SECRET-KEY-1", mixed(58).upper()),
    )
}
"""By the prefix that gives it away."""

_LINES = "\n".join([mixed(64), mixed(64), mixed(30) + "=="])


def _pem(name: str) -> str:
    return f"-----BEGIN {name}-----\n{_LINES}\n-----END {name}-----"


def _url64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


JWT = f"{_url64(json.dumps({'alg': 'HS256'}))}.{_url64(json.dumps({'sub': '1234567890'}))}.{mixed(43)}"
_BASIC = base64.b64encode(b"alice:open sesame").decode()

RULES: dict[str, list[Example]] = {
    "prefix -": [PREFIXES["sk-"]],
    "prefix _": [PREFIXES["ghp_"]],
    "prefix .": [PREFIXES["SG."]],
    "prefix I": [PREFIXES["AKIA"]],
    "jwt": [_token("jwt", JWT)],
    "bearer": [
        Example(f"send Bearer {mixed(32)} with it", mixed(32), "bearer"),
        Example(f"Authorization: Bearer {mixed(32)}", mixed(32), "bearer"),
    ],
    "basic-auth": [Example(f"-H 'Authorization: Basic {_BASIC}'", _BASIC, "basic-auth")],
    "private-key": [
        Example(_pem("PRIVATE KEY"), _LINES, "private-key"),
        Example(_pem("RSA PRIVATE KEY").replace("\n", "\\n"), _LINES.replace("\n", "\\n"), "private-key"),
        Example(
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0F\n\n" + _LINES,
            _LINES,
            "private-key",
        ),
    ],
    "url-password": [
        Example("postgresql://app:pa55word@db.example.org/shop", "pa55word", "url-password"),
        Example("redis://:pa55word@cache:6379/0", "pa55word", "url-password"),
    ],
    "url-parameter": [Example(f"https://a.example.org/b?sv=1&sig={mixed(40)}%3D", mixed(40), "url-parameter")],
    "bot-token": [Example(f"https://api.example.org/bot12345678:AA{mixed(33)}/x", mixed(33), "bot-token")],
    "hook-url slack": [
        Example(f"https://hooks.slack.com/services/T0/B0/{mixed(24)}", mixed(24), "hook-url"),
    ],
    "hook-url discord": [
        Example(f"https://discord.com/api/webhooks/123/{mixed(68)}", mixed(68), "hook-url"),
    ],
    "assignment :": [
        Example('{"password": "hunter2"}', "hunter2", "password-field"),
        Example('{"password": "two words"}', "two words", "password-field"),
        Example(r'{"body": "{\"password\": \"a\\\"b\\\\c\"}"}', r"a\\\"b\\\\c", "password-field"),
        Example('{"api_key": "abcdef"}', "abcdef", "key-field"),
        Example('{"db_password": 12345678}', "12345678", "password-field"),
        Example(r'{"body": "{\"password\": 12345678}"}', "12345678", "password-field"),
        Example('{"apiKey":"abcdef"}', "abcdef", "key-field"),
        Example("'secretAccessKey': 'abcdef'", "abcdef", "aws-secret-key"),
        Example(f'"token": "{mixed(24)}"', mixed(24), "token-field"),
        Example("password: hunter2\nhost: a", "hunter2", "password-field"),
        Example(f"authorization: bearer {mixed(24)}", mixed(24), "authorization"),
        Example("Cookie: session=abc; theme=dark\nHost: a", "session=abc; theme=dark", "cookie"),
        Example(f'"refresh_token":"1//0{mixed(40)}"', mixed(40), "token-field"),
    ],
    "assignment =": [
        Example("password=hunter2", "hunter2", "password-field"),
        Example("DB_PASSWORD=correcthorse", "correcthorse", "password-field"),
        Example(r'{"log": "started\nAPI_KEY=correcthorse"}', "correcthorse", "key-field"),
        Example(r'{"log": "started\u2028pwd=hunter22"}', "hunter22", "password-field"),
        Example("client_secret = 'abcdef'", "abcdef", "secret-field"),
        Example('os.environ["SERVICE_API_KEY"] = "abcdef"', "abcdef", "key-field"),
        Example(f"https://a.example.org/b?access_token={mixed(20)}&c=d", mixed(20), "token-field"),
        Example(f"AccountKey={mixed(86)}==;Endpoint=x", mixed(86), "key-field"),
    ],
    "assignment >": [Example("<password>hunter2</password>", "hunter2", "password-field")],
    "option": [
        Example("mysql --password hunter2 -u root", "hunter2", "password-field"),
        Example(f"deploy --auth-token {mixed(20)}", mixed(20), "token-field"),
    ],
    "email": [Example("mail to alice.b+c@mail.example.org.", "alice.b+c@mail.example.org", "email")],
    "number": [
        Example("card 4111 1111 1111 1111, please", "4111 1111 1111 1111", "card-number"),
        Example("card 378282246310005.", "378282246310005", "card-number"),
        Example("from 192.0.2.17:443", "192.0.2.17", "ip-address"),
        Example("call 415-555-2671 now", "415-555-2671", "phone"),
    ],
    "phone": [
        Example("call +49 30 1234567 now", "+49 30 1234567", "phone"),
        Example("call (415) 555-2671 now", "(415) 555-2671", "phone"),
    ],
    "iban": [
        Example("to DE89 3704 0044 0532 0130 00 BANK", "DE89 3704 0044 0532 0130 00", "iban"),
        Example("to DE89370400440532013000, soon", "DE89370400440532013000", "iban"),
    ],
    "ipv6": [Example("from 2001:db8::ff00:42:8329 on", "2001:db8::ff00:42:8329", "ip-address")],
}
"""By the rule that finds it."""


def _noise(size: int) -> str:
    return mixed(size)[::-1]


CLEAN: tuple[str, ...] = (
    "",
    "The password is on the note under the keyboard; the token of a language is a word.",
    "Please enter your password: then press return. The secret: never give up.",
    "password: please, token: none, api_key: see below, secret: required",
    "a task-force for risk-adjusted-return-on-capital-2026 and a desk-based-researcher-2-fte",
    "use the --password flag, or --token, or --max-tokens 4096",
    f'run {_UUID}, commit 9fceb02d0ae598e95dc970b74767f19372d61af8, etag W/"0815"',
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==",
    "def connect(user: str, password: str | None = None, token: Optional[str] = None) -> None: ...",
    'password = get_password(user)\ntoken = self._token\napi_key = os.environ["SERVICE_API_KEY"]',
    "connect(password=password, token=settings.token, secret=config.secret.value2)",
    'input_password = getpass("Password: ", stream=None)',
    '{"usage": {"prompt_tokens": 12, "completion_tokens": 3}, "max_tokens": 1024, "stop_token": "</s>"}',
    '{"token": " Hello", "logprob": -0.31, "bytes": [32, 72]}, {"token": "!", "logprob": -1.5}',
    f'{{"signature": "{_noise(300)}", "encrypted_content": "gAAAAAB{_noise(200)}"}}',
    f'{{"next_page_token": "{_noise(40)}", "nextPageToken": "{_noise(40)}", "cursor": "eyJpZCI6MX0="}}',
    '{"type": "object", "properties": {"password": {"type": "string"}, "api_key": {"type": "string"}}}',
    '{"required": ["password", "token"], "password": "string", "api_key": "<your key>", "secret": "${SECRET}"}',
    '{"api_key": "", "password": null, "token": true, "secret": "********", "passwd": "xxxxxxxx"}',
    "Bearer tokens are described below; Basic understanding suffices; Bearer authentication/authorization",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY----- opens a key",
    "https://user@example.org:8443/a@b?key=blue&code=7&page=2#L10 and http://localhost:8080/x@y",
    "git@example.org:group/project.git, http://[::1]:3000/, C:\\sk-files\\ghp_old",
    f"sk-{_noise(1500)} is data",
    "sk-learn-contrib, sk-SK, hf_hub_download, npm_config_registry, r8_g8_b8_a8, pypi-server, key-value-store",
    "The cookie: a recipe. Set-Cookie is a header. Cookies: many.",
    "eyJ is how base64 of a JSON object begins; eyJpZCI6MX0 is one, eyJpZCI6MX0.txt a file of that name",
    "AKIAK and AIzaWa are no keys; ASIATIC-LION-POPULATION is none either",
    "λ x → y: 北京, 東京, żółć, 🙂 password → パスワード",
)
"""Nothing in them is a secret by the default profile."""

IMPERSONAL: tuple[str, ...] = (
    f"run {_UUID}, commit 9fceb02d0ae598e95dc970b74767f19372d61af8, chatcmpl-9xK2 at 1763640000000",
    "2026-11-20T12:34:56.789012Z took 3.141592653589793 s, 1,000,000 rows, version 1.2.3.4.5, v10.20.30.40",
    "ns 1763640000123456789, order 4111111111111112, id_4111111111111111, 4111111111111111-7",
    "http://127.0.0.1:8000 and 0.0.0.0:80, MAC 00:1b:44:11:3a:b7, 12:34:56, std::vector<int>, a::b",
    "x = +1.12345679 and +1980-02-29, -1.5e-10, 5 6 7 8 9 10 11 12, (415) is a number, @decorator, a @ b",
    "DE89 and GB82 WEST are no accounts; DE88370400440532013000 has wrong check digits",
)
"""Nothing in them is personal data."""
