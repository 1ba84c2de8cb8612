import json
import socket
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import pytest
from pytest_django.fixtures import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from journeys.actions.base import ConfigError, Outgoing, PermanentError, SkipStep, TemplateText
from journeys.actions.email import SendEmail
from journeys.actions.mailer import MISCONFIGURED_RETRY, destination
from journeys.logic.effects import Delivered, Outcome, Undelivered
from tests.actions.contexts import EXECUTION, deliver, make_context, outgoing, prepared_send
from tests.sinks import Answer, HangUp, Silence, SmtpSink

ACTION = SendEmail()
HELLO = {"subject": "Hi {{ user.first_name }}", "html": "<p>Hello <b>{{ user.first_name }}</b></p>"}


@pytest.fixture(params=[False, True], ids=["one by one", "pipelining"])
def smtp(settings: Settings, request: pytest.FixtureRequest) -> Iterator[SmtpSink]:
    with SmtpSink(pipelining=request.param) as sink:
        use(settings, sink)
        yield sink


def use(settings: Settings, sink: SmtpSink) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = sink.host, sink.port
    settings.DEFAULT_FROM_EMAIL = "Example <hello@mail.example.com>"


def batch(count: int) -> list[Outgoing]:
    send = prepared_send(ACTION, HELLO)
    return [outgoing(send, UUID(int=EXECUTION.int + number)) for number in range(count)]


def outcomes(messages: Sequence[Outgoing]) -> list[Outcome]:
    results = list(ACTION.send(messages))
    assert [key for key, _ in results] == [message.id for message in messages]
    return [outcome for _, outcome in results]


def undelivered(raw: dict[str, Any] = HELLO) -> Undelivered:
    outcome = deliver(ACTION, raw)
    assert isinstance(outcome, Undelivered)
    return outcome


# What is sent


def test_the_seeds_welcome_goes_out_in_html_and_text(smtp: SmtpSink) -> None:
    outcome = deliver(ACTION, {"template": "welcome", "subject": "Welcome!"})
    (message,) = smtp.messages
    assert isinstance(outcome, Delivered)
    assert outcome.result == {"status": "sent", "message_id": f"<{EXECUTION}@mail.example.com>"}
    assert (message.sender, message.recipients) == ("hello@mail.example.com", ["ann@example.com"])
    assert message.mime["Subject"] == "Welcome!"
    assert message.mime["From"] == "Example <hello@mail.example.com>"
    assert message.mime["Message-ID"] == f"<{EXECUTION}@mail.example.com>"
    assert message.mime["Date"] == "Sun, 01 Mar 2026 12:00:00 +0000"
    assert "Good to have you here, Ann" in message.part("plain")
    assert 'class="button"' not in message.part("html"), "a button without an address leads nowhere"
    assert "Three small things" not in message.part("plain"), "the preview line is hidden"


def test_every_repeat_has_the_same_bytes(smtp: SmtpSink) -> None:
    message = outgoing(prepared_send(ACTION, {"template": "welcome", "subject": "Schön, {{ user.first_name }}"}))
    outcomes([message, message])
    outcomes([message])
    assert len({received.content for received in smtp.messages}) == 1
    assert len(smtp.messages) == 3


@pytest.mark.parametrize("name", ["churn_checkin", "payment_failed", "renewal_reminder", "we_miss_you", "welcome"])
def test_each_shipped_template_has_its_subject_and_needs_no_attribute(name: str) -> None:
    send = prepared_send(ACTION, {"template": name}, make_context(attributes={"x": 1}))
    assert send.subject
    assert "{{" not in send.html + send.text
    assert "None" not in send.text


def test_a_button_appears_where_an_address_is_known() -> None:
    context = make_context(metadata={"action_url": "https://example.com/start?a=1&b=2"})
    send = prepared_send(ACTION, {"template": "welcome"}, context)
    assert "Get started (https://example.com/start?a=1&b=2)" in send.text


def test_a_template_in_the_database_goes_before_the_file_of_its_name() -> None:
    templates = {("email", "welcome"): TemplateText("Hi {{ plan }}", "<p>{{ plan }}</p>", "plain {{ plan }}")}
    send = prepared_send(ACTION, {"template": "welcome"}, make_context(templates=templates))
    assert (send.subject, send.html, send.text) == ("Hi premium", "<p>premium</p>", "plain premium")
    own = prepared_send(ACTION, {"template": "welcome", "subject": "Mine"}, make_context(templates=templates))
    assert own.subject == "Mine"


