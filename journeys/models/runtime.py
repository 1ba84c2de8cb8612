"""What happens: events, runs, executions, messages. These tables grow; nothing that outlives them points at them."""

from django.db import models
from django.db.models import Q

from journeys.models.audience import Contact
from journeys.models.definitions import Channel, Journey, JourneyStep, JourneyVersion


class EventSource(models.TextChoices):
    API = "api", "API"
    CODE = "code", "same process"
    DETECTOR = "detector", "detector"


class Event(models.Model):
    """Something a contact did."""

    id = models.UUIDField(primary_key=True, editable=False)
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="events", db_index=False)
    name = models.CharField(max_length=200)
    properties = models.JSONField(default=dict)
    message_id = models.CharField(max_length=200)
    source = models.CharField(max_length=10, choices=EventSource)
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField()

    class Meta:
        db_table = "events"
        indexes = [
            models.Index(fields=["contact", "-received_at"], name="events_contact_received"),
            models.Index(fields=["name", "-received_at"], name="events_name_received"),
        ]

    def __str__(self) -> str:
        return self.name


class EventKey(models.Model):
    """A producer's `message_id` of one contact, and the answer it got. It outlives the event."""

    id = models.UUIDField(primary_key=True, editable=False)  # A hash of contact and message_id.
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE)
    event_id = models.UUIDField()
    started = models.JSONField(default=list)  # The ids of the journeys that it started, in order.
    received_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "event_keys"

    def __str__(self) -> str:
        return str(self.event_id)


class RunStatus(models.TextChoices):
    ACTIVE = "active", "active"
    PAUSED = "paused", "paused"
    COMPLETED = "completed", "completed"
    FAILED = "failed", "failed"
    EXITED = "exited", "exited"
    HELD_OUT = "held_out", "held out"


IS_PARKED = models.ExpressionWrapper(Q(due_at__isnull=True), output_field=models.BooleanField())
"""Of an active run: its journey is switched off."""


