"""Messages as they were sent, and the addresses of their HTML: shown apart, where no script can run."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.html import escape
from unfold.decorators import display

from journeys.admin.readonly import ReadOnlyAdmin, as_uuid
from journeys.models import Journey, JourneyStep, Message
from journeys.templatetags.journeys_admin import rows_of

MESSAGE_COLOURS = {"sent": "success", "captured": "info", "failed": "danger", "pending": "warning"}
# Sandboxed by header too, so that opening the address by itself is no way around the frame's attribute.
FRAME_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; font-src https: data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)


def framed(html: str) -> HttpResponse:
    """Foreign HTML as a page that can be shown in a frame of ours, and can neither run scripts nor send forms."""
    response = HttpResponse(html)
    response["Content-Security-Policy"] = FRAME_POLICY
    response["X-Frame-Options"] = "SAMEORIGIN"
    response["Referrer-Policy"] = "no-referrer"
    return response


def plain(text: str) -> str:
    """A text as a page of its own."""
    style = "font:15px/1.5 system-ui,sans-serif;white-space:pre-wrap;margin:16px;background:#fff;color:#111"
    return f'<!doctype html><meta charset="utf-8"><body style="{style}">{escape(text)}</body>'


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    list_display = ("what", "person", "channel", "state", "created_at", "sent_at")
    list_display_links = ("what",)
    list_select_related = ("contact",)
    list_filter = ("status", "created_at")
    ordering = ("-created_at",)
    search_fields = ("contact__user_id",)
    search_help_text = "Contact's id or e-mail"
    detail_template = "journeys/admin/message.html"
    empty_title = "No messages"
    empty_text = "Every e-mail, Telegram message, push and webhook stands here exactly as it was sent."

    def search(self, term: str) -> Q:
        key = as_uuid(term)
        return Q(pk=key) if key else super().search(term)

    @display(description="Message")
    def what(self, message: Message) -> str:
        return (message.subject or message.text or message.to)[:80]

    @display(description="Contact")
    def person(self, message: Message) -> str:
        return message.contact.user_id

    @display(description="Status", label=MESSAGE_COLOURS)
    def state(self, message: Message) -> tuple[str, str]:
        return message.status, message.get_status_display()

    def get_urls(self) -> list[URLPattern]:
        html = self.admin_site.admin_view(self.html_view)
        return [path("<uuid:key>/html/", html, name="journeys_message_html"), *super().get_urls()]

    def html_view(self, request: HttpRequest, key: Any) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        message = Message.objects.filter(pk=key).first()
        if message is None:
            raise Http404("There is no such message.")
        return framed(message.html)

    def detail(self, request: HttpRequest, obj: Message) -> dict[str, Any]:
        return {
            "title": self.what(obj),
            "colour": MESSAGE_COLOURS.get(obj.status, "default"),
            "journey": Journey.objects.filter(pk=obj.journey_id).first(),
            "step": JourneyStep.objects.filter(pk=obj.step_id).first(),
            "payload": rows_of(obj.payload),
        }
