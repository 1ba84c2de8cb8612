"""Segments: conditions over contacts that have a name."""

from django.db import models


class Segment(models.Model):
    """Those contacts for whom `condition` holds now; None means everybody."""

    id = models.UUIDField(primary_key=True, editable=False)
    name = models.CharField(max_length=100, unique=True)
    description = models.TextField(blank=True, default="")
    condition = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(editable=False)
    updated_at = models.DateTimeField(editable=False)
    # When its members were noted last, and how long that took.
    noted_at = models.DateTimeField(null=True, editable=False)
    noting_ms = models.PositiveIntegerField(default=0, db_default=0, editable=False)

    class Meta:
        db_table = "segments"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
