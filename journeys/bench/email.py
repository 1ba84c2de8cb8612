"""E-mails a second to a local SMTP server, rows recorded included, against bare smtplib with the same MIME."""

import smtplib
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from django.conf import settings
from django.test.utils import override_settings

from journeys.actions.base import Outgoing
from journeys.actions.email import SendEmail
from journeys.actions.mailer import Mail
from journeys.bench.figure import Figure, Sizes
from journeys.bench.sending import SLOW_SECONDS, Referee, Speeds, race
from journeys.bench.sinks import HOST, smtp_sink

Mime = tuple[str, str, bytes]

STEP = {
    "name": "Welcome",
    "action_type": "send_email",
    "action_config": {
        "subject": "Welcome, {{ user.first_name }}!",
        "html": "<h1>Hello {{ user.first_name }}</h1><p>Your plan is {{ user.plan }}, your balance {{ user.balance }}."
        "</p><p>Read on at <a href='https://example.com/start?id={{ user.user_id }}'>our pages</a>.</p>",
        "text": "Hello {{ user.first_name }},\n\nyour plan is {{ user.plan }}, your balance {{ user.balance }}.\n"
        "Read on at https://example.com/start?id={{ user.user_id }}\n",
    },
}


def email(sizes: Sizes) -> Figure:
    quick = _race(sizes, 0, {"composing": _composing, "ready_made": _ready_made})
    slow = _race(sizes.for_slow_servers(), SLOW_SECONDS, {"ready_made": _ready_made})
    return Figure(
        "email",
        quick.engine,
        quick.referees["composing"],
        "messages/s",
        "claimed, rendered, composed, sent and recorded, against smtplib that composes and sends the same MIME",
        at_least=0.8,
        details={
            "reference_with_ready_made_mime": quick.referees["ready_made"],
            "ratio_to_ready_made_mime": quick.engine / quick.referees["ready_made"],
            **slow.as_slow("ready_made"),
            **quick.details,
        },
    )


def _race(sizes: Sizes, seconds: float, referees: Mapping[str, Callable[[int], Referee]]) -> Speeds:
    with (
        smtp_sink(seconds) as sink,
        override_settings(
            EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend",
            EMAIL_HOST=HOST,
            EMAIL_PORT=sink.port,
            EMAIL_HOST_USER="",
            EMAIL_USE_TLS=False,
            EMAIL_USE_SSL=False,
            JOURNEYS={**settings.JOURNEYS, "EMAIL_CONFIGURED": True},
        ),
    ):
        chosen = {name: referee(sink.port) for name, referee in referees.items()}
        return race(sizes, STEP, sink, chosen, SendEmail.concurrency)


def _composing(port: int) -> Referee:
    return Referee(lambda outgoing: outgoing, partial(_compose_and_send, port))


def _ready_made(port: int) -> Referee:
    return Referee(_mime, partial(_send, port))


def _mime(outgoing: Outgoing) -> Mime:
    return outgoing.payload["from_address"], outgoing.to, Mail(outgoing).message().as_bytes(linesep="\r\n")


def _compose_and_send(port: int, messages: Sequence[Outgoing]) -> int:
    with smtplib.SMTP(HOST, port) as line:
        for outgoing in messages:
            sender, to, content = _mime(outgoing)
            line.sendmail(sender, [to], content)
    return len(messages)


def _send(port: int, mimes: Sequence[Mime]) -> int:
    with smtplib.SMTP(HOST, port) as line:
        for sender, to, content in mimes:
            line.sendmail(sender, [to], content)
    return len(mimes)
