"""send_email: rendered once, then sent by Django's mail, so by SMTP or any provider that anymail knows.

Every repeat has the same bytes: Message-ID and MIME boundary come from the execution's id, Date from the message's row.
"""

import re
from collections.abc import Iterable, Iterator
from email.utils import parseaddr
from functools import lru_cache
from html import unescape
from uuid import UUID

from css_inline import CSSInliner
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from pydantic import Field, ValidationInfo, field_validator

from journeys.actions.base import (
    MessageConfig,
    Outgoing,
    OutsideAction,
    PermanentError,
    SkipStep,
    StepContext,
    TemplateText,
)
from journeys.actions.files import read_template
from journeys.actions.links import LiquidText
from journeys.actions.mailer import destination, send_all
from journeys.actions.plain_text import plain_text
from journeys.actions.render import render, render_html
from journeys.logic.effects import Outcome, Prepared, Send

MAX_SUBJECT = 500

_BREAKS = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_STYLE = re.compile(r"<style\b", re.IGNORECASE)

# What can't be inlined, media queries for phones and dark mode, stays behind in a style element.
_inliner = CSSInliner(load_remote_stylesheets=False, keep_style_tags=True, remove_inlined_selectors=True)


class EmailConfig(MessageConfig):
    template: str = Field(
        default="",
        title="Template",
        description="An e-mail template, or write the message below.",
        max_length=100,
        json_schema_extra={"widget": "template", "channel": "email"},
    )
    subject: LiquidText = Field(
        default="",
        title="Subject",
        description="In place of the template's own. Variables: Hello {{ user.first_name }}",
        max_length=MAX_SUBJECT,
        json_schema_extra={"widget": "liquid"},
    )
    html: LiquidText = Field(
        default="",
        title="Message (HTML)",
        description="Values are escaped; styles are inlined.",
        max_length=200_000,
        json_schema_extra={"widget": "html"},
    )
    text: LiquidText = Field(
        default="",
        validate_default=True,
        title="Message (text)",
        description="For those who read text; made from the HTML when empty.",
        max_length=200_000,
        json_schema_extra={"widget": "textarea"},
    )
    from_name: LiquidText = Field(
        default="",
        title="Sender's name",
        description="Who it is from, such as Ann of Example. The address is the service's.",
        max_length=100,
        json_schema_extra={"widget": "liquid"},
    )
    reply_to: str = Field(default="", title="Reply to", description="The address that answers go to.", max_length=254)

    @field_validator("html")
    @classmethod
    def _html_or_template(cls, html: str, info: ValidationInfo) -> str:
        if html.strip() and info.data.get("template"):
            raise ValueError("comes from the template; leave it empty")
        return html

    @field_validator("text")
    @classmethod
    def _text_or_template(cls, text: str, info: ValidationInfo) -> str:
        has_template = bool(info.data.get("template"))
        if text.strip() and has_template:
            raise ValueError("comes from the template; leave it empty")
        if "html" in info.data and not (has_template or text.strip() or info.data["html"].strip()):
            raise ValueError("a message is required: a template, HTML or text")
        return text

    @field_validator("reply_to")
    @classmethod
    def _reply_to(cls, address: str) -> str:
        if address and not is_address(address):
            raise ValueError("is no e-mail address")
        return address


class SendEmail(OutsideAction[EmailConfig]):
    kind = "send_email"
    label = "Send an e-mail"
    description = "To the contact's address, from a template or written here."
    config_class = EmailConfig
    channel = "email"

    def prepare(self, config: EmailConfig, context: StepContext) -> Prepared:
        to = context.contact.email
        if not to:
            raise SkipStep("the contact has no e-mail address")
        if not is_address(to):
            raise PermanentError("the contact's e-mail address is malformed")
        sources, name = _sources(config, context)
        html = inline_css(render_html(sources.html, context.facts, f"{name}'s HTML"))
        text = render(sources.text, context.facts, f"{name}'s text").strip() or plain_text(html)
        if not text and not html.strip():
            raise PermanentError(f"{name} is empty")
        subject = one_line(render(sources.subject, context.facts, f"{name}'s subject")) or _title(html)
        if not subject:
            raise PermanentError(f"{name} has no subject")
        payload = {
            **sender(render(config.from_name, context.facts, "the sender's name")),
            "reply_to": config.reply_to,
        }
        return Prepared(send=Send(self.channel, to, subject[:MAX_SUBJECT], html, text, payload))

    def missing_setting(self) -> str | None:
        return None if settings.JOURNEYS["EMAIL_CONFIGURED"] else "EMAIL_URL"

    def destination(self, message: Outgoing) -> str:
        return destination()

    def send(self, batch: Iterable[Outgoing]) -> Iterator[tuple[UUID, Outcome]]:
        return send_all(batch)


def is_address(text: str) -> bool:
    """One plain address: no name, no list, no control character."""
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True


def one_line(text: str) -> str:
    """Line breaks and other control characters folded to a space: what comes out can't begin a header."""
    return _BREAKS.sub(" ", text).strip()


def inline_css(html: str) -> str:
    """Style rules as style attributes, because many mail programs read nothing else. Nothing is fetched."""
    return _inliner.inline(html) if _STYLE.search(html) else html


def sender(name: str) -> dict[str, str]:
    """The From address of the settings, with this name if there is one."""
    default_name, address = _default_sender(settings.DEFAULT_FROM_EMAIL)
    return {"from_name": one_line(name) or default_name, "from_address": address}


_default_sender = lru_cache(maxsize=8)(parseaddr)


def _sources(config: EmailConfig, context: StepContext) -> tuple[TemplateText, str]:
    """The Liquid to render, and what to call it in an error."""
    if not config.template:
        return TemplateText(config.subject, config.html, config.text), "the e-mail"
    template = context.templates.get("email", config.template)
    if template is None:
        html = read_template(config.template)
        if html is None:
            raise PermanentError(f"there is no e-mail template {config.template!r}")
        template = TemplateText("", html, "")
    subject = config.subject if config.subject.strip() else template.subject
    return TemplateText(subject, template.html, template.text), f"template {config.template!r}"


def _title(html: str) -> str:
    """A file template has its subject as its title."""
    title = _TITLE.search(html)
    return one_line(unescape(title[1])) if title else ""
