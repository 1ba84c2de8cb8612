"""Providers that fail: what is meant for them waits at no cost, one probe a minute looks, neighbours don't notice."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from uuid import uuid4

import pytest
from django.db import connection

from journeys.actions import http
from journeys.actions.base import Outgoing
from journeys.engine import breakers, housekeeping, replay
from journeys.engine.breakers import learn
from journeys.engine.claim import claim
from journeys.engine.cycle import work
from journeys.engine.dispatch import Parcel
from journeys.engine.ingest import Incoming, ingest
from journeys.engine.limits import turns_of
from journeys.logic.effects import Delivered, Undelivered
from journeys.models import Breaker, BreakerState, Bucket, Contact, Message, RunStatus, StepExecution, UserJourney
from tests.engine.test_cycle import tag, tags_of, work_at
from tests.factories import make_contact, make_journey
from tests.sinks import SmtpSink
from tests.sinks_http import BotApi, Drip, Hang, Reply, Reset, Sink, WebhookReceiver

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SECRET = "whsec_" + "A" * 40
DOWN = Undelivered("it is down", permanent=False, destination="down")

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _webhooks(settings) -> None:
    settings.WEBHOOK_SECRETS, settings.WEBHOOK_ALLOWED_HOSTS = [SECRET], ["127.0.0.1", "nowhere.invalid"]


@pytest.fixture
def hooks() -> Iterator[WebhookReceiver]:
    with WebhookReceiver(SECRET) as hooks:
        yield hooks


@contextmanager
def nobody() -> Iterator[str]:
    """A host and port where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{unused.getsockname()[1]}"


def hook(url: str, name: str = "Hook") -> dict[str, object]:
    config = {"url": f"{url}/{{{{ user.user_id }}}}", "data": {"name": "{{ user.name }}"}}
    return {"name": name, "action_type": "trigger_webhook", "action_config": config}


def start(people: int, *steps: dict[str, object], name: str = "Hooks") -> None:
    for number in range(people):
        make_contact(f"u{number}", now=NOW, attributes={"name": "then"})
    make_journey(name, list(steps), now=NOW)
    ingest([Incoming(f"u{number}", "signup") for number in range(people)], NOW)


def to(url: str) -> Parcel:
    return Parcel(Outgoing(uuid4(), "webhook", url, "", "", "", {}, NOW), is_test=False)


def heard(parcel: Parcel, *outcomes: object, now: datetime = NOW) -> None:
    """As a worker notes what sends to that place came to."""
    for outcome in outcomes:
        learn({parcel.message.id: outcome}, {parcel.message.id: parcel.message}, now)  # type: ignore[dict-item]


def test_a_destination_that_fails_again_and_again_is_left_alone_and_waiting_costs_nothing(hooks):
    start(30, hook(hooks.url), tag("after"))
    hooks.next(*[Reply(503, body=b"maintenance")] * 30)
    work_at(NOW)
    tried = len(hooks.requests)
    assert 5 <= tried <= 5 + 8, "five in a row, and what was under way beside them"
    breaker = Breaker.objects.get()
    assert (breaker.destination, breaker.channel, breaker.failures) == (hooks.host, "webhook", tried)
    assert (breaker.opened_at, breaker.probe_at, breaker.state(NOW)) == (NOW, NOW + MINUTE, BreakerState.OPEN)
    assert breaker.last_error == "127.0.0.1 answered 503: maintenance"
    untried = UserJourney.objects.filter(attempts=0)
    assert untried.count() == 30 - tried
    assert not untried.filter(due_at__lt=NOW + MINUTE).exists()
    assert untried.filter(lease_until=None, deaths=0).count() == 30 - tried
    assert not StepExecution.objects.filter(retry_count__gt=1).exists()


def test_a_probe_that_succeeds_closes_the_breaker_and_all_is_sent_with_its_first_bytes(hooks):
    start(30, hook(hooks.url), tag("after"))
    hooks.next(*[Reply(503)] * 30)
    work_at(NOW)
    hooks._faults.clear()
    before = len(hooks.requests)
    Contact.objects.update(attributes={"name": "now"})
    rendered = set(Message.objects.values_list("id", flat=True))
    work_at(NOW + MINUTE - SECOND)
    assert len(hooks.requests) == before
    work_at(NOW + MINUTE)
    assert len(hooks.requests) > before
    assert Breaker.objects.get().state(NOW + MINUTE) == BreakerState.CLOSED
    work_at(NOW + HOUR)
    assert UserJourney.objects.filter(status=RunStatus.COMPLETED).count() == 30
    names = {body["data"]["execution_id"]: body["data"]["extra"]["name"] for body in hooks.received}
    assert {names[str(key)] for key in rendered} == {"then"}
    assert len(hooks.received) == 30, "each once"


