"""Webhooks a second to a local server, rows recorded included, against bare httpx with the same bodies."""

from collections.abc import Sequence

import httpx
from django.test.utils import override_settings

from journeys.actions.base import Outgoing
from journeys.actions.webhook import TriggerWebhook
from journeys.bench.figure import Figure, Sizes
from journeys.bench.sending import figure, race
from journeys.bench.sinks import HOST, http_sink

SECRET = "whsec_" + "Zm9yIHRoZSBiZW5jaCBhbG9uZSwgYW5kIG5vIHNlY3JldA=="


def webhook(sizes: Sizes) -> Figure:
    with (
        http_sink() as sink,
        # A network, not a host: so each address is looked up and judged as a public one would be.
        override_settings(WEBHOOK_SECRETS=[SECRET], WEBHOOK_ALLOWED_HOSTS=["127.0.0.0/8"]),
    ):
        url = f"http://{HOST}:{sink.port}/hook?id={{{{ user.user_id }}}}"
        step = {"name": "Tell them", "action_type": "trigger_webhook", "action_config": {"url": url}}
        speeds = race(sizes, step, sink, _send, TriggerWebhook.concurrency)
        connections = TriggerWebhook.concurrency
        meaning = f"claimed, signed, sent and recorded, against bare httpx; {connections} connections each"
        return figure("webhook", sizes, sink, speeds, meaning, 0.7)


def _send(messages: Sequence[Outgoing]) -> int:
    with httpx.Client() as client:
        for outgoing in messages:
            client.post(
                outgoing.to, content=outgoing.payload["body"], headers={"content-type": "application/json"}
            ).raise_for_status()
    return len(messages)
