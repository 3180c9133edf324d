"""What a function does before its first event: Lambda gives it a whole processor only while it starts."""

import pytest

from wabawatch.errors import ConfigurationError

EVENTS = {"poll": {"wabawatch": "poll", "scheduled_at": "2026-03-01T12:00:00Z"},
          "notify": {"wabawatch": "notify", "scheduled_at": "2026-03-01T12:00:00Z"}}  # fmt: skip


@pytest.mark.parametrize("name", EVENTS)
def test_on_lambda_the_application_is_made_while_the_function_starts(function, name):
    started = function(name, AWS_LAMBDA_FUNCTION_NAME=f"wabawatch-{name}")
    assert started.module.serverless.cache_info().currsize == 1


@pytest.mark.parametrize("name", EVENTS)
def test_a_start_that_fails_is_told_by_the_first_event_with_one_clear_line(function, name):
    started = function(name, AWS_LAMBDA_FUNCTION_NAME=f"wabawatch-{name}", WABAWATCH_STATE="")
    with pytest.raises(ConfigurationError, match="WABAWATCH_STATE"):
        started(EVENTS[name])
    (line,) = started.errors()
    assert "WABAWATCH_STATE is not set" in line["reason"]
