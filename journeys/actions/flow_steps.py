"""branch, ab_split and exit_journey: the steps that choose where a run goes. Lanes are the step's, not the config's."""

from pydantic import Field

from journeys.actions.base import Action, Config, StepContext
from journeys.logic.effects import EnterLane, ExitRun, Prepared
from journeys.logic.split import choose


class BranchConfig(Config):
    """A branch has nothing to set but its lanes."""


class Branch(Action[BranchConfig]):
    kind = "branch"
    label = "Branch"
    description = "Goes into the first lane whose condition holds; the last may have none, for everybody else."
    config_class = BranchConfig
    lane_has = "condition"
    least_lanes = 1

    def prepare(self, config: BranchConfig, context: StepContext) -> Prepared:
        for lane in context.lanes:
            if lane.holds(context.facts):
                return _into(lane.name)
        return Prepared((EnterLane(None),), result={"lane": None, "reason": "no lane's condition holds"})


class SplitConfig(Config):
    """A split has nothing to set but its lanes."""


class AbSplit(Action[SplitConfig]):
    kind = "ab_split"
    label = "A/B split"
    description = "Shares people out among lanes by weight; the same person always goes the same way."
    config_class = SplitConfig
    lane_has = "weight"
    least_lanes = 2

    def prepare(self, config: SplitConfig, context: StepContext) -> Prepared:
        weights = {lane.name: lane.weight for lane in context.lanes}
        return _into(choose(weights, f"{context.journey_id}:{context.step_key}:{context.contact.id}"))


class ExitConfig(Config):
    reason: str = Field(
        default="",
        max_length=100,
        pattern=r"^[^\x00-\x1f]*$",
        title="Reason",
        description="What the run's page gives as the reason; empty: the step's name.",
    )


class ExitJourney(Action[ExitConfig]):
    kind = "exit_journey"
    label = "Exit the journey"
    description = "Ends the journey for this person, here."
    config_class = ExitConfig

    def prepare(self, config: ExitConfig, context: StepContext) -> Prepared:
        reason = config.reason or context.step_name
        return Prepared((ExitRun(reason[:100]),), result={"status": "exited", "reason": reason})


def _into(lane: str) -> Prepared:
    return Prepared((EnterLane(lane),), result={"lane": lane})
