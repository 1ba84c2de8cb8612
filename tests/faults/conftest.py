"""What the attacks share."""

from collections.abc import Iterator

import pytest

from tests.faults.scene import Scene


@pytest.fixture
def scene() -> Iterator[Scene]:
    with Scene() as open_scene:
        yield open_scene