def test_styles_are_inlined_and_nothing_is_fetched() -> None:
    style = "<style>p { color: red } @media (max-width: 9px) { p { color: blue } }</style>"
    link = '<link rel="stylesheet" href="file:///etc/hostname"><link rel="stylesheet" href="http://127.0.0.1:9/a.css">'
    html = f"<html><head>{style}{link}</head><body><p>Hi</p></body></html>"
    send = prepared_send(ACTION, {"subject": "s", "html": html})
    assert '<p style="color: red;">' in send.html
    assert "@media" in send.html
    assert "/etc/hostname" not in send.html


def test_what_a_contact_says_about_itself_never_becomes_markup() -> None:
    context = make_context(attributes={"first_name": "<img src=x onerror=alert(1)>"})
    send = prepared_send(ACTION, HELLO, context)
    assert "<img" not in send.html
    assert "&lt;img" in send.html
    assert send.text == "Hello <img src=x onerror=alert(1)>"


def test_text_alone_is_sent_as_text(smtp: SmtpSink) -> None:
    deliver(ACTION, {"subject": "s", "text": "Hello {{ user.first_name }}"})
    assert smtp.messages[0].mime.get_content_type() == "text/plain"
    assert smtp.messages[0].part("plain").strip() == "Hello Ann"


def test_sender_name_and_reply_address_are_the_steps_own(smtp: SmtpSink) -> None:
    deliver(ACTION, {**HELLO, "from_name": "Änne, {{ plan }}", "reply_to": "help@example.com"})
    mime = smtp.messages[0].mime
    assert mime["From"].addresses[0].display_name == "Änne, premium"
    assert mime["From"].addresses[0].addr_spec == "hello@mail.example.com"
    assert mime["Reply-To"] == "help@example.com"


# Header injection

BREAKS = [
    "\r\nBcc: evil@example.com",
    "\nBcc: evil@example.com",
    "\rBcc: evil@example.com",
    "\u2028Bcc: evil@example.com",
]


@pytest.mark.parametrize("attack", [*BREAKS, "\r\n\r\n<script>", "\x00\x0b\x0cBcc: evil@example.com", "\x85Bcc: e@x.y"])
def test_a_value_can_not_begin_a_header(smtp: SmtpSink, attack: str) -> None:
    context = make_context(attributes={"first_name": f"Ann{attack}"})
    deliver(ACTION, {**HELLO, "from_name": "{{ user.first_name }}"}, context)
    (message,) = smtp.messages
    assert message.recipients == ["ann@example.com"]
    assert message.mime["Bcc"] is None
    assert sorted(message.mime.keys()) == sorted(
        ["Content-Type", "MIME-Version", "Subject", "From", "To", "Message-ID", "Date"]
    )
    head = attack.strip("\r\n\x00\x0b\x0c\x85\u2028")
    assert message.mime["Subject"] == f"Hi Ann {head}"


@pytest.mark.parametrize(
    "address",
    [
        *(f"ann@example.com{attack}" for attack in BREAKS),
        "ann@example.com, eve@example.com",
        "Ann <ann@example.com>",
        "ann",
    ],
)
def test_a_malformed_address_is_refused_for_good(address: str) -> None:
    with pytest.raises(PermanentError, match="malformed"):
        prepared_send(ACTION, HELLO, make_context(contact={"email": address}))


# What is refused, and skipped


@pytest.mark.parametrize(
    ("raw", "field", "fault"),
    [
        ({}, "text", "a message is required"),
        ({"subject": "s", "html": " "}, "text", "a message is required"),
        ({"template": "welcome", "html": "<p>"}, "html", "comes from the template"),
        ({"template": "welcome", "text": "x"}, "text", "comes from the template"),
        ({"subject": "{{ x", "text": "x"}, "subject", "line 1"),
        ({"subject": "s", "html": "<p>\n{% if %}"}, "html", "line 2"),
        ({"subject": 1, "text": "x"}, "subject", "must be a text"),
        ({"subject": "x" * 501, "text": "x"}, "subject", "500"),
        ({**HELLO, "reply_to": "a@b.c\r\nBcc: x@y.z"}, "reply_to", "no e-mail address"),
        ({**HELLO, "cc": "x@y.z"}, "cc", "is unknown here"),
    ],
)
def test_a_wrong_config_names_field_and_fault(raw: dict[str, Any], field: str, fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ACTION.parse(raw)
    assert list(caught.value.errors) == [field]
    assert fault in caught.value.errors[field]


def test_a_contact_without_an_address_is_skipped() -> None:
    with pytest.raises(SkipStep, match="no e-mail address"):
        prepared_send(ACTION, HELLO, make_context(contact={"email": ""}))


@pytest.mark.parametrize("name", ["nowhere", "../email/welcome", "/etc/passwd", "_layout", "welcome.html", "a\x00b"])
def test_a_template_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(PermanentError, match="there is no e-mail template"):
        prepared_send(ACTION, {"template": name, "subject": "s"})


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        ({"html": "<p>Hi</p>"}, "the e-mail has no subject"),
        ({"subject": "s", "html": "{{ nothing }}"}, "the e-mail is empty"),
        ({"subject": "s", "text": "a\n{{ 1 | divided_by: 0 }}"}, "the e-mail's text, line 2"),
    ],
)
def test_what_renders_to_nothing_or_fails_says_so(raw: dict[str, Any], fault: str) -> None:
    with pytest.raises(PermanentError, match=fault):
        prepared_send(ACTION, raw)


