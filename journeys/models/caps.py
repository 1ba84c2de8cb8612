"""Frequency caps: how many messages a person gets at most, over all journeys."""

from django.db import models
from django.db.models import Q

from journeys.models.definitions import Channel

MAX_MESSAGES = 1_000
MAX_HOURS = 24 * 365
BY_CHANNEL = {"": "message", Channel.EMAIL: "e-mail", Channel.TELEGRAM: "Telegram message", Channel.PUSH: "push"}
"""The channels that a cap may be about, none being all of them, with the word for one message."""


class FrequencyCap(models.Model):
    """At most `at_most` messages by the channel in any `period_hours`. Transactional ones and webhooks don't count."""

    id = models.UUIDField(primary_key=True, editable=False)
    channel = models.CharField(max_length=10, blank=True, default="")
    at_most = models.PositiveSmallIntegerField()
    period_hours = models.PositiveIntegerField()
    created_at = models.DateTimeField(editable=False)
    updated_at = models.DateTimeField(editable=False)

    class Meta:
        db_table = "frequency_caps"
        ordering = ("channel", "period_hours")
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "period_hours"],
                name="one_cap_per_channel_and_period",
                violation_error_message="There is already a cap of this channel for this period.",
            ),
            models.CheckConstraint(name="cap_lets_some_through", condition=Q(at_most__gte=1, period_hours__gte=1)),
        ]

    def __str__(self) -> str:
        what = BY_CHANNEL.get(self.channel, self.channel)
        plural = "es" if what.endswith("sh") else "s"
        return f"At most {self.at_most} {what}{plural if self.at_most != 1 else ''} in {self.period}"

    @property
    def period(self) -> str:
        """The period in words: "3 days"."""
        days, rest = divmod(self.period_hours, 24)
        number, word = (self.period_hours, "hour") if rest else (days, "day")
        return f"{number} {word}{'s' if number != 1 else ''}"