class UserJourney(models.Model):
    """A run: one contact's way through one journey, pinned to one version. The row is its own schedule.

    `due_at` says when it next needs attention. While a worker has it, `claim_token` and `lease_until` are set;
    once the lease is over, anybody may take it. Leases are on the real clock, all else on the caller's.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="runs", db_index=False)
    journey = models.ForeignKey(Journey, on_delete=models.CASCADE, related_name="runs", db_index=False)
    version = models.ForeignKey(JourneyVersion, on_delete=models.DO_NOTHING, related_name="+", db_index=False)
    status = models.CharField(max_length=10, choices=RunStatus, default=RunStatus.ACTIVE)
    current_step = models.ForeignKey(JourneyStep, on_delete=models.SET_NULL, null=True, related_name="+")
    entry_key = models.CharField(max_length=255, default="", blank=True)
    event = models.JSONField(default=dict)  # name, message_id, occurred_at; its properties are `metadata`.
    metadata = models.JSONField(default=dict)
    started_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    exited_at = models.DateTimeField(null=True)
    failure_reason = models.TextField(blank=True, default="")
    exit_reason = models.CharField(max_length=100, blank=True, default="")
    goal_at = models.DateTimeField(null=True)  # When the journey's goal was reached, by the first event that did it.

    due_at = models.DateTimeField(null=True)
    parked_due_at = models.DateTimeField(null=True)
    step_due_at = models.DateTimeField(null=True)  # What the current step was meant for; retries don't move it.
    previous_ended_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)  # Of the current step.
    leaves = models.CharField(max_length=100, null=True)  # noqa: DJ001  Why it is to end when somebody next has it.
    awaits_event = models.CharField(max_length=200, null=True)  # noqa: DJ001  NULL: an event's name is never missing.
    listens_from = models.DateTimeField(null=True)  # Of that event, those received before don't count (any more).
    slot_at = models.DateTimeField(null=True)  # When a limited provider takes the current step's message.
    capped_until = models.DateTimeField(null=True)  # Frequency caps hold the current step's message back so long.
    claim_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    deaths = models.PositiveSmallIntegerField(default=0)  # How often a lease ended with no word from its worker.
    moved = models.BooleanField(default=False)  # To another version: steps behind the pointer may be done already.
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "user_journeys"
        verbose_name = "run"
        constraints = [
            # The first answers the seed's indexes on user_id and (user_id, journey_id) too.
            models.UniqueConstraint(fields=["contact", "journey", "entry_key"], name="one_run_per_entry"),
            models.UniqueConstraint(
                fields=["contact", "journey"],
                name="one_live_run",
                condition=Q(status__in=["active", "paused"]),
            ),
            models.CheckConstraint(
                name="active_run_is_due_or_parked",
                condition=~Q(status="active") | Q(due_at__isnull=False) | Q(parked_due_at__isnull=False),
            ),
            models.CheckConstraint(
                name="ended_run_is_not_due",
                condition=Q(status__in=["active", "paused"])
                | Q(due_at__isnull=True, parked_due_at__isnull=True, claim_token__isnull=True),
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], name="runs_due", condition=Q(status="active", due_at__isnull=False)),
            models.Index(fields=["capped_until"], name="runs_capped", condition=Q(capped_until__isnull=False)),
            models.Index(fields=["-started_at"], name="runs_started"),
            models.Index(fields=["status", "-started_at"], name="runs_status_started"),
            models.Index("journey", "status", IS_PARKED, name="runs_journey_parked"),
        ]

    def __str__(self) -> str:
        return str(self.id)


class ExecutionStatus(models.TextChoices):
    PENDING = "pending", "pending"
    SUCCESS = "success", "success"
    FAILED = "failed", "failed"
    SKIPPED = "skipped", "skipped"


class StepExecution(models.Model):
    """One step of one run. Its id is derived from both, so a step can't be executed twice.

    Dead letters are failed executions with `dead_at`; Replay gives one a `replay_at` and sends with the same key.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    user_journey = models.ForeignKey(UserJourney, on_delete=models.CASCADE, related_name="executions")
    step = models.ForeignKey(JourneyStep, on_delete=models.CASCADE, related_name="+", db_index=False)
    status = models.CharField(max_length=10, choices=ExecutionStatus)
    executed_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True)
    result = models.JSONField(default=dict)
    error_message = models.TextField(blank=True, default="")
    retry_count = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField()
    dead_at = models.DateTimeField(null=True)
    replay_at = models.DateTimeField(null=True)
    slot_at = models.DateTimeField(null=True)  # Of a replay, as a run has one.
    claim_token = models.UUIDField(null=True)  # Of a replay; a run's own try is guarded by the run's token.
    lease_until = models.DateTimeField(null=True)

    class Meta:
        db_table = "step_executions"
        verbose_name = "execution"
        indexes = [
            models.Index(fields=["step", "-executed_at"], name="executions_step"),
            models.Index(fields=["-executed_at"], name="executions_executed"),
            models.Index(fields=["status", "-executed_at"], name="executions_status_executed"),
            models.Index(fields=["-dead_at"], name="executions_dead", condition=Q(dead_at__isnull=False)),
            models.Index(fields=["replay_at"], name="executions_replay", condition=Q(replay_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return str(self.id)


class DeadLetter(StepExecution):
    """The dead letters alone, so that they have a page and permissions of their own."""

    class Meta:
        proxy = True
        verbose_name = "dead letter"

    def __str__(self) -> str:
        return str(self.id)


class MessageStatus(models.TextChoices):
    PENDING = "pending", "pending"
    SENT = "sent", "sent"
    CAPTURED = "captured", "captured"
    FAILED = "failed", "failed"


class Message(models.Model):
    """What a step sent, as rendered: an e-mail, a Telegram message, a push, or a webhook's request.

    Its id is the execution's. It keeps the ids of run, step and journey without foreign keys, because it outlives them.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="messages", db_index=False)
    journey_id = models.UUIDField()
    step_id = models.UUIDField()
    channel = models.CharField(max_length=10, choices=Channel)
    to = models.CharField(max_length=2048, blank=True)
    subject = models.TextField(blank=True, default="")
    html = models.TextField(blank=True, default="")
    text = models.TextField(blank=True, default="")
    payload = models.JSONField(default=dict)
    status = models.CharField(max_length=10, choices=MessageStatus)
    error = models.TextField(blank=True, default="")
    is_transactional = models.BooleanField(default=False, db_default=False)  # Frequency caps don't count it.
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "messages"
        indexes = [
            models.Index(fields=["contact", "-created_at"], name="messages_contact_created"),
            models.Index(fields=["-created_at"], name="messages_created"),
            models.Index(fields=["status", "-created_at"], name="messages_status_created"),
        ]

    def __str__(self) -> str:
        return self.subject or self.get_channel_display()


class Heartbeat(models.Model):
    """When a recurring part last did its work: `tick`, `minute`."""

    name = models.CharField(max_length=50, primary_key=True)
    at = models.DateTimeField()

    class Meta:
        db_table = "heartbeats"

    def __str__(self) -> str:
        return self.name
