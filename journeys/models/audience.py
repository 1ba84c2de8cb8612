"""The people that journeys talk to, and what is known and kept about them."""

import hmac

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Coalesce

USER_ID_PATTERN = r"^[^/\x00-\x1f\x7f]{1,190}\Z"
"""1–190 characters, no slash, no control character (docs/architecture.md §1)."""


class Contact(models.Model):
    """A person. `user_id` is the calling system's own id for them; contacts never log in."""

    id = models.UUIDField(primary_key=True, editable=False)
    user_id = models.CharField(max_length=190, unique=True, validators=[RegexValidator(USER_ID_PATTERN)])
    email = models.CharField(max_length=254, blank=True, default="")
    telegram_chat_id = models.CharField(max_length=64, blank=True, default="")
    telegram_dead_at = models.DateTimeField(null=True, help_text="When Telegram said that this chat can't be reached.")
    timezone = models.CharField(max_length=64, blank=True, default="")
    locale = models.CharField(max_length=35, blank=True, default="")
    attributes = models.JSONField(default=dict)
    # Messages to a test contact are captured, whatever is configured: the demo's people are such.
    is_test = models.BooleanField(default=False)
    last_event_at = models.DateTimeField(null=True, help_text="The last event; those that detectors make don't count.")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "contacts"
        indexes = [
            models.Index(fields=["email"], name="contacts_email", opclasses=["varchar_pattern_ops"]),
            models.Index(Coalesce("last_event_at", "created_at"), name="contacts_idle_since"),
            models.Index(fields=["-created_at"], name="contacts_created"),
        ]

    def __str__(self) -> str:
        return self.user_id


def hash_user_id(user_id: str) -> bytes:
    """The 32 bytes under which a deleted person is remembered: keyed, so that the table tells nobody who they were."""
    return hmac.digest(settings.SECRET_KEY.encode(), user_id.encode(), "sha256")


class ContactTombstone(models.Model):
    """A deleted person, as a hash: a late or repeated event does not bring them back."""

    user_id_hash = models.BinaryField(primary_key=True, max_length=32)
    deleted_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "contact_tombstones"

    def __str__(self) -> str:
        return f"deleted {self.deleted_at}"


class Detection(models.Model):
    """That a detector has found this contact for this journey. `marker` names the spell, date or crossing."""

    id = models.BigAutoField(primary_key=True)
    journey = models.ForeignKey("Journey", on_delete=models.CASCADE, db_index=False)
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE)
    marker = models.CharField(max_length=64)
    found_at = models.DateTimeField()

    class Meta:
        db_table = "detections"
        constraints = [models.UniqueConstraint(fields=["journey", "contact"], name="one_detection_per_journey_contact")]

    def __str__(self) -> str:
        return self.marker


class DeviceKind(models.TextChoices):
    WEB_PUSH = "web_push", "Web Push"
    FCM = "fcm", "Firebase"


class Device(models.Model):
    """Where pushes go. `token` is the Web Push endpoint, or FCM's registration token."""

    id = models.UUIDField(primary_key=True, editable=False)
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="devices")
    kind = models.CharField(max_length=10, choices=DeviceKind)
    token = models.CharField(max_length=2048, unique=True)
    p256dh = models.CharField(max_length=120, blank=True, default="")
    auth = models.CharField(max_length=60, blank=True, default="")
    created_at = models.DateTimeField()

    class Meta:
        db_table = "devices"
        constraints = [
            models.CheckConstraint(
                name="web_push_device_has_keys",
                condition=~models.Q(kind="web_push") | (~models.Q(p256dh="") & ~models.Q(auth="")),
            )
        ]

    def __str__(self) -> str:
        return self.get_kind_display()


class Tag(models.Model):
    id = models.UUIDField(primary_key=True, editable=False)
    name = models.CharField(max_length=100, unique=True)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "tags"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class ContactTag(models.Model):
    """A tag on a contact. `execution_id` names the step that put it there; None means the API."""

    id = models.BigAutoField(primary_key=True)
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="contact_tags", db_index=False)
    tag = models.ForeignKey(Tag, on_delete=models.CASCADE, related_name="contact_tags")
    execution_id = models.UUIDField(null=True)
    applied_at = models.DateTimeField()

    class Meta:
        db_table = "contact_tags"
        constraints = [models.UniqueConstraint(fields=["contact", "tag"], name="tag_once_per_contact")]

    def __str__(self) -> str:
        return str(self.tag_id)


class Reward(models.Model):
    """The ledger: what a step granted. One entry per execution, never changed."""

    id = models.UUIDField(primary_key=True, editable=False)
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="rewards", db_index=False)
    execution_id = models.UUIDField(unique=True)
    reward_type = models.CharField(max_length=100)
    value = models.DecimalField(max_digits=18, decimal_places=4)
    granted_at = models.DateTimeField()

    class Meta:
        db_table = "rewards"
        constraints = [models.CheckConstraint(name="reward_is_positive", condition=models.Q(value__gt=0))]
        indexes = [models.Index(fields=["contact", "reward_type"], name="rewards_contact_type")]

    def __str__(self) -> str:
        return f"{self.value} {self.reward_type}"
