"""Names tell: of fields, headers, URL parameters, options and environment variables."""

from __future__ import annotations

import json

import pytest

from agentrace.redact import environment_secrets, redactor
from tests.unit.redaction_examples import mixed

REDACTOR = redactor()
TOKEN = mixed(40)


# --- fields -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "names"),
    {
        "password-field": "password Passwd db_password userPassword ADMIN-PASSWORD passphrase pwd smtp_pass dbPass",
        "key-field": "api_key apikey apiKey X-Api-Key x-goog-api-key OPENSERVICE_API_KEY secret_key AccountKey"
        " subscription-key sshKey serviceRoleKey",
        "token-field": "access_token refreshToken ID_TOKEN session-token X-Amz-Security-Token github_token"
        " x-csrf-token PRIVATE-TOKEN bot_token",
        "secret-field": "secret client_secret clientSecret webhook.secret APP-SECRET",
        "aws-secret-key": "aws_secret_access_key secretAccessKey",
        "private-key": "private_key privateKey private_key_pem",
        "authorization": "authorization Proxy-Authorization HTTP_AUTHORIZATION",
        "cookie": "cookie Set-Cookie",
    }.items(),
)
def test_a_name_that_tells_stands_for_its_value(kind: str, names: str) -> None:
    assert {REDACTOR.field(name) for name in names.split()} == {f"⟨redacted:{kind}⟩"}


def test_other_names_tell_nothing() -> None:
    names = (
        "token tokens max_tokens prompt_tokens next_page_token pageToken continuation_token client_token eos_token"
        " pad_token key keys primary_key public_key publicKeyToken cache_key sort_key foreign_key idempotency_key"
        " access_key_id secret_name secretRef password_hash_algorithm password_policy api_key_env api_key_name"
        " author authorized cookies cookie_policy signature thought_signature encrypted_content session id"
    )

    assert [name for name in names.split() if REDACTOR.field(name)] == []


def test_very_many_names_are_told_right() -> None:
    assert [REDACTOR.field(f"field_{n}") for n in range(5000)] == [None] * 5000
    assert REDACTOR.field("password") == "⟨redacted:password-field⟩"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("token", TOKEN, "⟨redacted:token-field⟩"),
        ("token", " Hello", " Hello"),
        ("auth", TOKEN, "⟨redacted:token-field⟩"),
        ("auth", "oauth2 with a code", "oauth2 with a code"),
        ("password", "two words", "⟨redacted:password-field⟩"),
        ("password", "⟨redacted:password-field⟩", "⟨redacted:password-field⟩"),
        ("note", f"Bearer {TOKEN}", "Bearer ⟨redacted:bearer⟩"),
        ("max_tokens", TOKEN, TOKEN),
    ],
)
def test_a_member_is_told_by_name_and_value(name: str, value: str, shown: str) -> None:
    found = REDACTOR.member(name, value)

    assert (value if found is None else found.text) == shown
    assert found is None or sum(found.found.values()) == 1


# --- headers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Authorization", f"Bearer {TOKEN}", "Bearer ⟨redacted:bearer⟩"),
        ("authorization", "bearer x", "bearer ⟨redacted:bearer⟩"),
        ("Proxy-Authorization", "Basic YTpi", "Basic ⟨redacted:basic-auth⟩"),
        ("Authorization", 'Digest username="a", response="b"', "Digest ⟨redacted:authorization⟩"),
        ("Authorization", "abcdef", "⟨redacted:authorization⟩"),
        ("Authorization", "", ""),
        ("Cookie", "theme=dark", "⟨redacted:cookie⟩"),
        ("Set-Cookie", "a=b; Path=/; HttpOnly", "⟨redacted:cookie⟩"),
        ("x-api-key", "short", "⟨redacted:key-field⟩"),
        ("api-key", "short", "⟨redacted:key-field⟩"),
        ("X-Goog-Api-Key", "short", "⟨redacted:key-field⟩"),
        ("X-Amz-Security-Token", "short", "⟨redacted:token-field⟩"),
        ("x-functions-key", "short", "⟨redacted:key-field⟩"),
        ("X-Request-Id", TOKEN, TOKEN),
        ("User-Agent", "python/3 password-store", "python/3 password-store"),
        ("Sec-WebSocket-Protocol", f"realtime, api-key.sk-{TOKEN}", "realtime, api-key.⟨redacted:sk-key⟩"),
        ("Location", f"/cb#access_token={TOKEN}", "/cb#access_token=⟨redacted:token-field⟩"),
    ],
)
def test_a_header_keeps_its_scheme_at_most(name: str, value: str, shown: str) -> None:
    assert REDACTOR.header(name, value) == shown
    assert REDACTOR.header(name, shown) == shown


# --- URLs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example.org/b?c=d#e", "https://a.example.org/b?c=d#e"),
        ("https://u:p@a.example.org/", "https://u:⟨redacted:url-password⟩@a.example.org/"),
        (f"https://{TOKEN}@a.example.org/", "https://⟨redacted:url-password⟩@a.example.org/"),
        ("https://alice@a.example.org/", "https://alice@a.example.org/"),
        ("?api_key=k1&x=1&token=t1", "?api_key=⟨redacted:key-field⟩&x=1&token=⟨redacted:token-field⟩"),
        ("/p?access%5Ftoken=t1", "/p?access%5Ftoken=⟨redacted:token-field⟩"),
        (f"/p?X-Amz-Signature={TOKEN}&X-Amz-Date=1", "/p?X-Amz-Signature=⟨redacted:url-parameter⟩&X-Amz-Date=1"),
        (f"/p?sig={TOKEN}&key={TOKEN}", "/p?sig=⟨redacted:url-parameter⟩&key=⟨redacted:url-parameter⟩"),
        ("/p?key=blue&page_token=abc&code=7&q=a=b&&", "/p?key=blue&page_token=abc&code=7&q=a=b&&"),
        (f"/cb#id_token={TOKEN}&state=1", "/cb#id_token=⟨redacted:token-field⟩&state=1"),
        (f"/bot12345678:AA{mixed(33)}/send", "/bot12345678:⟨redacted:bot-token⟩/send"),
    ],
)
def test_a_url_loses_its_credentials_and_nothing_else(url: str, shown: str) -> None:
    assert REDACTOR.url(url) == shown
    assert REDACTOR.url(shown) == shown


