"""What several of the engine's tests talk to."""

from collections.abc import Iterator

import pytest

from tests.sinks_http import BotApi


@pytest.fixture
def bot(settings) -> Iterator[BotApi]:
    """A Bot API that the Telegram channel is configured for."""
    with BotApi(token="1:a") as api:
        settings.TELEGRAM_API_URL, settings.TELEGRAM_BOT_TOKEN = api.url, "1:a"
        yield api
