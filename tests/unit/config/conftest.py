from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.unit.config.cases import KINDS
from wabawatch.config import Settings, load


@pytest.fixture
def kinds() -> dict[str, type[msgspec.Struct]]:
    return KINDS


@pytest.fixture
def loaded() -> Callable[..., Settings]:
    """Load a text with one variable in the environment and all kinds of destination."""

    def load_text(text: str | bytes, name: str = "watch.yaml", **given: Any) -> Settings:
        environment = given.pop("environment", {"A_KEY": "an-api-key", "SHORT": "seven77"})
        return load(text, name, environment=environment, destination_kinds=KINDS, **given)

    return load_text