# --- command lines ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        ("tool --password x --verbose", "tool --password ⟨redacted:password-field⟩ --verbose"),
        ("tool --api-key=x y", "tool --api-key=⟨redacted:key-field⟩ y"),
        ("tool --token x -password y", "tool --token ⟨redacted:token-field⟩ -password ⟨redacted:password-field⟩"),
        ("tool --password --verbose x", "tool --password --verbose x"),
        ("tool --max-tokens 5 --password-file /a/b", "tool --max-tokens 5 --password-file /a/b"),
        ("env DB_PASSWORD=correcthorse tool", "env DB_PASSWORD=⟨redacted:password-field⟩ tool"),
        (f"curl sk-{TOKEN}", "curl ⟨redacted:sk-key⟩"),
        ("tool --password", "tool --password"),
        ("tool --password -x", "tool --password ⟨redacted:password-field⟩"),
    ],
)
def test_a_command_line_is_redacted_by_its_options(argv: str, shown: str) -> None:
    assert REDACTOR.argv(argv.split()) == shown.split()
    assert REDACTOR.argv(shown.split()) == shown.split()


# --- the environment ----------------------------------------------------------------------------------------


def test_values_under_telling_names_are_secrets() -> None:
    environ = {
        "SERVICE_API_KEY": "key-value-1",
        "GH_TOKEN": "token-value-2",
        "APP_SECRET": "secret-value-3",
        "PGPASSWORD": "password-value-4",
        "DB_PASSWORD_2": "password-value-5",
        "DATABASE_URL": "postgresql://app:pass%2Fword6@db/shop",
        "SIGNING_KEY": "-----BEGIN PRIVATE KEY-----\nline-with-value-7\nshort\n-----END PRIVATE KEY-----",
        "DJANGO_SECRET_KEY": "/base64+secret/that8begins1with2a3SLASH",
    }

    assert set(environment_secrets(environ)) == {
        "key-value-1",
        "token-value-2",
        "secret-value-3",
        "password-value-4",
        "password-value-5",
        "pass%2Fword6",
        "pass/word6",
        "line-with-value-7",
        "/base64+secret/that8begins1with2a3SLASH",
    }


def test_what_would_ruin_a_record_is_no_secret() -> None:
    environ = {
        "PATH": "/usr/bin:/bin",
        "HOME": "/home/me",
        "PWD": "/srv/app/2026",
        "API_TOKEN": "short",
        "AUTH_TOKEN": "true",
        "USE_API_KEY": "required",
        "APP_SECRET": "development",
        "DB_PASSWORD": "postgres",
        "TOKEN_FILE": "/run/secrets/token_file_1",
        "SECRET_PATH": "vault/app/secret1",
        "MY_SECRET": "/run/secrets/my_secret_1",
        "HF_TOKEN": "~/.cache/token_1",
        "WIN_TOKEN": "C:\\Users\\me\\token1",
        "AUTH_SECRET_URL": "https://vault.example.org/v1/secret",
        "SESSION_TOKEN": "https://sso.example.org/realms/1",
        "MAX_TOKENS": "100000000",
        "CACHE_TOKEN": "000000000000000",
        "JOB_TOKEN": "1234567890",
        "SSH_AUTH_SOCK": "/tmp/ssh-x/agent.1234",
        "GPG_KEY": "A035C8C19219BA821ECEA86B64E628F8D684696D",
        "AWS_ACCESS_KEY_ID": "not-the-secret-1",
        "TOKENIZERS_PARALLELISM": "false-value-1",
        "PUBLIC_KEY": "public-value-1",
        "PROXY_URL": "http://proxy.example.org:3128",
    }

    assert environment_secrets(environ) == []


def test_what_the_environment_holds_does_not_get_out() -> None:
    environ = {"SERVICE_API_KEY": 'odd "value" with\\all/of+it', "SMTP_URL": "smtp://me:s3cr3t-pass@mail:25"}
    knows = redactor(secrets=environment_secrets(environ))

    body = json.dumps({"note": f"I use {environ['SERVICE_API_KEY']}", "log": "login me s3cr3t-pass ok"}).encode()
    found = knows.data(body)

    assert found is not None
    assert found.found == {"known-secret": 2}
    assert json.loads(found.data) == {
        "note": "I use ⟨redacted:known-secret⟩",
        "log": "login me ⟨redacted:known-secret⟩ ok",
    }


def test_an_environment_of_thousands_costs_no_more() -> None:
    environ = {f"APP_{n}_SECRET": f"value-{n:05d}-" + "x1y2" * (n % 7) for n in range(3000)}
    knows = redactor(secrets=environment_secrets(environ))
    longest = environment_secrets(environ)[0]

    found = knows.text(f"it is {longest}.")

    assert found is not None
    assert found.text == "it is ⟨redacted:known-secret⟩."
