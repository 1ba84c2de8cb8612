"""The journeys and segments of a subscription business, as documents (docs/journeys.md)."""

from typing import Any

from journeys.authoring.caps import CapDocument


def _step(name: str, action_type: str, delay_minutes: int = 0, **more: Any) -> dict[str, Any]:
    """A step. `more` is its action's config, and what a step has beside that."""
    own: dict[str, Any] = {
        key: more.pop(key) for key in ("condition", "window", "delay_from", "expires_after_minutes") if key in more
    }
    lanes = more.pop("lanes", {})
    return {
        "name": name,
        "action_type": action_type,
        "action_config": more,
        "delay_minutes": delay_minutes,
        "lanes": [{"name": lane, **inside} for lane, inside in lanes.items()],
        **own,
    }


def _lane(*steps: dict[str, Any], **own: Any) -> dict[str, Any]:
    return {"steps": list(steps), **own}


def _is(field: str, value: Any) -> dict[str, Any]:
    return {"field": field, "op": "eq", "value": value}


HOUR, DAY = 60, 1440
OFFICE_HOURS = {"days": ["mon", "tue", "wed", "thu", "fri"], "from": "09:00", "to": "17:00"}

ONBOARDING = {
    "name": "Onboarding",
    "description": "From sign-up to the first project: a welcome, a nudge for who hesitates, a tag once settled.",
    "trigger_type": "signup",
    "priority": 10,
    "goal": {"event": "upgrade", "within_days": 14, "exit_on_goal": False},
    "holdout_percent": 10,
    "steps": [
        _step(
            "Welcome e-mail",
            "send_email",
            template="welcome",
            subject="Welcome aboard, {{ user.first_name }}!",
            transactional=True,
        ),
        _step(
            "Say hello on Telegram",
            "send_telegram",
            5,
            message="Hi {{ user.first_name }}! I'm the Fernhill bot. Ask me anything about your first project.",
        ),
        _step(
            "A first project?",
            "wait_for_event",
            event="project_opened",
            timeout_minutes=3 * DAY,
            lanes={
                "received": _lane(
                    _step("Mark as active", "apply_tag", tag="active"),
                    _step(
                        "Note the first project",
                        "update_contact",
                        changes=[{"op": "set", "attribute": "lifecycle", "value": "active"}],
                    ),
                    _step(
                        "Welcome credit", "grant_reward", reward_type="credit", value="5", condition=_is("plan", "team")
                    ),
                ),
                "timed out": _lane(
                    _step(
                        "Which nudge",
                        "ab_split",
                        lanes={
                            "by phone": _lane(
                                _step(
                                    "Tips on the phone",
                                    "send_push",
                                    title="Your first project takes two minutes",
                                    body="Pick a template, invite a colleague, done.",
                                ),
                                weight=50,
                            ),
                            "by e-mail": _lane(
                                _step(
                                    "Tips by e-mail",
                                    "send_email",
                                    subject="Your first project takes two minutes",
                                    text="Pick a template, invite a colleague, done.",
                                ),
                                weight=50,
                            ),
                        },
                    ),
                ),
            },
        ),
        _step("Mark as onboarded", "apply_tag", 7 * DAY, delay_from="journey_start", tag="onboarded"),
    ],
}

PAYMENT_FAILED = {
    "name": "Failed payment",
    "description": "Recover a payment before the account is locked, and tell the sales team about large accounts.",
    "trigger_type": "payment_fail",
    "reentry": "after_finish",
    "priority": 20,
    "steps": [
        _step("Mark as past due", "apply_tag", tag="past due"),
        _step(
            "Ask to update the card",
            "send_email",
            template="payment_failed",
            subject="Your payment did not go through",
            transactional=True,
        ),
        _step(
            "Paid after all?",
            "wait_for_event",
            event="payment_success",
            timeout_minutes=3 * DAY,
            lanes={
                "received": _lane(_step("Clear the mark", "remove_tag", tag="past due")),
                "timed out": _lane(
                    _step(
                        "How large is it",
                        "branch",
                        lanes={
                            "large": _lane(
                                _step(
                                    "Tell the sales team",
                                    "trigger_webhook",
                                    url="https://crm.example.com/hooks/past-due",
                                    window=OFFICE_HOURS,
                                ),
                                condition={"field": "amount", "op": "gte", "value": 100},
                            ),
                            "the others": _lane(
                                _step(
                                    "Remind on Telegram",
                                    "send_telegram",
                                    message="Your payment of ${{ amount }} failed. Updating your card takes a minute.",
                                ),
                            ),
                        },
                    ),
                ),
            },
        ),
    ],
}

WIN_BACK = {
    "name": "Win back the idle",
    "description": "Two weeks without a sign of life: show what is new, then make an offer. Nobody is woken for it.",
    "trigger_type": "idle_user",
    "trigger_config": {"idle_days": 14},
    "quiet_hours": {"from": "21:00", "to": "08:00"},
    "reentry": "after_days",
    "reentry_days": 60,
    "exit_on": [{"event": "project_opened"}],
    "goal": {"event": "project_opened", "within_days": 14},
    "steps": [
        _step("We miss you", "send_email", template="we_miss_you", subject="{{ user.first_name }}, see what is new"),
        _step(
            "How large a gift",
            "ab_split",
            3 * DAY,
            lanes={
                "ten": _lane(_step("A gift of ten", "grant_reward", reward_type="credit", value="10"), weight=80),
                "twenty": _lane(_step("A gift of twenty", "grant_reward", reward_type="credit", value="20"), weight=20),
            },
        ),
        _step("Mention the gift", "send_push", title="A gift is waiting", body="It is on your account already."),
    ],
}