def test_only_a_probe_a_minute_goes_to_an_open_destination(hooks):
    start(30, hook(hooks.url))
    hooks.next(*[Reply(500)] * 100)
    work_at(NOW)
    for minute in range(1, 6):
        before = len(hooks.requests)
        work_at(NOW + minute * MINUTE)
        work_at(NOW + minute * MINUTE + 30 * SECOND)
        assert len(hooks.requests) - before == 1
    assert Breaker.objects.get().opened_at == NOW


def test_a_probe_goes_at_once_however_busy_its_channels_rate_is(hooks, settings):
    settings.JOURNEYS = {**settings.JOURNEYS, "RATES": {"webhook": "10/s"}}
    probe, second = to(hooks.url), to(hooks.url)
    heard(probe, *[DOWN] * 5)
    turns_of([to("https://healthy.example.com/") for _ in range(100)], {}, NOW + MINUTE)
    before = Bucket.objects.get().next_at
    assert set(turns_of([probe, second], {}, NOW + MINUTE)) == {second.message.id}
    assert Bucket.objects.get().next_at == before + SECOND / 10, "it counts all the same"


def test_who_is_due_first_is_there_when_the_probe_is(hooks):
    parcels = [to(f"{hooks.url}/{number}") for number in range(100)]
    heard(parcels[0], *[DOWN] * 5)
    times = sorted(turn.at for turn in turns_of(parcels, {}, NOW).values())
    assert times[0] == NOW + MINUTE
    assert times[-1] <= NOW + 2 * MINUTE
    assert len(set(times)) > 90, "the others are spread"


def test_healthy_neighbours_are_not_held_up_by_one_that_hangs(hooks, monkeypatch):
    monkeypatch.setattr(http, "TOTAL_SECONDS", 3.0)
    with Sink() as hanging:
        hanging.next(*[Hang(4)] * 40)
        start(40, hook(hanging.url), name="Hanging")
        start(40, hook(hooks.url), name="Healthy")
        work(lambda: NOW, 500)
        assert 5 <= len(hanging.requests) <= 12
    assert len(hooks.received) == 40, "all of them, in the same batch"


def test_successes_between_failures_keep_it_closed(hooks):
    parcel = to(hooks.url)
    for _ in range(5):
        heard(parcel, *[DOWN] * 4, Delivered({}))
    assert Breaker.objects.get().state(NOW) == BreakerState.CLOSED
    heard(parcel, *[DOWN] * 4, Undelivered("answered 404", permanent=True), *[DOWN] * 4)
    assert Breaker.objects.get().failures == 4, "a refusal is an answer too"
    heard(parcel, DOWN)
    assert Breaker.objects.get().state(NOW) == BreakerState.OPEN


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_what_a_provider_wants_later_keeps_everybody_away_until_then(hooks, form):
    wish = "600" if form == "seconds" else format_datetime(datetime.now(UTC) + 600 * SECOND, usegmt=True)
    start(30, hook(hooks.url))
    hooks.next(*[Reply(429, {"Retry-After": wish})] * 30)
    work_at(NOW)
    before = len(hooks.requests)
    assert 1 <= before <= 1 + 8, "the first answer, and what was under way beside it"
    assert UserJourney.objects.filter(attempts=0).count() == 30 - before
    hooks._faults.clear()
    breaker = Breaker.objects.get()
    assert abs(breaker.busy_until - (NOW + 600 * SECOND)) <= 2 * SECOND
    assert (breaker.state(NOW), breaker.failures) == (BreakerState.BUSY, 0)
    work_at(breaker.busy_until - SECOND)
    assert len(hooks.requests) == before
    work_at(breaker.busy_until + 2 * MINUTE)
    work_at(NOW + DAY)
    assert len(hooks.received) == 30


def test_who_is_busy_and_does_not_say_for_how_long_gets_a_pause(hooks, settings):
    pause = settings.JOURNEYS["RETRY_BASE_SECONDS"] * SECOND
    start(30, hook(hooks.url))
    hooks.next(*[Reply(429)] * 30)
    work_at(NOW)
    before = len(hooks.requests)
    assert 1 <= before <= 1 + 8
    assert Breaker.objects.get().busy_until == NOW + pause
    assert not UserJourney.objects.filter(attempts=0, due_at__lt=NOW + pause).exists()
    work_at(NOW + pause - SECOND)
    assert len(hooks.requests) == before
    hooks._faults.clear()
    work_at(NOW + HOUR)
    work_at(NOW + 2 * HOUR)
    assert len(hooks.received) == 30


