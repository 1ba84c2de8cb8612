"""People who are about to enter a journey together: by a schedule, a segment, a date of theirs, or by hand."""

from django.db import models
from django.db.models import Q

from journeys.models.definitions import Journey
from journeys.models.segments import Segment


class Intake(models.Model):
    """Contacts who are to enter a journey. `key` names what for, once a journey; `people` is how many those were."""

    id = models.UUIDField(primary_key=True, editable=False)
    journey = models.ForeignKey(Journey, on_delete=models.CASCADE, related_name="intakes", db_index=False)
    key = models.CharField(max_length=255)
    properties = models.JSONField(default=dict)  # What the events bring that start them.
    people = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "intakes"
        constraints = [models.UniqueConstraint(fields=["journey", "key"], name="one_intake_of_each_key")]
        indexes = [models.Index(fields=["created_at"], name="intakes_unfinished", condition=Q(finished_at=None))]

    def __str__(self) -> str:
        return self.key


class IntakeContact(models.Model):
    """One who has not entered yet. `entry` is what theirs is known by; the intake's key where it is empty.

    No foreign key to the contact: its lock comes after this row's, and a deletion of the contact would wait for us.
    """

    id = models.BigAutoField(primary_key=True)
    intake = models.ForeignKey(Intake, on_delete=models.CASCADE, db_index=False)
    contact_id = models.UUIDField()
    entry = models.CharField(max_length=100, default="", db_default="", blank=True)

    class Meta:
        db_table = "intake_contacts"
        constraints = [models.UniqueConstraint(fields=["intake", "contact_id"], name="contact_once_in_intake")]

    def __str__(self) -> str:
        return str(self.contact_id)


class SegmentMember(models.Model):
    """That a contact was found in a segment: for the `number`-th time, from `entered_at` until it was found outside.

    Noted only for segments that journeys start from. No foreign key, for a million of them are noted in one statement.
    """

    id = models.BigAutoField(primary_key=True)
    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, db_index=False)
    contact_id = models.UUIDField()
    number = models.PositiveIntegerField(default=1)
    entered_at = models.DateTimeField()
    left_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "segment_members"
        constraints = [models.UniqueConstraint(fields=["segment", "contact_id"], name="one_membership_of_a_contact")]

    def __str__(self) -> str:
        return str(self.contact_id)


class Lookout(models.Model):
    """Up to when the engine has looked for whom a journey's trigger should start, and by which `rule`.

    There is one only while the journey is on: what would have started it meanwhile is past.
    """

    journey = models.OneToOneField(Journey, on_delete=models.CASCADE, primary_key=True)
    rule = models.CharField(max_length=255)
    looked_at = models.DateTimeField()

    class Meta:
        db_table = "lookouts"

    def __str__(self) -> str:
        return self.rule
