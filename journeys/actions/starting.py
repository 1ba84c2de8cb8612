"""start_journey: the contact enters another journey, once for each time that they come to the step."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, PrivateAttr, field_validator

from journeys.actions.base import Action, Config, PermanentError, StepContext
from journeys.actions.links import LiquidText
from journeys.actions.render import render
from journeys.logic import effects
from journeys.logic.effects import Prepared

Value = Annotated[LiquidText, Field(max_length=4000)]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]


class StartJourneyConfig(Config):
    journey: str = Field(
        title="Journey",
        description="The one that they enter, whatever its own trigger and condition say.",
        min_length=1,
        max_length=255,
        pattern=r"^[^\x00]*$",
        json_schema_extra={"widget": "journey"},
    )
    metadata: dict[Name, Value] = Field(
        default_factory=dict,
        title="Bring along",
        description="Names and values that its steps find as event.… Values may hold variables.",
        max_length=50,
        json_schema_extra={"widget": "pairs"},
    )
    _id: UUID | None = PrivateAttr(default=None)

    @field_validator("journey")
    @classmethod
    def _named(cls, journey: str) -> str:
        if not journey.strip():
            raise ValueError("is required")
        return journey.strip()

    def model_post_init(self, context: Any) -> None:
        self._id = id_in(self.journey)

    @property
    def journey_id(self) -> UUID | None:
        """Its id; a definition that is published has no names any more."""
        return self._id


def id_in(text: str) -> UUID | None:
    """The id that a text is, if it is one."""
    try:
        return UUID(text)
    except ValueError:
        return None


class StartJourney(Action[StartJourneyConfig]):
    kind = "start_journey"
    label = "Start another journey"
    description = "The person enters another journey, and goes on in this one too."
    config_class = StartJourneyConfig
    needs_tags = True

    def prepare(self, config: StartJourneyConfig, context: StepContext) -> Prepared:
        if config.journey_id is None:
            raise PermanentError(f"{config.journey!r} is no journey's id")
        metadata = {name: render(value, context.facts, name) for name, value in config.metadata.items()}
        return Prepared((effects.StartJourney(config.journey_id, metadata),))
