"""Counts. The engine appends tallies in its own transactions; the minute job moves them into totals.

Readers add both in one statement, so a count is exact at every moment and in every process.
"""

from django.db import models


class What(models.TextChoices):
    """What is counted. Without a step: of runs. With one: of its executions."""

    STARTED = "started", "started"
    COMPLETED = "completed", "completed"
    FAILED = "failed", "failed"
    EXITED = "exited", "exited"
    SUCCESS = "success", "success"
    SKIPPED = "skipped", "skipped"
    CONVERTED = "converted", "reached the goal"
    HELD_OUT = "held_out", "held out"
    HELD_OUT_CONVERTED = "held_out_converted", "held out, and reached the goal"


class Tally(models.Model):
    """An append-only count. `step_id` is None for counts of runs."""

    id = models.BigAutoField(primary_key=True)
    journey_id = models.UUIDField()
    step_id = models.UUIDField(null=True)
    what = models.CharField(max_length=20, choices=What)
    count = models.BigIntegerField()
    at = models.DateTimeField()

    class Meta:
        db_table = "tallies"

    def __str__(self) -> str:
        return f"{self.what} {self.count}"


class TallyTotal(models.Model):
    """Counts of one UTC day, or of all days that were pruned (`day` is None)."""

    id = models.BigAutoField(primary_key=True)
    journey_id = models.UUIDField()
    step_id = models.UUIDField(null=True)
    what = models.CharField(max_length=20, choices=What)
    day = models.DateField(null=True)
    count = models.BigIntegerField()

    class Meta:
        db_table = "tally_totals"
        constraints = [
            models.UniqueConstraint(
                fields=["journey_id", "step_id", "what", "day"],
                name="one_total_per_day",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"{self.what} {self.count}"
