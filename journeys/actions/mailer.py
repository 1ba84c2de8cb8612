"""Messages out by Django's mail, many over one connection, each with its own outcome."""

import smtplib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import format_datetime, formataddr
from typing import Any
from uuid import UUID

from anymail.exceptions import AnymailAPIError, AnymailError
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.smtp import EmailBackend as SmtpBackend
from django.utils.module_loading import import_string

from journeys.actions import mime, smtp
from journeys.actions.base import Outgoing, PermanentError, TransientError, undelivered
from journeys.logic.effects import Delivered, Health, Outcome
from journeys.logic.retry import parse_retry_after

TIMEOUT_SECONDS = 10
"""Where the settings name none; without one, a silent server would hold a worker for ever."""

MISCONFIGURED_RETRY = 300.0
"""Seconds. A refused password is the operator's to mend, and nobody's message should be lost until then."""

MAX_REASON = 300

_TRANSIENT_STATUS = frozenset((408, 425, 429))
_TAKEN = frozenset(("sent", "queued"))
_REFUSED_KEY = frozenset((401, 403))


class Mail(EmailMultiAlternatives):
    """An e-mail whose bytes follow from its row alone."""

    def __init__(self, outgoing: Outgoing) -> None:
        payload = outgoing.payload
        super().__init__(
            subject=outgoing.subject,
            body=outgoing.text,
            from_email=formataddr((payload["from_name"], payload["from_address"])),
            to=[outgoing.to],
            reply_to=[payload["reply_to"]] if payload["reply_to"] else None,
            headers={
                "Message-ID": mime.message_id(outgoing),
                "Date": format_datetime(outgoing.created_at.astimezone(UTC)),
            },
        )
        self.boundary = f"=_{outgoing.id.hex}"
        if outgoing.html:
            self.attach_alternative(outgoing.html, "text/html")

    def message(self, **options: Any) -> Any:
        mime = super().message(**options)
        if mime.is_multipart():
            mime.set_boundary(self.boundary)
        return mime


def destination() -> str:
    """The mail server, or the name of the e-mail service."""
    backend = import_string(settings.EMAIL_BACKEND)
    if issubclass(backend, SmtpBackend):
        return f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    return str(backend.__module__).rpartition(".")[2]


def send_all(batch: Iterable[Outgoing]) -> Iterator[tuple[UUID, Outcome]]:
    """Try each message in turn, over one connection that is opened again when it breaks."""
    line = _Line()
    try:
        for outgoing in batch:
            try:
                outcome: Outcome = line.send(outgoing)
            except (TransientError, PermanentError) as error:
                outcome = undelivered(error)
            yield outgoing.id, outcome
    finally:
        line.hang_up()


