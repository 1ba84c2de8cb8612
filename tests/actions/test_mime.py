"""An ordinary e-mail's bytes are those that Django's mail makes of it, and it takes two trips where the server can."""

import smtplib
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from journeys.actions import mime, smtp
from journeys.actions.base import Outgoing
from journeys.actions.email import one_line
from journeys.actions.mailer import Mail
from tests.sinks import Answer, SmtpSink

ORDINARY = Outgoing(
    id=UUID(int=66),
    channel="email",
    to="ann@example.com",
    subject="Hi",
    html="<p>Hello</p>",
    text="Hello",
    payload={"from_name": "Example", "from_address": "hello@example.com", "reply_to": ""},
    created_at=datetime(2026, 3, 2, 12, tzinfo=UTC),
)
lines = st.one_of(st.text(max_size=100), st.text(st.sampled_from("a \r\n.-\t\x0cü"), max_size=40))
words = st.one_of(st.text(max_size=90), st.text(st.sampled_from('ab ,."<>@=?\\'), max_size=30)).map(one_line)
addresses = st.one_of(st.emails(), st.sampled_from(["ann@example.com", "o'neil+x@sub.example.org", "x@münchen.de"]))


def by_django(outgoing: Outgoing) -> bytes:
    content: bytes = Mail(outgoing).message().as_bytes(linesep="\r\n")
    return content


@given(words, lines, lines, addresses, words, st.one_of(st.just(""), addresses))
@example("Hi", "", "text", "ann@example.com", "", "")
@example("Hi", "<p>x</p>", "", "ann@example.com", "", "")
@example("Hi", "<p>x</p>", "x" * 2000, "ann@example.com", "", "")
@example("a" * 67, "<p>x</p>", "x", "ann@example.com", "", "")
def test_what_is_written_straight_down_is_what_django_makes(
    subject: str, html: str, text: str, to: str, from_name: str, reply_to: str
):
    payload = {**ORDINARY.payload, "from_name": from_name, "reply_to": reply_to}
    outgoing = replace(ORDINARY, subject=subject, html=html, text=text, to=to, payload=payload)
    if mime.is_ordinary(outgoing):
        assert mime.compose(outgoing) == by_django(outgoing)


@pytest.mark.parametrize(
    "unusual",
    [
        {"subject": "Schön"},
        {"subject": "word " * 20},
        {"to": "ann@münchen.de"},
        {"to": '"a b"@example.com'},
        {"text": "x" * 1000},
        {"payload": {**ORDINARY.payload, "from_name": "Jörg"}},
    ],
    ids=str,
)
def test_what_is_not_ordinary_is_left_to_django(unusual: dict[str, str]):
    assert mime.is_ordinary(ORDINARY)
    assert not mime.is_ordinary(replace(ORDINARY, **unusual))


def test_a_line_that_begins_with_a_dot_arrives_as_it_was():
    content = mime.compose(replace(ORDINARY, html="", text=".\n..x\n.\r\nend\n"))
    with SmtpSink(pipelining=True) as sink, smtplib.SMTP(sink.host, sink.port) as line:
        smtp.send(line, "hello@example.com", "ann@example.com", content)
    assert [received.content for received in sink.messages] == [content]


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
def test_after_a_refusal_the_connection_takes_the_next_message_and_nobody_gets_the_refused(stage: str):
    content = mime.compose(ORDINARY)
    with SmtpSink(pipelining=True) as sink, smtplib.SMTP(sink.host, sink.port) as line:
        sink.next(Answer(stage, "550 5.7.1 no"))  # type: ignore[arg-type]
        with pytest.raises(smtplib.SMTPException):
            smtp.send(line, "hello@example.com", "ann@example.com", content)
        smtp.send(line, "hello@example.com", "bob@example.com", content)
    assert [received.recipients for received in sink.messages] == [["bob@example.com"]]
    assert sink.connections == 1
