"""What is stored. Each module holds one kind of thing; nothing here decides anything."""

from journeys.models.audience import Contact, ContactTag, ContactTombstone, Detection, Device, Reward, Tag
from journeys.models.caps import FrequencyCap
from journeys.models.definitions import (
    Channel,
    Journey,
    JourneyStep,
    JourneyVersion,
    MessageTemplate,
    OnFailure,
    Reentry,
)
from journeys.models.intakes import Intake, IntakeContact, Lookout, SegmentMember
from journeys.models.providers import Breaker, BreakerState, Bucket
from journeys.models.runtime import (
    DeadLetter,
    Event,
    EventKey,
    EventSource,
    ExecutionStatus,
    Heartbeat,
    Message,
    MessageStatus,
    RunStatus,
    StepExecution,
    UserJourney,
)
from journeys.models.segments import Segment
from journeys.models.tallies import Tally, TallyTotal, What

__all__ = [
    "Breaker",
    "BreakerState",
    "Bucket",
    "Channel",
    "Contact",
    "ContactTag",
    "ContactTombstone",
    "DeadLetter",
    "Detection",
    "Device",
    "Event",
    "EventKey",
    "EventSource",
    "ExecutionStatus",
    "FrequencyCap",
    "Heartbeat",
    "Intake",
    "IntakeContact",
    "Journey",
    "JourneyStep",
    "JourneyVersion",
    "Lookout",
    "Message",
    "MessageStatus",
    "MessageTemplate",
    "OnFailure",
    "Reentry",
    "Reward",
    "RunStatus",
    "Segment",
    "SegmentMember",
    "StepExecution",
    "Tag",
    "Tally",
    "TallyTotal",
    "UserJourney",
    "What",
]
