import logging
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.core.exceptions import ImproperlyConfigured
from pytest_django.fixtures import Settings

from journeys.actions import guard, http, transport
from journeys.actions.base import PermanentError, TransientError
from tests.sinks_http import Drip, Hang, Reply, Reset, Sink


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


def post(url: str, *, guarded: bool = False) -> http.Answer:
    return http.post(url, b"{}", {"x-name": "Ä"}, guarded=guarded)


def test_an_answer_has_status_headers_and_body(sink: Sink) -> None:
    sink.next(Reply(202, {"X-Thing": "1"}, b'{"a": 1}'))
    answer = post(sink.url)
    assert (answer.status, answer.headers["x-thing"], answer.json()) == (202, "1", {"a": 1})
    (request,) = sink.requests
    assert request.body == b"{}"
    assert request.headers["x-name"].encode("latin-1").decode() == "Ä"
    assert request.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b"\xff"])
def test_a_body_that_is_no_json_object_reads_as_empty(sink: Sink, body: bytes) -> None:
    sink.next(Reply(200, {}, body))
    assert post(sink.url).json() == {}


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_status_that_may_pass_is_transient(sink: Sink, status: int) -> None:
    sink.next(Reply(status, {"Retry-After": "7"}, b"slow \n down"))
    error = http.failure(post(sink.url))
    assert isinstance(error, TransientError)
    assert error.retry_after == 7
    assert str(error) == f"127.0.0.1 answered {status}: slow down"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 413, 422])
def test_another_status_is_permanent(sink: Sink, status: int) -> None:
    sink.next(Reply(status))
    assert isinstance(http.failure(post(sink.url)), PermanentError)


@pytest.mark.parametrize(
    ("status", "destination"), [(408, "well"), (425, "well"), (429, "busy"), (500, "down"), (503, "down")]
)
def test_a_status_says_whether_others_will_fare_alike(sink: Sink, status: int, destination: str) -> None:
    sink.next(Reply(status))
    error = http.failure(post(sink.url))
    assert isinstance(error, TransientError)
    assert error.destination == destination


@pytest.mark.parametrize(
    ("url", "destination"),
    [
        ("https://Hooks.Example.com/a?b#c", "hooks.example.com:443"),
        ("http://example.com", "example.com:80"),
        ("http://user:secret@example.com:8080/x", "example.com:8080"),
        ("https://bücher.example/", "bücher.example:443"),
        ("https://[::1]:9/", "::1:9"),
        ("ftp://example.com/", ""),
        ("example.com", ""),
        ("", ""),
    ],
)
def test_a_destination_is_a_host_and_its_port(url: str, destination: str) -> None:
    assert http.destination_of(url) == destination


def test_retry_after_may_be_a_date(sink: Sink) -> None:
    sink.next(Reply(503, {"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"}))
    error = http.failure(post(sink.url))
    assert isinstance(error, TransientError)
    assert error.retry_after is not None
    assert error.retry_after > 365 * 24 * 3600


def test_a_redirect_is_not_followed(sink: Sink) -> None:
    sink.next(Reply(302, {"Location": f"{sink.url}/elsewhere"}))
    error = http.failure(post(sink.url))
    assert isinstance(error, PermanentError)
    assert "redirects are not followed" in str(error)
    assert len(sink.requests) == 1


def test_an_answer_that_never_comes_is_transient(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TOTAL_SECONDS", 0.2)
    sink.next(Hang())
    with pytest.raises(TransientError, match="no answer in time"):
        post(sink.url)


def test_an_answer_that_drips_ends_at_the_deadline(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TOTAL_SECONDS", 0.5)
    sink.next(Drip())
    before = time.monotonic()
    with pytest.raises(TransientError, match="no answer in time"):
        post(sink.url)
    assert time.monotonic() - before < 1.5


def test_a_broken_connection_is_transient(sink: Sink) -> None:
    sink.next(Reset())
    with pytest.raises(TransientError, match=r"127\.0\.0\.1: "):
        post(sink.url)


def test_a_closed_port_is_transient() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(TransientError, match="refused"):
            post(f"http://127.0.0.1:{unused.getsockname()[1]}")


def test_a_name_that_does_not_resolve_is_transient() -> None:
    with pytest.raises(TransientError, match=r"nowhere\.invalid"):
        post("https://nowhere.invalid/", guarded=True)


def test_plain_http_where_tls_is_expected_is_transient(sink: Sink) -> None:
    with pytest.raises(TransientError):
        post(sink.url.replace("http://", "https://"))


def test_a_long_answer_is_cut(sink: Sink) -> None:
    sink.next(Reply(200, {}, b"x" * (http.MAX_BODY * 3)))
    assert len(post(sink.url).body) == http.MAX_BODY
    assert post(sink.url).status == 200


def test_a_connection_is_used_again(sink: Sink) -> None:
    accepted = 0
    plain = sink._server.get_request

    def counting() -> tuple[socket.socket, object]:
        nonlocal accepted
        accepted += 1
        return plain()

    sink._server.get_request = counting  # type: ignore[method-assign]
    for _ in range(3):
        post(sink.url)
    assert accepted == 1


def test_no_error_and_no_log_names_the_url(sink: Sink, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    sink.next(Reply(500), Reset())
    first = str(http.failure(post(f"{sink.url}/botSECRET/sendMessage")))
    with pytest.raises(TransientError) as second:
        post(f"{sink.url}/botSECRET/sendMessage")
    assert "SECRET" not in first + str(second.value) + caplog.text


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "localhost",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "0.0.0.0",  # noqa: S104
        "224.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[fec0::1]",
        "[4000::1]",
    ],
)
def test_an_inside_address_is_refused(host: str) -> None:
    with pytest.raises(PermanentError, match="not permitted"):
        post(f"http://{host}:8080/", guarded=True)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_a_public_address_is_not_refused(address: str) -> None:
    guard.policy(()).check_address(address)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "http://example.com:25/",
        "http://u:p@example.com/",
        "http://①②⑦.0.0.1/",
        "http://",
        "nonsense",
        "",
    ],
)
def test_a_url_that_is_no_web_request_is_refused(url: str) -> None:
    with pytest.raises(PermanentError):
        post(url, guarded=True)