def test_who_says_nothing_but_that_it_is_busy_is_left_alone(hooks):
    busy, parcel = Undelivered("answered 429", permanent=False, destination="busy"), to(hooks.url)
    heard(parcel, *[busy] * 4, Delivered({}), *[busy] * 4)
    assert Breaker.objects.get().state(NOW) == BreakerState.BUSY
    heard(parcel, busy)
    assert Breaker.objects.get().state(NOW) == BreakerState.OPEN


def test_an_absurd_retry_after_is_clamped(hooks, settings):
    heard(to(hooks.url), Undelivered("no", permanent=False, retry_after=1e300, destination="busy"))
    cap = settings.JOURNEYS["RETRY_AFTER_CAP_SECONDS"]
    assert Breaker.objects.get().busy_until == NOW + cap * SECOND


def test_a_flapping_endpoint_gets_everything_in_the_end(hooks, settings, monkeypatch):
    monkeypatch.setattr(http, "TOTAL_SECONDS", 0.5)
    settings.JOURNEYS = {**settings.JOURNEYS, "MAX_ATTEMPTS": 10}
    start(20, hook(hooks.url), tag("after"))
    faults = [Reply(429, {"Retry-After": "1"}), Reply(500), Hang(1), Reset(), Drip(), Reply(502), Reply(408)]
    hooks.next(*faults * 3)
    states = set()
    for minute in range(120):
        work_at(NOW + minute * MINUTE)
        states |= {breaker.state(NOW + minute * MINUTE) for breaker in Breaker.objects.all()}
        if not UserJourney.objects.filter(status=RunStatus.ACTIVE).exists():
            break
    assert UserJourney.objects.filter(status=RunStatus.COMPLETED).count() == 20
    assert len({body["data"]["execution_id"] for body in hooks.received}) == 20
    assert not StepExecution.objects.filter(dead_at__isnull=False).exists()
    assert BreakerState.BUSY in states, "the 429"
    assert Breaker.objects.get().last_error


def test_a_host_that_is_unknown_or_away_opens_its_breaker_and_is_shown(client):
    with nobody() as address:
        start(8, hook(f"http://{address}"), name="Away")
        start(8, hook("http://nowhere.invalid"), name="Unknown")
        work_at(NOW)
        assert {breaker.destination for breaker in Breaker.objects.exclude(opened_at=None)} == {
            address,
            "nowhere.invalid:80",
        }
    assert "refused" in Breaker.objects.get(destination=address).last_error
    lines = client.get("/metrics").content.decode().splitlines()
    assert 'journey_breakers_open{channel="webhook"} 2.0' in lines
    assert 'journey_breakers_open{channel="email"} 0.0' in lines


def test_a_bot_whose_token_is_refused_loses_nobodys_message(settings):
    with BotApi(token="1:right") as bot:
        settings.TELEGRAM_API_URL, settings.TELEGRAM_BOT_TOKEN = bot.url, "1:wrong"
        start(20, {"name": "Hi", "action_type": "send_telegram", "action_config": {"message": "Hi"}})
        for number in range(20):
            Contact.objects.filter(user_id=f"u{number}").update(telegram_chat_id=str(number))
        work_at(NOW)
        for hour in range(1, 4):
            work_at(NOW + hour * HOUR)
        settings.TELEGRAM_BOT_TOKEN = "1:right"
        for hour in range(4, 8):
            work_at(NOW + hour * HOUR)
        assert len(bot.messages) == 20


