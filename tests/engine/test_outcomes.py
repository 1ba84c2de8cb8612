"""How much is sent before anybody records it: the bound that docs/reliability.md states."""

import time
from datetime import UTC, datetime

import pytest

from journeys.engine import outcomes
from journeys.engine.claim import claim
from journeys.engine.dispatch import Parcel, dispatch
from journeys.engine.ingest import Incoming, ingest
from journeys.engine.lease import RUNS, Renewal
from journeys.models import Contact
from tests.factories import make_journey

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
HELLO = {"name": "Hello", "action_type": "send_telegram", "action_config": {"message": "Hello"}}
ROOM = 20
PEOPLE = 70

pytestmark = pytest.mark.django_db


def test_senders_pause_while_nothing_is_recorded_and_go_on_as_it_is(bot, monkeypatch):
    monkeypatch.setattr(outcomes, "MOST_UNRECORDED", ROOM)
    make_journey("Many", [HELLO], now=NOW)
    ingest([Incoming(f"u{number}", "signup") for number in range(PEOPLE)], NOW)
    Contact.objects.update(telegram_chat_id="7")
    claimed = claim(NOW, 500)
    parcels = [Parcel(message, False) for _, message in claimed.sends]
    recorded = 0
    for lot in dispatch(parcels, Renewal(RUNS, claimed.lease)):
        bot.wait_for(min(recorded + ROOM, PEOPLE))
        time.sleep(0.1)  # For those who would go on.
        assert len(bot.requests) == min(recorded + ROOM, PEOPLE), f"{recorded} of them are recorded"
        recorded += len(lot)
    assert (recorded, len(bot.requests)) == (PEOPLE, PEOPLE)
