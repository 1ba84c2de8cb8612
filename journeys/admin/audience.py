"""Contacts and what is known of them: events, tags, rewards."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet, Sum
from django.http import HttpRequest
from unfold.decorators import display

from journeys.admin.readonly import ReadOnlyAdmin, as_uuid, matching_contacts
from journeys.admin.runs import RUN_COLOURS
from journeys.models import Contact, ContactTag, Event, Reward, Tag

RECENT = 20


@admin.register(Contact)
class ContactAdmin(ReadOnlyAdmin):
    list_display = ("user_id", "email", "telegram_chat_id", "last_event_at", "created_at")
    ordering = ("-created_at",)
    list_filter = ("created_at",)
    search_fields = ("user_id", "email")
    search_help_text = "Start of an id or e-mail"
    detail_template = "journeys/admin/contact.html"
    empty_title = "No contacts"
    empty_text = "Contacts come from your systems: PUT /api/v1/users/{user_id}, or the first event about somebody."

    def search(self, term: str) -> Q:
        return Q(user_id__startswith=term) | Q(email__startswith=term)

    def detail(self, request: HttpRequest, obj: Contact) -> dict[str, Any]:
        balance = obj.rewards.order_by("reward_type").values_list("reward_type").annotate(Sum("value"))
        runs = obj.runs.select_related("journey", "current_step").order_by("-started_at")[:RECENT]
        return {
            "title": obj.user_id,
            "tags": obj.contact_tags.select_related("tag").order_by("tag__name"),
            "devices": obj.devices.order_by("created_at"),
            "balance": list(balance),
            "rewards": obj.rewards.order_by("-granted_at")[:RECENT],
            "runs": [(run, RUN_COLOURS.get(run.status, "default")) for run in runs],
            "events": obj.events.order_by("-received_at")[:RECENT],
            "sent": obj.messages.order_by("-created_at")[:RECENT],
        }


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("name", "person", "source", "occurred_at", "received_at")
    list_display_links = ("name",)
    list_select_related = ("contact",)
    ordering = ("-received_at",)
    search_fields = ("name",)
    search_help_text = "Contact's id or e-mail, or an event's whole name"
    detail_template = "journeys/admin/event.html"
    empty_title = "No events"
    empty_text = "Events come from your systems: POST /api/v1/events."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        # The key sorts by when an event was received, and is an index that every search has.
        events: QuerySet[Event] = super().get_queryset(request).order_by("-id")
        return events

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return ("-id",)

    def search(self, term: str) -> Q:
        if key := as_uuid(term):
            return Q(pk=key)
        people = matching_contacts(term)
        return Q(contact_id__in=people) if people else Q(name=term)

    @display(description="Contact")
    def person(self, event: Event) -> str:
        return event.contact.user_id


@admin.register(Tag)
class TagAdmin(ReadOnlyAdmin):
    list_display = ("name", "created_at")
    ordering = ("name",)
    search_fields = ("name",)
    search_help_text = "Start of a tag's name"
    detail_template = "journeys/admin/tag.html"
    empty_title = "No tags"
    empty_text = "A tag is made when a step or your system first applies it."

    def search(self, term: str) -> Q:
        return Q(name__startswith=term)

    def detail(self, request: HttpRequest, obj: Tag) -> dict[str, Any]:
        newest = ContactTag.objects.filter(tag=obj).select_related("contact").order_by("-id")
        return {"title": obj.name, "newest": newest[:RECENT]}


@admin.register(Reward)
class RewardAdmin(ReadOnlyAdmin):
    list_display = ("reward_type", "value", "person", "granted_at")
    list_display_links = ("reward_type",)
    list_select_related = ("contact",)
    ordering = ("-id",)
    search_fields = ("contact__user_id",)
    search_help_text = "Contact's id or e-mail"
    detail_template = "journeys/admin/reward.html"
    empty_title = "No rewards"
    empty_text = "The ledger of what journeys granted. A step “Grant a reward” writes here."

    @display(description="Contact")
    def person(self, reward: Reward) -> str:
        return reward.contact.user_id

    def detail(self, request: HttpRequest, obj: Reward) -> dict[str, Any]:
        same = Reward.objects.filter(contact_id=obj.contact_id, reward_type=obj.reward_type)
        return {
            "title": f"{obj.value.normalize():f} {obj.reward_type}",
            **same.aggregate(balance=Sum("value"), n=Count("id")),
        }