def test_a_mail_server_that_is_away_costs_few_tries(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.JOURNEYS = {**settings.JOURNEYS, "EMAIL_CONFIGURED": True}
    mail = {"name": "Mail", "action_type": "send_email", "action_config": {"subject": "Hi", "text": "Hi"}}
    with nobody() as address:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", int(address.partition(":")[2])
        start(40, mail)
        Contact.objects.update(email="ann@example.com")
        work_at(NOW)
        assert Breaker.objects.get(opened_at=NOW).destination == address
        assert StepExecution.objects.filter(retry_count=1).count() <= 5 + 8
    with SmtpSink() as smtp:
        smtp_breaker = Breaker.objects.get()
        settings.EMAIL_PORT = smtp.port
        Breaker.objects.filter(destination=smtp_breaker.destination).delete()
        work_at(NOW + HOUR)
        assert len(smtp.messages) == 40


def test_what_expires_while_its_destination_is_away_is_skipped_as_stale(hooks):
    start(20, hook(hooks.url) | {"expires_after_minutes": 30}, tag("after"))
    hooks.next(*[Reply(503)] * 30)
    work_at(NOW)
    hooks._faults.clear()
    before = len(hooks.requests)
    work_at(NOW + HOUR)
    assert len(hooks.requests) == before
    assert {execution.result.get("reason") for execution in StepExecution.objects.filter(step__name="Hook")} == {
        "stale"
    }
    assert tags_of("u0") == {"after"}
    assert not Message.objects.exclude(error="stale: it could not be sent in time").exists()


def test_replays_wait_for_a_breaker_too(hooks):
    start(3, hook(hooks.url))
    hooks.next(*[Reply(400)] * 3)
    work_at(NOW)
    heard(to(hooks.url), *[DOWN] * 5, now=NOW + DAY)
    replay.replay(StepExecution.objects.values_list("id", flat=True), NOW + DAY)
    replay.work(lambda: NOW + DAY, 10)
    assert len(hooks.requests) == 3
    waiting = StepExecution.objects.filter(replay_at__gte=NOW + DAY + MINUTE, claim_token=None, retry_count=0)
    assert waiting.count() == 3
    replay.work(lambda: NOW + DAY + MINUTE, 10)
    assert len(hooks.received) == 1, "the probe"
    while replay.work(lambda: NOW + DAY + HOUR, 10):
        pass
    assert len(hooks.received) == 3


def test_replays_that_were_not_tried_because_their_destination_failed_are_let_go(hooks):
    start(30, hook(hooks.url))
    hooks.next(*[Reply(400)] * 30)
    work_at(NOW)
    hooks.next(*[Reply(503)] * 30)
    replay.replay(StepExecution.objects.values_list("id", flat=True), NOW + DAY)
    replay.work(lambda: NOW + DAY, 100)
    assert not StepExecution.objects.filter(lease_until__isnull=False).exists()
    assert StepExecution.objects.filter(replay_at__isnull=False, retry_count=0).count() >= 30 - 13


def test_a_breaker_closed_by_hand_lets_all_through_again(hooks):
    parcel = to(hooks.url)
    heard(parcel, *[DOWN] * 5)
    assert parcel.message.id in turns_of([parcel], {}, NOW)
    assert breakers.forget(hooks.host) is True
    assert turns_of([parcel], {}, NOW) == {}
    assert breakers.forget(hooks.host) is False


def test_trying_the_future_does_not_keep_probes_away(hooks):
    parcel = to(hooks.url)
    heard(parcel, *[DOWN] * 5, now=NOW + 30 * DAY)
    assert turns_of([parcel], {}, NOW) == {}, "it is the probe"


def test_breakers_that_nobody_asks_for_are_cleared_away(hooks):
    heard(to("https://open.example.com/"), *[DOWN] * 5)
    heard(to("https://well.example.com/"), DOWN, Delivered({}))
    housekeeping.minute(NOW + MINUTE)
    assert Breaker.objects.count() == 2
    housekeeping.minute(NOW + 2 * HOUR)
    assert [breaker.destination for breaker in Breaker.objects.all()] == ["open.example.com:443"]
    housekeeping.minute(NOW + 2 * DAY)
    assert not Breaker.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_all_workers_one_probes(hooks):
    heard(to(hooks.url), *[DOWN] * 5)
    went: list[int] = []
    ready = threading.Barrier(4)

    def ask() -> None:
        parcels = [to(f"{hooks.url}/{number}") for number in range(10)]
        ready.wait()
        went.append(10 - len(turns_of(parcels, {}, NOW + MINUTE)))
        connection.close()

    workers = [threading.Thread(target=ask) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert sorted(went) == [0, 0, 0, 1]


def test_a_run_that_workers_died_of_is_still_known_for_it_after_a_wait(hooks):
    start(1, hook(hooks.url))
    claim(NOW, 10)  # ... and the worker dies here.
    UserJourney.objects.update(lease_until=datetime.now(UTC) - SECOND)
    heard(to(hooks.url), *[DOWN] * 5)
    work_at(NOW)
    run = UserJourney.objects.get()
    assert (run.deaths, run.attempts, run.due_at) == (1, 0, NOW + MINUTE)
    work_at(NOW + MINUTE)
    run.refresh_from_db()
    assert (run.status, run.deaths, len(hooks.received)) == (RunStatus.COMPLETED, 0, 1)


def test_a_person_with_messages_elsewhere_gets_those(hooks):
    with nobody() as address:
        start(12, hook(f"http://{address}", "Away"), hook(hooks.url, "There"))
        make_journey("Other", [hook(hooks.url), tag("done")], trigger_type="upgrade", now=NOW)
        work_at(NOW)
        ingest([Incoming("u0", "upgrade")], NOW)
        work_at(NOW)
    assert tags_of("u0") == {"done"}
