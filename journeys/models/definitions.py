"""What operators write: journeys, their draft steps, their published versions, and message templates."""

from django.conf import settings
from django.db import models


class Reentry(models.TextChoices):
    ONCE = "once", "never: each person once"
    AFTER_FINISH = "after_finish", "whenever they are out of it"
    AFTER_DAYS = "after_days", "some days after they last entered"


class Journey(models.Model):
    """A trigger and its steps. Name, description, `is_active` and `priority` are live; the rest is the draft."""

    id = models.UUIDField(primary_key=True, editable=False)
    name = models.CharField(max_length=255, unique=True)
    description = models.TextField(blank=True, default="")
    # No choices: the registry of triggers knows them, and a new one needs no migration.
    trigger_type = models.CharField(max_length=50)
    trigger_config = models.JSONField(default=dict, blank=True)
    is_active = models.BooleanField(default=True)
    priority = models.IntegerField(default=0, help_text="Higher starts first when one event starts several.")
    quiet_hours = models.JSONField(null=True, blank=True)  # {from, to}: messages wait.
    reentry = models.CharField(max_length=20, choices=Reentry, default=Reentry.ONCE, db_default=Reentry.ONCE)
    reentry_days = models.PositiveSmallIntegerField(null=True, blank=True)
    exit_condition = models.JSONField(null=True, blank=True)
    exit_on = models.JSONField(default=list, db_default=[], blank=True)  # Events: name, and perhaps a condition.
    goal = models.JSONField(null=True, blank=True)  # An event, within_days, exit_on_goal, and perhaps a condition.
    holdout_percent = models.PositiveSmallIntegerField(default=0, db_default=0)
    # That it let people in again, now or once: then `once` is not to be seen from the runs' keys alone.
    was_open_again = models.BooleanField(default=False, db_default=False, editable=False)
    live_version = models.ForeignKey(
        "JourneyVersion", on_delete=models.PROTECT, null=True, editable=False, related_name="+"
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(editable=False)
    updated_at = models.DateTimeField(editable=False)

    class Meta:
        db_table = "journeys"
        ordering = ("-priority", "name")
        indexes = [
            models.Index(fields=["is_active", "trigger_type"], name="journeys_active_trigger"),
            models.Index(fields=["trigger_type"], name="journeys_trigger"),
            models.Index(fields=["priority"], name="journeys_priority"),
        ]

    def __str__(self) -> str:
        return self.name


class JourneyVersion(models.Model):
    """An immutable, numbered snapshot of a journey as one document. Only versions run."""

    id = models.UUIDField(primary_key=True, editable=False)
    journey = models.ForeignKey(Journey, on_delete=models.CASCADE, related_name="versions", db_index=False)
    number = models.PositiveIntegerField()
    trigger_type = models.CharField(max_length=50)
    # The name of the event that starts it, where that isn't its trigger's. Workers of before write none.
    trigger_event = models.CharField(max_length=200, null=True)  # noqa: DJ001  NULL: its trigger says it.
    definition = models.JSONField()
    listens_to = models.JSONField(default=list, db_default=[])  # Names of events that concern those inside.
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField()

    class Meta:
        db_table = "journey_versions"
        ordering = ("-number",)
        constraints = [models.UniqueConstraint(fields=["journey", "number"], name="one_version_of_each_number")]

    def __str__(self) -> str:
        return f"version {self.number}"


class OnFailure(models.TextChoices):
    CONTINUE = "continue", "go on with the next step"
    STOP = "stop", "end the journey as failed"


class JourneyStep(models.Model):
    """One step of the draft. `id` and `key` are stable across versions; a published step is archived, never deleted."""

    id = models.UUIDField(primary_key=True, editable=False)
    journey = models.ForeignKey(Journey, on_delete=models.CASCADE, related_name="steps", db_index=False)
    key = models.CharField(max_length=100)
    name = models.CharField(max_length=255)
    # A step in a lane has the flow step as its parent, and counts its order within the lane.
    parent = models.ForeignKey(
        "self", on_delete=models.CASCADE, null=True, blank=True, editable=False, related_name="children", db_index=False
    )
    lane = models.CharField(max_length=100, blank=True, default="", db_default="", editable=False)
    lanes = models.JSONField(default=list, db_default=[], blank=True)  # Of a flow step: name, condition or weight.
    order = models.PositiveIntegerField(default=0)
    # No choices: journeys/actions/registry.py knows them.
    action_type = models.CharField(max_length=50)
    action_config = models.JSONField(default=dict, blank=True)
    delay_minutes = models.PositiveIntegerField(default=0)
    condition = models.JSONField(null=True, blank=True)
    on_failure = models.CharField(max_length=10, choices=OnFailure, default=OnFailure.CONTINUE)
    expires_after_minutes = models.PositiveIntegerField(null=True, blank=True)  # Later than that, it is skipped.
    is_active = models.BooleanField(default=True)
    # What the delay counts from: the end of the step before, or the run's start.
    delay_from = models.CharField(max_length=20, default="previous_step", db_default="previous_step")
    window = models.JSONField(null=True, blank=True)  # {days, from, to}: outside of it the step waits.
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(editable=False)
    updated_at = models.DateTimeField(editable=False)

    class Meta:
        db_table = "journey_steps"
        ordering = ("order", "id")
        # Whole groups of steps are rewritten together, so what is unique is looked at when the transaction ends.
        constraints = [
            models.UniqueConstraint(
                fields=["journey", "key"],
                name="step_key_unique_in_journey",
                deferrable=models.Deferrable.DEFERRED,
            ),
        ]
        indexes = [models.Index(fields=["journey", "order"], name="steps_journey_order")]

    def __str__(self) -> str:
        return self.name


class Channel(models.TextChoices):
    EMAIL = "email", "E-mail"
    TELEGRAM = "telegram", "Telegram"
    PUSH = "push", "Push"
    WEBHOOK = "webhook", "Webhook"


class MessageTemplate(models.Model):
    """A reusable message in Liquid. Live: an edit reaches everyone whose message is not rendered yet."""

    id = models.UUIDField(primary_key=True, editable=False)
    name = models.CharField(max_length=100)
    channel = models.CharField(
        max_length=10,
        choices=[choice for choice in Channel.choices if choice[0] != "webhook"],
        default=Channel.EMAIL,
    )
    subject = models.CharField(max_length=500, blank=True, default="")
    html = models.TextField(blank=True, default="")
    text = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(editable=False)
    updated_at = models.DateTimeField(editable=False)

    class Meta:
        db_table = "message_templates"
        ordering = ("name",)
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "name"],
                name="template_name_unique_in_channel",
                violation_error_message="There is already a template of this name for this channel.",
            )
        ]

    def __str__(self) -> str:
        return self.name
