"""The environment is checked: a missing or wrong value is one line that names it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCTION = {"SECRET_KEY": "k7" * 10 + "-only-in-this-test-" + "z3" * 10}


def run(*command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env={**kept, **environment}, capture_output=True, text=True, timeout=60
    )


def refusal(**environment: str) -> str:
    """What starting says with this environment. It must be one line, and an error."""
    done = run("manage.py", "check", **environment)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def setting(name: str, **environment: str) -> str:
    done = run("-c", f"from journeys_project import settings; print(settings.{name})", **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_missing_secret_key_is_named() -> None:
    assert refusal() == "Setting SECRET_KEY is missing: 50 or more random characters\n"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SECRET_KEY", "short", "is too weak"),
        ("SECRET_KEY", "a" * 60, "is too weak"),
        ("DEBUG", "perhaps", "is 'perhaps', expected 1 or 0"),
        ("DATABASE_URL", "mysql://u:hidden@host/name", "does not name a PostgreSQL database"),
        ("DATABASE_URL", "nonsense://u:hidden@host/name", "does not name a PostgreSQL database"),
        ("DATABASE_URL", "postgresql://u:hidden@host", "lacks the database's name"),
        ("DATABASE_URL", "postgresql://u:hidden@host:port/name", "is no address that can be read"),
        ("EMAIL_URL", "pigeon://u:hidden@host", "is no address that can be read"),
        ("TIME_ZONE", "Mars/Olympus", "is 'Mars/Olympus', no IANA time zone"),
        ("LANGUAGE_CODE", "xx-yy", "is 'xx-yy', no known language"),
        ("DEFAULT_FROM_EMAIL", "nobody", "expected an address such as"),
        ("DEFAULT_FROM_EMAIL", "a@b.example\r\nBcc: x@y.example", "must be one line"),
        ("EMAIL_BACKEND", "anymail.backends.pigeon.EmailBackend", "cannot be imported"),
        ("LEASE_SECONDS", "soon", "is 'soon', expected a whole number"),
        ("BATCH", "0", "is 0, expected 1 or more"),
        ("RATES", "email=fast", "holds 'email=fast', expected pairs such as email=100/s: 'fast' is no rate"),
        ("RATES", "telegram=1/s,email", "holds 'email', expected pairs"),
        ("BREAKER_FAILURES", "0", "is 0, expected 1 or more"),
        ("LOG_LEVEL", "LOUD", "is 'LOUD', expected one of"),
        ("TELEGRAM_API_URL", "api.telegram.org", "expected an http:// or https:// address"),
        ("CSRF_TRUSTED_ORIGINS", "example.com", "holds 'example.com'"),
        ("WEBHOOK_SECRETS", "whsec_c2hvcnQ=", "number 1 is no secret"),
        ("VAPID_PRIVATE_KEY", "hidden", "is no VAPID private key"),
        ("FCM_SERVICE_ACCOUNT_JSON", "/no/such/file", "names a file that cannot be read"),
        ("FCM_SERVICE_ACCOUNT_JSON", '{"project_id": "p"}', "lacks client_email, private_key, token_uri"),
    ],
)
def test_a_wrong_value_is_named_in_one_line(name: str, value: str, said: str) -> None:
    line = refusal(**{**PRODUCTION, name: value})
    assert line.startswith(f"Setting {name} ")
    assert said in line
    assert "hidden" not in line


def test_rates_are_given_over_the_default_ones() -> None:
    rates = setting("JOURNEYS['RATES']", **PRODUCTION, RATES="email=100/s, telegram:chat=unlimited")
    assert rates == "{'telegram': '30/s', 'telegram:chat': 'unlimited', 'email': '100/s'}"


def test_the_web_process_refuses_a_wrong_value_in_one_line() -> None:
    done = run("-m", "gunicorn", **PRODUCTION, LEASE_SECONDS="soon")
    assert done.returncode == 1
    assert done.stderr == "Setting LEASE_SECONDS is 'soon', expected a whole number\n"


def test_production_settings_pass_the_deployment_check() -> None:
    done = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert done.returncode == 0, done.stderr


def test_debug_is_off_unless_asked_for() -> None:
    assert setting("DEBUG", **PRODUCTION) == "False"
    assert setting("DEBUG", DEBUG="1") == "True"


def test_an_empty_value_counts_as_absent() -> None:
    assert setting("JOURNEYS['LEASE_SECONDS']", **PRODUCTION, LEASE_SECONDS="") == "60"


def test_mail_counts_as_configured_only_when_it_is_given() -> None:
    assert setting("JOURNEYS['EMAIL_CONFIGURED']", DEBUG="1") == "False"
    url = "smtp+tls://user:p%40ss@mail.example.com:587"
    assert setting("JOURNEYS['EMAIL_CONFIGURED']", DEBUG="1", EMAIL_URL=url) == "True"
    assert setting("EMAIL_HOST", DEBUG="1", EMAIL_URL=url) == "mail.example.com"
    assert setting("EMAIL_HOST_PASSWORD", DEBUG="1", EMAIL_URL=url) == "p@ss"
    assert setting("EMAIL_USE_TLS", DEBUG="1", EMAIL_URL=url) == "True"


def test_secrets_are_read_newest_first() -> None:
    secrets = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=,whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoyMzQ1Njc="
    assert setting("WEBHOOK_SECRETS[0]", DEBUG="1", WEBHOOK_SECRETS=secrets) == secrets.split(",")[0]


def test_a_provider_of_mail_is_set_up_by_its_own_variables() -> None:
    environment = {
        "DEBUG": "1",
        "EMAIL_BACKEND": "anymail.backends.postmark.EmailBackend",
        "ANYMAIL_POSTMARK_SERVER_TOKEN": "token",
    }
    assert setting("ANYMAIL['POSTMARK_SERVER_TOKEN']", **environment) == "token"
    assert setting("JOURNEYS['EMAIL_CONFIGURED']", **environment) == "True"


def test_connections_are_pooled_or_kept_but_not_both() -> None:
    default = "DATABASES['default']"
    assert setting(f"{default}['CONN_MAX_AGE']", DEBUG="1") == "60"
    assert setting(f"{default}['OPTIONS']", DEBUG="1") == "{}"
    assert setting(f"{default}['CONN_MAX_AGE']", DEBUG="1", DATABASE_POOL="8") == "0"
    assert setting(f"{default}['OPTIONS']['pool']['max_size']", DEBUG="1", DATABASE_POOL="8") == "8"


def test_a_socket_folder_is_a_database_address() -> None:
    url = "postgresql://postgres@/journeys?host=/run/postgresql"
    assert "/run/postgresql" in setting("DATABASES['default']", DEBUG="1", DATABASE_URL=url)