def test_a_name_that_resolves_inside_is_refused_and_nothing_is_connected(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers_with(monkeypatch, "127.0.0.1")
    with pytest.raises(PermanentError, match="Loopback"):
        post(sink.url.replace("127.0.0.1", "hooks.example"), guarded=True)
    assert sink.requests == []


def test_a_name_with_one_inside_address_among_public_ones_is_refused(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers_with(monkeypatch, "8.8.8.8", "127.0.0.1")
    with pytest.raises(PermanentError, match="not permitted"):
        post(sink.url.replace("127.0.0.1", "hooks.example"), guarded=True)


def test_a_name_is_resolved_once_so_that_rebinding_cannot_help(
    sink: Sink, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.WEBHOOK_ALLOWED_HOSTS = ["127.0.0.0/30"]
    asked = answers_with(monkeypatch, "127.0.0.1")
    post(sink.url.replace("127.0.0.1", "hooks.example"), guarded=True)
    assert asked == ["hooks.example"]
    assert len(sink.requests) == 1


@pytest.mark.parametrize("entry", ["127.0.0.1", "127.0.0.1:{port}", "127.0.0.0/8"])
def test_the_allow_list_opens_the_way_inside(sink: Sink, settings: Settings, entry: str) -> None:
    port = sink.host.split(":")[1]
    settings.WEBHOOK_ALLOWED_HOSTS = ["other.example", entry.format(port=port)]
    assert post(sink.url, guarded=True).status == 200


@pytest.mark.parametrize("entry", ["127.0.0.1:1", "127.0.0.2", "10.0.0.0/8", "localhost"])
def test_the_allow_list_opens_no_other_way(sink: Sink, settings: Settings, entry: str) -> None:
    settings.WEBHOOK_ALLOWED_HOSTS = [entry]
    with pytest.raises(PermanentError, match="WEBHOOK_ALLOWED_HOSTS"):
        post(sink.url, guarded=True)
    assert sink.requests == []


@pytest.mark.parametrize(
    "entry", ["10.0.0.1/8", "a b", "http://inside", "host:port", "u@host", "host/path", "64:ff9b::/96"]
)
def test_a_wrong_entry_of_the_allow_list_is_named(entry: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="WEBHOOK_ALLOWED_HOSTS"):
        guard.policy(guard.parse_allow_list((entry,)).networks)


def test_an_ipv6_host_can_be_allowed() -> None:
    allowed = guard.parse_allow_list(("[::1]:8080", "::2", "Inside.Example"))
    assert allowed.names("::1", 8080)
    assert not allowed.names("::1", 80)
    assert allowed.names("::2", 80)
    assert allowed.names("inside.example", 443)


@pytest.fixture
def tls(sink: Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[Sink]:
    """The sink behind TLS, with a certificate for hooks.example that the client trusts."""
    pem = tmp_path / "hooks.pem"
    pem.write_bytes(certificate("hooks.example"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    sink._server.socket = context.wrap_socket(sink._server.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    settings.WEBHOOK_ALLOWED_HOSTS = ["127.0.0.0/8"]
    monkeypatch.setattr(transport, "_kept", {})
    transport._ssl_context.cache_clear()
    yield sink
    transport._ssl_context.cache_clear()
    for pool in transport._kept.get(guard.allow_list().networks, []):
        pool.close()


def test_the_certificate_is_checked_against_the_name_though_the_address_is_pinned(
    tls: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers_with(monkeypatch, "127.0.0.1")
    address = tls.url.replace("http://", "https://")
    assert post(address.replace("127.0.0.1", "hooks.example"), guarded=True).status == 200
    with pytest.raises(TransientError, match="CERTIFICATE_VERIFY_FAILED"):
        post(address, guarded=True)


def certificate(name: str) -> bytes:
    """A key and a certificate that it signed itself, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    built = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
        .not_valid_after(datetime.now(UTC) + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(pem, pkcs8, serialization.NoEncryption()) + built.public_bytes(pem)


def answers_with(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """The resolver's answer is the test's; whether it is asked again is what it looks at."""
    asked: list[str] = []
    original = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *args: int, **kwargs: int) -> list[object]:
        if host != "hooks.example":
            return list(original(host, port, *args, **kwargs))
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked
