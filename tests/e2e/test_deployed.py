"""The deployed product, from the schedule to the people: each test goes on where the last one ended."""

import json

from tests.e2e.conftest import NUMBER
from tests.e2e.stack import eventually


def transitions(emulator, stack):
    """Sequence numbers of the number's transitions, as they lie in the table."""
    pages = emulator.client("dynamodb").get_paginator("scan").paginate(TableName=stack.outputs["TableName"])
    keys = [(item["pk"]["S"], item["sk"]["S"]) for page in pages for item in page["Items"]]
    return [sk for pk, sk in keys if pk.startswith("LOG#")]


def switch_schedule(emulator, stack, name, state):
    found = emulator.client("scheduler").get_schedule(GroupName=stack.name, Name=f"{stack.name}-{name}")
    kept = ("GroupName", "Name", "ScheduleExpression", "FlexibleTimeWindow", "Target")
    emulator.client("scheduler").update_schedule(**{field: found[field] for field in kept}, State=state)


def test_the_schedule_watches_a_healthy_number_in_silence(stack, subscriber, slack):
    eventually(stack.runs, "a run by the schedule")
    assert stack.runs()[0]["expected"] == stack.runs()[0]["answered"] == 1
    stack.wait_for_runs(1)
    assert slack.messages == []
    assert subscriber.documents == []


def test_a_block_reaches_the_subscriber_and_the_chat_once(stack, subscriber, slack, simulator):
    simulator.set(f"waba:{NUMBER.waba}", status="BLOCKED", reasons=[141006])
    eventually(lambda: subscriber.documents and slack.messages, "both destinations were told of the block")
    stack.wait_for_runs(2)
    assert subscriber.kinds == ["opened"]
    (incident,) = subscriber.documents[0]["incidents"]
    assert incident["entity"] == {"type": "WABA", "id": NUMBER.waba}
    assert (incident["old"], incident["new"]) == ("AVAILABLE", "BLOCKED")
    assert [reason["code"] for reason in incident["reasons"]] == [141006]
    assert len(slack.messages) == 1
    assert "141006" in slack.texts()[0]


def test_the_command_line_shows_the_incident_and_who_was_told(stack):
    assert stack.wabawatch("status").returncode == 2
    (incident,) = json.loads(stack.wabawatch("incidents", "--json").stdout)["incidents"]
    explained = stack.wabawatch("explain", incident["id"]).stdout
    assert "alerts  heard BLOCKED" in explained
    assert "slack  heard BLOCKED" in explained
    (change,) = json.loads(stack.wabawatch("history", "--json").stdout)["transitions"]
    assert (change["old"], change["new"]) == ("AVAILABLE", "BLOCKED")


def test_an_update_of_the_stack_with_an_open_incident_loses_and_repeats_nothing(emulator, stack, subscriber, slack):
    before = sorted(transitions(emulator, stack))
    stack.deploy("PARAMETERS=LogLevel=DEBUG")
    stack.wait_for_runs(2)
    assert sorted(transitions(emulator, stack)) == before
    assert subscriber.kinds == ["opened"]
    assert len(slack.messages) == 1


def test_a_recovery_is_told_once_with_its_duration_by_the_stream_alone(emulator, stack, subscriber, slack, simulator):
    switch_schedule(emulator, stack, "notify", "DISABLED")
    simulator.heal()
    eventually(lambda: len(subscriber.documents) > 1 and len(slack.messages) > 1, "both were told of the recovery")
    switch_schedule(emulator, stack, "notify", "ENABLED")
    stack.wait_for_runs(1)
    assert subscriber.kinds == ["opened", "resolved"]
    (incident,) = subscriber.documents[1]["incidents"]
    assert incident["incident_id"] == subscriber.documents[0]["incident_id"]
    assert incident["duration_seconds"] > 0
    assert len(slack.messages) == 2


def test_two_polls_at_once_record_a_change_once(emulator, stack, subscriber, simulator):
    before = transitions(emulator, stack)
    simulator.set(NUMBER.id, status="LIMITED", reasons=[141010])
    tick = json.dumps({"wabawatch": "poll", "scheduled_at": "2026-01-01T00:00:00Z"})
    for _ in range(4):
        emulator.client("lambda").invoke(
            FunctionName=stack.outputs["PollFunctionName"], InvocationType="Event", Payload=tick
        )
    eventually(lambda: len(subscriber.documents) > 2, "the subscriber was told of the limit")
    stack.wait_for_runs(1)
    assert len(transitions(emulator, stack)) == len(before) + 1
    assert subscriber.kinds == ["opened", "resolved", "opened"]


def test_without_the_stream_alerts_arrive_by_the_schedule(emulator, stack, subscriber, simulator):
    (mapping,) = emulator.client("lambda").list_event_source_mappings(FunctionName=stack.outputs["NotifyFunctionName"])[
        "EventSourceMappings"
    ]
    emulator.client("lambda").update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    simulator.heal()
    eventually(lambda: len(subscriber.documents) > 3, "the subscriber was told of the recovery")
    assert subscriber.kinds == ["opened", "resolved", "opened", "resolved"]
    emulator.client("lambda").update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


def test_a_destination_that_fails_is_told_when_it_is_back_and_delays_nobody(stack, subscriber, slack, simulator):
    told = len(slack.messages)
    slack.refuse = True
    simulator.set(NUMBER.id, status="BLOCKED", reasons=[141000])
    eventually(lambda: len(subscriber.documents) > 4, "SNS was told while the chat refused")
    stack.wait_for_runs(1)
    assert len(slack.messages) == told
    slack.refuse = False
    eventually(lambda: len(slack.messages) > told, "the chat was told when it was back", seconds=240)
    simulator.heal()
    eventually(lambda: len(subscriber.documents) > 5, "SNS was told of the recovery")


def test_a_number_that_cannot_be_read_is_told_as_such_and_counted_by_cause(subscriber, simulator):
    simulator.set(NUMBER.id, failure="bad_gateway")
    eventually(lambda: len(subscriber.documents) > 6, "the subscriber was told that nothing can be read")
    simulator.heal()
    eventually(lambda: len(subscriber.documents) > 7, "the subscriber was told that it can be read again")