class _Line:
    """A connection to the mail server or provider, opened when it is needed."""

    def __init__(self) -> None:
        self._backend: BaseEmailBackend | None = None
        self._has_sent = False

    def send(self, outgoing: Outgoing) -> Delivered:
        try:
            return self._deliver(outgoing)
        except (smtplib.SMTPException, AnymailError, ImproperlyConfigured, OSError, ValueError) as error:
            raise self._fault(error) from error

    def hang_up(self) -> None:
        backend, self._backend, self._has_sent = self._backend, None, False
        if backend is not None:
            # Every message has its outcome by now; a goodbye that fails changes none of them.
            with suppress(smtplib.SMTPException, OSError):
                backend.close()

    def _deliver(self, outgoing: Outgoing) -> Delivered:
        try:
            return self._try(outgoing)
        except smtplib.SMTPServerDisconnected:
            # Servers close a connection that has been idle, or has carried enough. That is this message's fault only
            # if it happens on a fresh one too.
            was_used = self._has_sent
            self.hang_up()
            if not was_used:
                raise
            return self._try(outgoing)

    def _try(self, outgoing: Outgoing) -> Delivered:
        backend = self._backend or self._open()
        if type(backend) is SmtpBackend and backend.connection is not None and mime.is_ordinary(outgoing):
            smtp.send(backend.connection, outgoing.payload["from_address"], outgoing.to, mime.compose(outgoing))
            self._has_sent = True
            return Delivered({"status": "sent", "message_id": mime.message_id(outgoing)})
        mail = Mail(outgoing)
        if backend.send_messages([mail]) == 0:
            raise PermanentError("the mail backend did not send it")
        self._has_sent = True
        if not _is_taken(mail):
            raise PermanentError("the e-mail provider took no recipient")
        return Delivered({"status": "sent", "message_id": _message_id(mail)})

    def _open(self) -> BaseEmailBackend:
        self._backend = backend = get_connection()
        if isinstance(backend, SmtpBackend) and backend.timeout is None:
            backend.timeout = TIMEOUT_SECONDS
        try:
            backend.open()
        except smtplib.SMTPAuthenticationError as error:
            self.hang_up()
            fault = f"the mail server refused the login: {_answer(error)}"
            raise TransientError(fault, MISCONFIGURED_RETRY, "down") from error
        except (smtplib.SMTPException, OSError) as error:
            # Also a 5xx: a server that refuses to talk at all says nothing about this message.
            self.hang_up()
            raise TransientError(f"the mail server can't be reached: {_reason(error)}", destination="down") from error
        return backend

    def _fault(self, error: Exception) -> Exception:
        """What went wrong, as one of the two errors that a channel may raise."""
        match error:
            case smtplib.SMTPException():
                return self._smtp_fault(error)
            case ImproperlyConfigured():
                self.hang_up()
                fault = f"e-mail is not configured rightly: {_reason(error)}"
                return TransientError(fault, MISCONFIGURED_RETRY, "down")
            case AnymailError():
                return self._api_fault(error)
            case OSError():
                self.hang_up()
                return TransientError(f"the mail server can't be reached: {_reason(error)}", destination="down")
        # ValueError, of Django and the email package: this can't be made into a message.
        return PermanentError(f"this can't be sent as e-mail: {_reason(error)}")

    def _smtp_fault(self, error: smtplib.SMTPException) -> Exception:
        if isinstance(error, smtplib.SMTPNotSupportedError):
            return PermanentError(f"the mail server can't take this message: {_reason(error)}")
        if isinstance(error, smtplib.SMTPServerDisconnected):
            self.hang_up()
            return TransientError("the mail server closed the connection", destination="down")
        codes = _codes(error)
        if 421 in codes:  # "Service not available, closing transmission channel" (RFC 5321 §4.2.2): smtplib closed it.
            self.hang_up()
            return TransientError(f"the mail server answered {_answer(error)}", destination="down")
        fault = PermanentError if codes and min(codes) >= 500 else TransientError
        return fault(f"the mail server answered {_answer(error)}")

    def _api_fault(self, error: AnymailError) -> Exception:
        status = error.status_code
        if not isinstance(error, AnymailAPIError):  # Refused recipients, and what this provider has no word for.
            return PermanentError(_reason(error))
        if status is None:
            return TransientError(f"the e-mail provider can't be reached: {_reason(error)}", destination="down")
        if status in _REFUSED_KEY:
            fault = f"the e-mail provider refused the key: {_reason(error)}"
            return TransientError(fault, MISCONFIGURED_RETRY, "down")
        if status in _TRANSIENT_STATUS or not 400 <= status < 500:
            header = error.response.headers.get("Retry-After") if error.response is not None else None
            health: Health = "busy" if status == 429 else "down" if status >= 500 else "well"
            return TransientError(_reason(error), parse_retry_after(header, datetime.now(UTC)), health)
        return PermanentError(_reason(error))


def _is_taken(mail: Mail) -> bool:
    """Anymail raises for a refusal that it understands; one that it doesn't is left as unknown and gets no id."""
    status = getattr(mail, "anymail_status", None)
    if status is None:
        return True
    return not _TAKEN.isdisjoint(status.status or ()) or isinstance(status.message_id, str)


def _message_id(mail: Mail) -> str:
    status = getattr(mail, "anymail_status", None)
    identifier = status.message_id if status is not None else None
    return identifier if isinstance(identifier, str) else mail.extra_headers["Message-ID"]


def _codes(error: smtplib.SMTPException) -> list[int]:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return [code for code, _ in error.recipients.values()]
    return [error.smtp_code] if isinstance(error, smtplib.SMTPResponseException) else []


def _answer(error: smtplib.SMTPException) -> str:
    """The server's code and words."""
    answers: list[tuple[int, bytes | str]]
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        answers = [*error.recipients.values()]
    elif isinstance(error, smtplib.SMTPResponseException):
        answers = [(error.smtp_code, error.smtp_error)]
    else:
        return _reason(error)
    words = (f"{code} {text.decode(errors='replace') if isinstance(text, bytes) else text}" for code, text in answers)
    return _short("; ".join(dict.fromkeys(words)))


def _reason(error: Exception) -> str:
    return _short(str(error) or type(error).__name__)


def _short(text: str) -> str:
    return " ".join(text.split())[:MAX_REASON]
