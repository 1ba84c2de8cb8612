"""What is known of providers, shared by all workers: how much they were sent, and whether they answer.

Rows come and go: none says that a provider is idle and well.
"""

from datetime import datetime

from django.db import models

from journeys.models.definitions import Channel


class Bucket(models.Model):
    """How far a limited rate is given away: `next_at` is the first free slot, as seen at `updated_at`."""

    key = models.CharField(max_length=300, primary_key=True)  # telegram, telegram:chat:42, webhook:example.com:443
    next_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "buckets"

    def __str__(self) -> str:
        return self.key


class BreakerState(models.TextChoices):
    OPEN = "open", "open"
    BUSY = "busy", "asked us to wait"
    CLOSED = "closed", "closed"


class Breaker(models.Model):
    """A destination that failed lately. Open, nothing is sent there but one probe a minute, at `probe_at`.

    `busy_until` is what the destination itself asked for (Retry-After, or a pause if it named no time): it is well, but
    wants nothing before then.
    """

    destination = models.CharField(max_length=300, primary_key=True)  # hooks.example.com:443
    channel = models.CharField(max_length=10, choices=Channel)
    failures = models.PositiveIntegerField(default=0)  # In a row.
    opened_at = models.DateTimeField(null=True)
    probe_at = models.DateTimeField(null=True)
    busy_until = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True, default="")
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "breakers"

    def __str__(self) -> str:
        return self.destination

    def state(self, now: datetime) -> BreakerState:
        """What it means for a message at `now`."""
        if self.opened_at is not None:
            return BreakerState.OPEN
        return BreakerState.BUSY if self.busy_until is not None and self.busy_until > now else BreakerState.CLOSED
