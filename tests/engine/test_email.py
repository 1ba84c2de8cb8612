"""E-mail through the whole engine, into a real mail server."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from journeys.engine.cycle import work
from journeys.engine.ingest import Incoming, ingest
from journeys.models import Contact, ExecutionStatus, Message, MessageStatus, MessageTemplate, StepExecution
from journeys.models.ids import new_id
from tests.factories import make_contact, make_journey
from tests.sinks import Answer, SmtpSink

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=2)

pytestmark = pytest.mark.django_db


@pytest.fixture
def smtp(settings: Settings) -> Iterator[SmtpSink]:
    with SmtpSink() as sink:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = sink.host, sink.port
        settings.JOURNEYS = {**settings.JOURNEYS, "EMAIL_CONFIGURED": True}
        yield sink


def signup(config: dict[str, Any], people: int = 1) -> None:
    make_journey("Mail", [{"name": "Mail", "action_type": "send_email", "action_config": config}], now=NOW)
    for number in range(people):
        make_contact(f"u{number}", now=NOW, email=f"u{number}@example.com", attributes={"first_name": f"Ann {number}"})
    ingest([Incoming(f"u{number}", "signup", {}) for number in range(people)], NOW)
    run_at(NOW)


def run_at(now: datetime) -> None:
    while work(lambda: now, 500).runs:
        continue


def test_the_seeds_step_reaches_the_inbox_and_its_row_shows_what_was_sent(smtp: SmtpSink) -> None:
    signup({"template": "welcome", "subject": "Welcome!"})
    execution, message = StepExecution.objects.get(), Message.objects.get()
    (received,) = smtp.messages
    assert execution.status == ExecutionStatus.SUCCESS
    assert execution.result["status"] == "sent"
    assert received.mime["Message-ID"] == execution.result["message_id"] == f"<{execution.id}@localhost>"
    assert (message.status, message.to, message.subject) == (MessageStatus.SENT, "u0@example.com", "Welcome!")
    assert received.part("html").split() == message.html.split()


def test_a_retry_carries_the_same_bytes_whatever_has_changed_since(smtp: SmtpSink) -> None:
    template = MessageTemplate.objects.create(
        id=new_id(NOW), name="hi", subject="Hi {{ first_name }}", html="<p>Hi</p>", created_at=NOW, updated_at=NOW
    )
    smtp.next(Answer("DATA", "451 4.3.0 try later"))
    signup({"template": "hi"})
    assert StepExecution.objects.get().status == ExecutionStatus.PENDING
    Contact.objects.update(attributes={"first_name": "Changed"}, email="changed@example.com")
    MessageTemplate.objects.filter(id=template.id).update(html="<p>Changed</p>")
    run_at(LATER)
    assert StepExecution.objects.get().status == ExecutionStatus.SUCCESS
    (first,), (second,) = smtp.turned_away, smtp.messages
    assert first == second
    assert second.mime["Subject"] == "Hi Ann 0"


def test_many_people_take_few_connections(smtp: SmtpSink) -> None:
    signup({"subject": "Hi", "text": "Hello {{ user.first_name }}"}, people=40)
    assert len(smtp.messages) == 40
    assert smtp.connections <= 8
    assert {received.recipients[0] for received in smtp.messages} == {f"u{number}@example.com" for number in range(40)}


def test_a_refused_recipient_is_a_dead_letter_and_harms_nobody_else(smtp: SmtpSink) -> None:
    smtp.next(Answer("RCPT", "550 5.1.1 no such user"))
    signup({"subject": "Hi", "text": "Hello"}, people=9)
    failed = StepExecution.objects.get(status=ExecutionStatus.FAILED)
    assert failed.error_message == "the mail server answered 550 5.1.1 no such user"
    assert failed.dead_at is not None
    assert StepExecution.objects.filter(status=ExecutionStatus.SUCCESS).count() == len(smtp.messages) == 8


def test_a_template_that_fails_for_a_person_names_its_line(smtp: SmtpSink) -> None:
    signup({"subject": "Hi", "text": "Price:\n{{ 100 | divided_by: user.seats }}"})
    failed = StepExecution.objects.get()
    assert failed.status == ExecutionStatus.FAILED
    assert failed.error_message.startswith("the e-mail's text, line 2: divided_by")


def test_nobody_is_mailed_without_an_address(smtp: SmtpSink) -> None:
    make_journey(
        "Mail", [{"name": "Mail", "action_type": "send_email", "action_config": {"template": "welcome"}}], now=NOW
    )
    make_contact("u1", now=NOW)
    ingest([Incoming("u1", "signup", {})], NOW)
    run_at(NOW)
    skipped = StepExecution.objects.get()
    assert skipped.status == ExecutionStatus.SKIPPED
    assert "the contact has no e-mail address" in str(skipped.result)
    assert smtp.messages == []
