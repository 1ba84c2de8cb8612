"""Webhooks a second to a local server, rows recorded included, against bare httpx with the same bodies."""

from collections.abc import Sequence

import httpx
from django.test.utils import override_settings

from journeys.actions.base import Outgoing
from journeys.actions.webhook import TriggerWebhook
from journeys.bench.figure import Figure, Sizes
from journeys.bench.sending import SLOW_SECONDS, Referee, Speeds, race
from journeys.bench.sinks import HOST, http_sink

SECRET = "whsec_" + "Zm9yIHRoZSBiZW5jaCBhbG9uZSwgYW5kIG5vIHNlY3JldA=="
HEADERS = {"content-type": "application/json"}


def webhook(sizes: Sizes) -> Figure:
    quick = _race(sizes, 0)
    slow = _race(sizes.for_slow_servers(), SLOW_SECONDS)
    return Figure(
        "webhook",
        quick.engine,
        quick.referees["httpx"],
        "messages/s",
        "claimed, signed, sent and recorded, against bare httpx with the same bodies",
        at_least=0.7,
        details={**slow.as_slow("httpx"), **quick.details},
    )


def _race(sizes: Sizes, seconds: float) -> Speeds:
    with (
        http_sink(seconds) as sink,
        # A network, not a host: so each address is looked up and judged as a public one would be.
        override_settings(WEBHOOK_SECRETS=[SECRET], WEBHOOK_ALLOWED_HOSTS=["127.0.0.0/8"]),
        httpx.Client() as client,
    ):
        url = f"http://{HOST}:{sink.port}/hook?id={{{{ user.user_id }}}}"
        step = {"name": "Tell them", "action_type": "trigger_webhook", "action_config": {"url": url}}

        def post(requests: Sequence[tuple[str, str]]) -> int:
            for to, body in requests:
                client.post(to, content=body, headers=HEADERS).raise_for_status()
            return len(requests)

        return race(sizes, step, sink, {"httpx": Referee(_request, post)}, TriggerWebhook.concurrency)


def _request(outgoing: Outgoing) -> tuple[str, str]:
    return outgoing.to, outgoing.payload["body"]
