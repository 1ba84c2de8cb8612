"""One run's way in the reference, told as simply as can be: claimed, it goes on until it sends, waits, or ends.

What is the engine's free choice it is told: into which lane of a split somebody falls (`split`), and who is held out.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.reference.documents import MINUTE, Version, first_of, holds
from tests.reference.script import Answer, Cap, Document, World
from tests.reference.state import Came, Contact, Execution, Journey, Message, Name, Run

SUSPECT, LETHAL = 2, 5
"""Deaths after which a run is taken alone, and after which it fails."""
TICK = timedelta(microseconds=1)
DEAD_CHAT = "the contact's Telegram chat can't be reached: the bot is blocked or the chat unknown"


class Walk:
    """Runs, and how far each goes."""

    def __init__(
        self,
        world: World,
        split: Callable[[Mapping[str, int], str], str],
        is_held_out: Callable[[int, str], bool],
    ) -> None:
        self.world, self.split, self.is_held_out, self.now = world, split, is_held_out, world.start
        self.contacts: dict[str, Contact] = {}
        self.buried: set[str] = set()
        self.journeys: dict[str, Journey] = {}
        self.runs: dict[Name, Run] = {}  # The last of each.
        self.over: list[Run] = []  # Those before it.
        self.messages: list[tuple[str, Message]] = []
        self.rewards: list[tuple[str, int, datetime]] = []
        self.sends: list[tuple[str, str, datetime]] = []
        self.answers: list[tuple[str, list[str]]] = []
        self.answered: dict[tuple[str, str], list[str]] = {}
        self.came: dict[str, list[Came]] = {}
        self.caps: list[Cap] = []
        self.capped_at: datetime | None = None  # When the caps were changed.
        self.entering: list[tuple[Run, str, Document]] = []
        self.counts: Counter[tuple[str, str, str]] = Counter()  # Journey, step or "", what.

    def claim(self, run: Run) -> bool:
        """Take a due run as far as it goes; whether it sends."""
        run.last, run.capped = run.at, None
        listens, run.listens = run.listens, None
        if run.taken:
            run.deaths += 1
        if run.deaths >= LETHAL:
            self._give_up(run)
            return False
        run.taken = run.put_off = False
        if run.leaves:
            return self._leave(run, run.leaves)
        self._follow(run, listens is not None)
        step = self._live(run).steps.get(run.at or "", {})
        if listens and run.at in run.executions and step.get("action_type") == "wait_for_event":
            if self._exits(run):
                return self._leave(run, "exit condition")
            return self._listen(run, run.at, step["action_config"], *listens)
        return self._go(run)

    def _give_up(self, run: Run) -> None:
        """End a run that workers die of."""
        if run.sending and run.at:
            self._done(run, run.at, "failed")
        self._end(run, "failed")

    def record(self, run: Run, answer: Answer) -> bool:
        """Take in what its message came to, and go on; whether it sends again."""
        key, message = run.at, run.sending
        assert key and message
        run.taken, run.held, run.deaths = False, False, 0
        if answer == "taken":
            message.status, message.sent_at = "sent", self.now
            self._done(run, key, "success")
        elif answer in ("never", "gone"):
            run.tries += 1
            contact = self.contacts[run.name[0]]
            contact.chat_is_dead |= answer == "gone" and message.to == contact.columns["telegram_chat_id"]
            return self._fail(run, key)
        else:
            run.tries += 1
            if run.leaves:
                return self._leave(run, run.leaves)
            return self._try_again(run, key, answer, message)
        return self._behind(run, key)

    def _exits(self, run: Run) -> bool:
        condition = self.journeys[run.name[1]].rules["exit_condition"]
        return bool(condition) and holds(condition, self._facts(self.contacts[run.name[0]], run.properties))

    def _leave(self, run: Run, why: str) -> bool:
        """End here, and give up what is pending."""
        if run.at in run.executions and run.executions[run.at].status == "pending":
            if run.sending:
                run.sending.status = "failed"
            self._note(run, run.at, "skipped", "they left the journey")
            self.counts[run.name[1], run.at, "skipped"] += 1
        return self._end(run, "exited", why)

    def _try_again(self, run: Run, key: str, answer: Answer, message: Message | None) -> bool:
        wait = self.world.retry_after(run.tries, answer)
        if wait is None:
            return self._fail(run, key)
        self._note(run, key, "pending", message=message)
        return self._rest(run, self._opens(run, key, self.now + wait))

    # One run's way

    def _follow(self, run: Run, listens: bool) -> None:
        """Go on in the journey as it is now, where somebody edited it. A message that is on its way stays."""
        live = self._live(run)
        if run.at is None or run.sending or run.version is live:
            return
        left = self._next_left(run, run.at)
        if left != run.at and run.at in run.executions:  # It was tried, and is gone.
            self._note(run, run.at, "skipped", "the step was removed")
            self.counts[run.name[1], run.at, "skipped"] += 1
        if left != run.at or (run.version.when(run.at) != live.when(run.at) and not listens):
            self._wait(run, left)

    def _next_left(self, run: Run, key: str | None) -> str | None:
        """That step, or the next of the run's version that there is in the live one."""
        while key is not None and key not in self._live(run).steps:
            key = run.version.behind[key]
        return key

    def _live(self, run: Run) -> Version:
        return self.journeys[run.name[1]].version

    def _step(self, run: Run, key: str) -> Document:
        return self._live(run).steps.get(key) or run.version.steps[key]

    def _go(self, run: Run) -> bool:
        if run.leaves:
            return self._leave(run, run.leaves)
        if run.at is None:
            return self._end(run, "completed")
        if run.meant_for > self.now or not self.journeys[run.name[1]].on:
            return self._rest(run, run.meant_for)
        return self._take(run, run.at, self._step(run, run.at))

    def _rest(self, run: Run, until: datetime) -> bool:
        run.due, run.parked, run.deaths = until, None, 0
        if not self.journeys[run.name[1]].on:
            run.due, run.parked = None, until
        self._arrive(run)
        return False

    def _arrive(self, run: Run) -> None:
        if run.at in self._live(run).steps:
            run.version = self._live(run)

    def _wait(self, run: Run, key: str | None, schedule: Document | None = None) -> None:
        """Wait for that step, or the next that was not executed yet, by its own delay or as the step before says."""
        while key in run.executions and run.executions[key].status != "pending":
            key = self._live(run).behind[key]
        run.at, run.tries = key, 0
        if key is None:
            return
        zone = self._zone(run.name[0])
        run.meant_for = self._live(run).due(key, run.previous_ended_at, run.started_at, zone, schedule or {})

    def _zone(self, user: str) -> ZoneInfo:
        return ZoneInfo(self.contacts[user].columns["timezone"] or "UTC")

    def _opens(self, run: Run, key: str, moment: datetime) -> datetime:
        """The first moment from then on at which that step may be taken."""
        version = self._live(run) if key in self._live(run).steps else run.version
        return version.opens(key, moment, self._zone(run.name[0]))

    def _behind(self, run: Run, key: str, schedule: Document | None = None) -> bool:
        """Go on behind that step."""
        if key in self._live(run).steps:
            self._wait(run, self._live(run).behind[key], schedule)
        else:
            self._wait(run, self._next_left(run, key), schedule)
        return self._go(run)

    def _take(self, run: Run, key: str, step: Document) -> bool:
        if self._exits(run):
            return self._leave(run, "exit condition")
        contact = self.contacts[run.name[0]]
        expires = step.get("expires_after_minutes")
        if expires is not None and self.now > run.meant_for + MINUTE * expires:
            return self._skip(run, key, "stale")
        if (opens := self._opens(run, key, self.now)) > self.now:
            deaths, sending = run.deaths, run.sending
            self._rest(run, opens)
            run.deaths, run.put_off = (deaths, True) if sending else (0, False)
            return False
        if run.sending:
            return self._dispatch(run)
        if not holds(step.get("condition"), self._facts(contact, run.properties)):
            return self._skip(run, key, "its condition does not hold")
        config = step["action_config"]
        match step["action_type"]:
            case "apply_tag":
                contact.tags.add(config["tag"])
            case "remove_tag":
                contact.tags.discard(config["tag"])
            case "grant_reward":
                return self._grant(run, key, config["value"])
            case "update_contact":
                after = _changed(contact.attributes, config["changes"], run.properties)
                if after is None:
                    return self._fail(run, key)
                contact.attributes = after
            case "start_journey":
                self.entering.append((run, key, config))
            case "schedule_next":
                self._done(run, key, "success")
                return self._behind(run, key, config)
            case "branch" | "ab_split":
                return self._enter(run, key, step)
            case "wait_for_event":
                self._note(run, key, "pending")
                if config.get("since") == "journey_start":
                    return self._stay(run, config["event"], run.started_at, self.now)
                return self._stay(run, config["event"], self.now, self.now + MINUTE * config["timeout_minutes"])
            case "exit_journey":
                self._done(run, key, "success", config.get("reason") or step["name"])
                return self._end(run, "exited", config.get("reason") or step["name"])
            case "send_telegram":
                return self._write(run, key, contact.columns["telegram_chat_id"], config["message"], config)
            case "trigger_webhook":
                return self._write(run, key, config["url"], config["data"]["text"])
        self._done(run, key, "success")
        return self._behind(run, key)

    def _listen(self, run: Run, key: str, config: Document, event: str, since: datetime) -> bool:
        """Go on when the awaited event came in time, or the time is over."""
        until = run.executions[key].at + MINUTE * config["timeout_minutes"]
        if event != config["event"]:  # Edited: from now on, the other one counts.
            return self._stay(run, config["event"], self.now, until)
        own = self._facts(self.contacts[run.name[0]], run.properties)
        own = {name: value for name, value in own.items() if not name.startswith("event.")}
        came = [it for it in self.came.get(run.name[0], []) if it.event == event and since <= it.received_at <= until]
        for it in came:
            about = {f"event.{name}": value for name, value in it.properties.items()}
            if it is not run.began_with and holds(config.get("condition"), own | about):
                return self._go_into(run, key, self._live(run).steps[key]["lanes"][0])
        if self.now >= until:
            return self._go_into(run, key, self._live(run).steps[key]["lanes"][1])
        since = max([since, *(it.received_at + TICK for it in came)])
        return self._stay(run, event, since, until)

    def _stay(self, run: Run, event: str, since: datetime, until: datetime) -> bool:
        self._rest(run, until)
        run.listens = event, since
        return False

    def _grant(self, run: Run, key: str, value: int) -> bool:
        """Give a reward; the step itself may be in trouble."""
        answer = self.world.trouble(key, self.now)
        if answer in ("never", "gone"):
            return self._fail(run, key)
        if answer in ("later", "asks"):
            run.tries += 1
            return self._try_again(run, key, answer, None)
        self.rewards.append((run.name[0], value, self.now))
        self._done(run, key, "success")
        return self._behind(run, key)

    def _enter(self, run: Run, key: str, step: Document) -> bool:
        """Go into a lane; past the step where none is for this contact, or the lane is empty."""
        facts = self._facts(self.contacts[run.name[0]], run.properties)
        if step["action_type"] == "ab_split":
            weights = {lane["name"]: lane.get("weight", 1) for lane in step["lanes"]}
            chosen = self.split(weights, f"{run.name[1]}:{key}:{run.name[0]}")
            lane = next(lane for lane in step["lanes"] if lane["name"] == chosen)
        else:
            lane = next((lane for lane in step["lanes"] if holds(lane.get("condition"), facts)), None)
        return self._go_into(run, key, lane)

    def _go_into(self, run: Run, key: str, lane: Document | None) -> bool:
        self._done(run, key, "success", lane["name"] if lane else "no lane's condition holds")
        inside = first_of(lane["steps"]) if lane else None
        if inside is None:
            return self._behind(run, key)
        self._wait(run, inside)
        return self._go(run)

    def _write(self, run: Run, key: str, to: str, template: str, marketing: Document | None = None) -> bool:
        """Render the step's message, and send it."""
        contact = self.contacts[run.name[0]]
        by_telegram = "://" not in to
        text = template.replace("{{ user.plan }}", str(contact.attributes.get("plan", "")))
        text = text.replace("{{ user.user_id }}", run.name[0])
        if by_telegram and not to:
            return self._skip(run, key, "the contact has no Telegram chat")
        if by_telegram and contact.chat_is_dead:
            return self._skip(run, key, DEAD_CHAT)
        if not text:
            return self._fail(run, key)
        counts = marketing is not None and not marketing.get("transactional")
        until = self._capped_until(run.name[0]) if counts else None
        if marketing and until and marketing.get("when_capped") == "skip":
            return self._skip(run, key, "a frequency cap is reached")
        if until:
            expires = self._step(run, key).get("expires_after_minutes")
            self._rest(run, until if expires is None else min(until, run.meant_for + MINUTE * expires + TICK))
            run.capped = until
            return False
        message = Message(to, text, self.now, counts)
        self.messages.append((run.name[0], message))
        self._note(run, key, "pending", message=message)
        return self._dispatch(run)

    def _capped_until(self, user: str) -> datetime | None:
        """When each cap has room for one more message to that person; None if they all have it now."""
        free = []
        for channel, at_most, hours in self.caps:
            ends = [it.created_at + 60 * hours * MINUTE for who, it in self.messages if who == user and it.counts
                    and it.status != "failed"]  # fmt: skip
            inside = sorted(end for end in ends if end > self.now)
            if channel in ("", "telegram") and len(inside) >= at_most:
                free.append(inside[len(inside) - at_most])
        return max(free, default=None)

    def _dispatch(self, run: Run) -> bool:
        self._arrive(run)
        run.due, run.taken, run.held = self.now, True, True
        return True

    def _send(self, run: Run) -> Answer:
        assert run.sending
        self.sends.append((run.sending.to, run.sending.text, self.now))
        return self.world.answer(run.sending.text, self.now)

    def _skip(self, run: Run, key: str, why: str) -> bool:
        self._done(run, key, "skipped", why)
        return self._behind(run, key)

    def _fail(self, run: Run, key: str) -> bool:
        self._done(run, key, "failed")
        if self._step(run, key).get("on_failure") == "stop":
            return self._end(run, "failed")
        return self._behind(run, key)

    def _done(self, run: Run, key: str, status: str, note: str = "") -> None:
        if run.sending and status != "success":
            run.sending.status = "failed"
        self._note(run, key, status, note)
        self.counts[run.name[1], key, status] += 1
        run.previous_ended_at, run.last = self.now, key

    def _note(self, run: Run, key: str, status: str, note: str = "", message: Message | None = None) -> None:
        run.executions[key] = Execution(status, self.now, run.tries, note, message)

    def _end(self, run: Run, status: str, why: str = "") -> bool:
        run.at, run.status, run.ended_at, run.why = run.last, status, self.now, why
        run.due, run.parked, run.taken, run.held = None, None, False, False
        self.counts[run.name[1], "", status] += 1
        return False

    def _facts(self, contact: Contact, properties: Mapping[str, Any]) -> dict[str, Any]:
        own = {"tags": sorted(contact.tags), "segments": contact.segments, **contact.attributes, **properties}
        event = {f"event.{name}": value for name, value in properties.items()}
        return own | event | {f"user.{name}": value for name, value in contact.attributes.items()}


def _changed(
    attributes: Mapping[str, Any], changes: list[Document], properties: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The attributes after the changes; None where something is to be added to what is no number."""
    after = dict(attributes)
    for change in changes:
        name, value = change["attribute"], change.get("value")
        if change["op"] == "unset":
            after.pop(name, None)
        elif change["op"] == "set":
            after[name] = value.replace("{{ event.plan }}", properties.get("plan", "")) if value else value
        elif isinstance(after.get(name, 0), int):
            after[name] = after.get(name, 0) + value
        else:
            return None
    return after