CHURN_RISK = {
    "name": "Churn risk",
    "description": "When the score says that someone is about to leave: a personal check-in.",
    "trigger_type": "churn_risk",
    "trigger_config": {
        "threshold": 0.8,
        "condition": {"not": {"field": "plan", "op": "eq", "value": "free"}},
    },
    "priority": 5,
    "exit_condition": {"field": "churn_score", "op": "lt", "value": 0.5},
    "steps": [
        _step("Mark as at risk", "apply_tag", tag="at risk"),
        _step(
            "Personal check-in", "send_email", HOUR, template="churn_checkin", subject="How are we doing?",
            window=OFFICE_HOURS,
        ),
        _step("Open a ticket", "trigger_webhook", DAY, url="https://help.example.com/hooks/churn-risk"),
    ],
}  # fmt: skip

RENEWAL = {
    "name": "Renewal",
    "description": "A week before a subscription ends: a reminder at nine in their own morning, and one more in time.",
    "trigger_type": "subscription_expiring",
    "trigger_config": {"days_before": 7},
    "steps": [
        _step("Wait for their morning", "schedule_next", at="09:00"),
        _step("Renewal reminder", "send_email", template="renewal_reminder", subject="Your plan renews soon"),
        # Some accounts have no seats, and a division by them is the kind of mistake that dead letters are for.
        _step(
            "Price per seat",
            "send_telegram",
            3 * DAY,
            message="That is ${{ user.price | divided_by: user.seats }} per seat for the coming year.",
        ),
    ],
}

ANNIVERSARY = {
    "name": "Birthday",
    "description": "A small gift on their birthday, in their own morning.",
    "trigger_type": "date",
    "trigger_config": {"attribute": "birthday", "at": "09:00"},
    "reentry": "after_finish",
    "steps": [
        _step("Birthday credit", "grant_reward", reward_type="credit", value="3"),
        _step(
            "Count the gifts",
            "update_contact",
            changes=[{"op": "increment", "attribute": "birthday_gifts", "value": 1}],
        ),
        _step("Congratulate", "send_push", title="Happy birthday, {{ user.first_name }}!", body="A gift is waiting."),
    ],
}

DIGEST = {
    "name": "Monday digest",
    "description": "What is new, each Monday, for those who would miss it.",
    "trigger_type": "schedule",
    "trigger_config": {"every": "week", "weekdays": ["mon"], "at": "09:00", "segment": "Busy customers"},
    "reentry": "after_finish",
    "steps": [
        _step(
            "Digest",
            "send_email",
            subject="Your week at Fernhill, {{ user.first_name }}",
            text="Two new templates, and a faster editor.",
            window=OFFICE_HOURS,
            when_capped="skip",
        ),
    ],
}

BETA = {
    "name": "Beta programme",
    "description": "For those who were invited, and for whomever you start by hand.",
    "trigger_type": "manual",
    "steps": [
        _step("Welcome to the beta", "send_push", title="Welcome to the beta", body="Tell us what you think."),
        _step(
            "Tried it?",
            "wait_for_event",
            event="project_opened",
            timeout_minutes=7 * DAY,
            lanes={"received": _lane(_step("Thank the tester", "grant_reward", reward_type="credit", value="2"))},
        ),
    ],
}

INVITATION = {
    "name": "Invite to the beta",
    "description": "Whoever comes to be a busy customer is asked once.",
    "trigger_type": "segment",
    "trigger_config": {"segment": "Busy customers", "include_existing": True},
    "steps": [
        _step("Mark as invited", "apply_tag", tag="beta"),
        _step(
            "Invite", "send_email", HOUR, subject="Try it first", text="You use Fernhill a lot. Would you try the beta?"
        ),
        _step("Into the programme", "start_journey", DAY, journey="Beta programme"),
    ],
}

JOURNEYS = (ONBOARDING, PAYMENT_FAILED, WIN_BACK, CHURN_RISK, RENEWAL, ANNIVERSARY, DIGEST, BETA, INVITATION)
CAPS = (CapDocument(channel="", at_most=4, period_hours=7 * 24),)
"""Nobody gets more than four messages a week, receipts and the like aside."""
SEGMENTS = (
    {
        "name": "Busy customers",
        "description": "They pay, and opened at least two projects within a month.",
        "condition": {
            "all": [
                {"field": "plan", "op": "in", "value": ["solo", "team"]},
                {"did": "project_opened", "op": "gte", "value": 2, "within_days": 30},
            ]
        },
    },
    {
        "name": "Never opened a project",
        "description": "",
        "condition": {"did": "project_opened", "op": "eq", "value": 0},
    },
)