def test_the_missing_setting_is_named(settings: Settings) -> None:
    settings.JOURNEYS = {**settings.JOURNEYS, "EMAIL_CONFIGURED": False}
    assert ACTION.missing_setting() == "EMAIL_URL"
    settings.JOURNEYS = {**settings.JOURNEYS, "EMAIL_CONFIGURED": True}
    assert ACTION.missing_setting() is None


# What a mail server can do


def test_a_batch_takes_one_connection(smtp: SmtpSink) -> None:
    assert all(isinstance(outcome, Delivered) for outcome in outcomes(batch(20)))
    assert (len(smtp.messages), smtp.connections) == (20, 1)


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(("reply", "permanent"), [("451 4.3.0 try later", False), ("550 5.1.1 no such user", True)])
def test_4xx_is_transient_and_5xx_permanent(smtp: SmtpSink, stage: Any, reply: str, permanent: bool) -> None:
    smtp.next(Answer(stage, reply))
    first, second = outcomes(batch(2))
    assert isinstance(first, Undelivered)
    assert first.permanent is permanent
    assert first.error == f"the mail server answered {reply}"
    assert isinstance(second, Delivered), "the next message is not harmed"
    assert smtp.connections == 1


def test_421_is_transient_and_the_next_message_takes_a_new_connection(smtp: SmtpSink) -> None:
    smtp.next(Answer("MAIL", "421 4.7.0 too much"))
    first, second = outcomes(batch(2))
    assert isinstance(first, Undelivered)
    assert not first.permanent
    assert isinstance(second, Delivered)
    assert smtp.connections == 2


@pytest.mark.parametrize("stage", ["MAIL", "RCPT"])
def test_a_connection_that_breaks_on_the_way_is_opened_again_and_nothing_repeats(smtp: SmtpSink, stage: Any) -> None:
    messages = batch(5)
    results = ACTION.send(messages)
    taken = [next(results), next(results)]
    smtp.next(HangUp(stage))
    taken += results
    assert all(isinstance(outcome, Delivered) for _, outcome in taken)
    ids = [received.mime["Message-ID"] for received in smtp.messages]
    assert ids == [f"<{message.id}@mail.example.com>" for message in messages]
    assert smtp.connections == 2


def test_a_message_that_breaks_every_connection_is_transient_and_harms_no_other(smtp: SmtpSink) -> None:
    smtp.next(HangUp("DATA"))
    first, second = outcomes(batch(2))
    assert first == Undelivered("the mail server closed the connection", permanent=False, destination="down")
    assert isinstance(second, Delivered)


def test_a_silent_server_is_given_up_after_the_time_limit(smtp: SmtpSink, settings: Settings) -> None:
    settings.EMAIL_TIMEOUT = 0.3
    smtp.next(Silence("MAIL", 2))
    assert not undelivered().permanent


def test_a_server_that_is_away_is_transient_and_counts_against_the_server(settings: Settings) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = unused.getsockname()
        outcome = deliver(ACTION, HELLO)
        assert destination() == f"127.0.0.1:{settings.EMAIL_PORT}"
    assert isinstance(outcome, Undelivered)
    assert (outcome.permanent, outcome.destination) == (False, "down")
    assert "can't be reached" in outcome.error


@pytest.mark.parametrize(("password", "is_right"), [("right", True), ("wrong", False)])
def test_a_refused_login_is_transient_because_the_operator_can_mend_it(
    settings: Settings, password: str, is_right: bool
) -> None:
    with SmtpSink(password="right") as sink:
        use(settings, sink)
        settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "us", password
        outcome = deliver(ACTION, HELLO)
    assert isinstance(outcome, Delivered) is is_right
    if isinstance(outcome, Undelivered):
        assert (outcome.permanent, outcome.retry_after) == (False, MISCONFIGURED_RETRY)
        assert outcome.error.startswith("the mail server refused the login: 535")


def test_a_sender_that_can_not_be_written_is_permanent(smtp: SmtpSink, settings: Settings) -> None:
    settings.DEFAULT_FROM_EMAIL = "grüße@example.com"
    outcome = undelivered()
    assert outcome.permanent
    assert outcome.error.startswith("this can't be sent as e-mail")


def test_nothing_is_sent_before_it_is_drawn(smtp: SmtpSink) -> None:
    results = ACTION.send(batch(3))
    assert smtp.connections == 0
    next(results)
    assert len(smtp.messages) == 1
    results.close()  # type: ignore[attr-defined]


# A provider's API, by anymail


@pytest.fixture
def postmark(settings: Settings, httpserver: HTTPServer) -> HTTPServer:
    settings.EMAIL_BACKEND = "anymail.backends.postmark.EmailBackend"
    settings.ANYMAIL = {
        "POSTMARK_SERVER_TOKEN": "secret-token",
        "POSTMARK_API_URL": httpserver.url_for("/"),
        "REQUESTS_TIMEOUT": 1,
    }
    settings.DEFAULT_FROM_EMAIL = "Example <hello@mail.example.com>"
    return httpserver


def answers(server: HTTPServer, status: int, body: Any, headers: dict[str, str] | None = None) -> list[Request]:
    requests: list[Request] = []

    def answer(request: Request) -> Response:
        request.get_json()
        requests.append(request)
        return Response(json.dumps(body), status, headers, content_type="application/json")

    server.expect_request("/email", method="POST").respond_with_handler(answer)
    return requests


ACCEPTED = {"ErrorCode": 0, "Message": "OK", "MessageID": "abc-1", "To": "ann@example.com"}


def test_a_provider_takes_the_same_message(postmark: HTTPServer) -> None:
    requests = answers(postmark, 200, ACCEPTED)
    assert deliver(ACTION, HELLO) == Delivered({"status": "sent", "message_id": "abc-1"})
    body = requests[0].get_json()
    assert (body["To"], body["Subject"]) == ("ann@example.com", "Hi Ann")
    assert {"Name": "Message-ID", "Value": f"<{EXECUTION}@mail.example.com>"} in body["Headers"]
    assert requests[0].headers["X-Postmark-Server-Token"] == "secret-token"


@pytest.mark.parametrize(
    ("status", "headers", "permanent", "retry_after"),
    [
        (429, {"Retry-After": "17"}, False, 17),
        (503, {}, False, None),
        (401, {}, False, MISCONFIGURED_RETRY),
        (413, {}, True, None),
    ],
)
def test_a_providers_status_says_whether_to_try_again(
    postmark: HTTPServer, status: int, headers: dict[str, str], permanent: bool, retry_after: float | None
) -> None:
    answers(postmark, status, {"ErrorCode": 1, "Message": "because"}, headers)
    outcome = undelivered()
    assert (outcome.permanent, outcome.retry_after) == (permanent, retry_after)
    assert str(status) in outcome.error
    assert "secret-token" not in outcome.error


@pytest.mark.parametrize(
    "words",
    [
        "You tried to send to a recipient that has been marked as inactive.\n"
        "Found inactive addresses: ann@example.com.\n"
        "Inactive recipients are ones that have generated a hard bounce or a spam complaint.",
        "In words that nobody knows yet",
    ],
)
def test_a_recipient_that_the_provider_refuses_is_permanent(postmark: HTTPServer, words: str) -> None:
    answers(postmark, 422, {"ErrorCode": 406, "Message": words})
    assert undelivered().permanent


def test_a_provider_that_can_not_be_reached_is_transient(settings: Settings, postmark: HTTPServer) -> None:
    settings.ANYMAIL = {**settings.ANYMAIL, "POSTMARK_API_URL": "http://127.0.0.1:9/"}
    results = outcomes(batch(3))
    assert all(isinstance(outcome, Undelivered) and not outcome.permanent for outcome in results)


def test_a_provider_without_its_key_is_transient_and_says_what_is_missing(settings: Settings) -> None:
    settings.EMAIL_BACKEND = "anymail.backends.postmark.EmailBackend"
    settings.ANYMAIL = {}
    outcome = undelivered()
    assert (outcome.permanent, outcome.retry_after) == (False, MISCONFIGURED_RETRY)
    assert "POSTMARK_SERVER_TOKEN" in outcome.error
