"""The deployed product, from the schedule to the people: each test goes on where the last one ended."""

import json

from tests.e2e.conftest import NUMBER
from tests.e2e.previous import previous_tree
from tests.e2e.stack import HOST, build, eventually


def transitions(emulator, stack):
    """Sequence numbers of the number's transitions, as they lie in the table."""
    pages = emulator.client("dynamodb").get_paginator("scan").paginate(TableName=stack.outputs["TableName"])
    keys = [(item["pk"]["S"], item["sk"]["S"]) for page in pages for item in page["Items"]]
    return [sk for pk, sk in keys if pk.startswith("LOG#")]


def placed(emulator, stack):
    """The functions' ARNs, roles and layers."""
    functions = [stack.outputs[name] for name in ("PollFunctionName", "NotifyFunctionName")]
    found = [emulator.client("lambda").get_function_configuration(FunctionName=name) for name in functions]
    return [(one["FunctionArn"], one["Role"]) for one in found], [one["Layers"][0]["Arn"] for one in found]


def open_incidents(stack):
    found = json.loads(stack.wabawatch("incidents", "--json").stdout)["incidents"]
    return {incident["entity_id"] for incident in found if incident["resolved_at"] is None}


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
    assert "alerts  notified of BLOCKED" in explained
    assert "slack  notified of BLOCKED" in explained
    (change,) = json.loads(stack.wabawatch("history", "--json").stdout)["transitions"]
    assert (change["old"], change["new"]) == ("AVAILABLE", "BLOCKED")


def test_a_rollback_to_the_previous_artefact_keeps_what_is_open_and_goes_on(
    emulator, stack, subscriber, slack, simulator, tmp_path
):
    before, (places, layers) = sorted(transitions(emulator, stack)), placed(emulator, stack)
    stack.deploy(f"ARTEFACT={build(tree=previous_tree(tmp_path / 'previous'))}")
    stack.wait_for_runs(1)
    assert placed(emulator, stack)[0] == places
    assert not set(placed(emulator, stack)[1]) & set(layers)
    assert sorted(transitions(emulator, stack)) == before
    assert subscriber.kinds == ["opened"]
    assert len(slack.messages) == 1
    simulator.set(f"business:{NUMBER.business}", status="LIMITED", reasons=[141010])
    eventually(
        lambda: len(subscriber.documents) > 1 and len(slack.messages) > 1, "the previous artefact told of a limit"
    )


def test_the_update_after_it_loses_and_repeats_nothing(emulator, stack, subscriber, slack, simulator):
    before = sorted(transitions(emulator, stack))
    stack.deploy("PARAMETERS=LogLevel=DEBUG")
    stack.wait_for_runs(1)
    assert sorted(transitions(emulator, stack)) == before
    assert subscriber.kinds == ["opened", "opened"]
    assert len(slack.messages) == 2
    assert open_incidents(stack) == {NUMBER.waba, NUMBER.business}
    simulator.set(f"business:{NUMBER.business}", status="AVAILABLE")
    eventually(lambda: len(subscriber.documents) > 2 and len(slack.messages) > 2, "both were told of its end")
    assert subscriber.kinds == ["opened", "opened", "resolved"]
    assert open_incidents(stack) == {NUMBER.waba}


def test_an_artefact_for_another_processor_is_refused_before_anything_changes(emulator, stack):
    other = "arm64" if HOST == "x86_64" else "x86_64"
    before = placed(emulator, stack)
    refused = stack.try_deploy(f"ARTEFACT={build(other)}", "PARAMETERS=LogLevel=ERROR")
    assert refused.returncode
    assert f"is built for {other}" in refused.stderr
    assert f"run on {HOST}" in refused.stderr
    assert placed(emulator, stack) == before
    assert stack.parameters["LogLevel"] == "DEBUG"


def test_a_recovery_is_told_once_with_its_duration_by_the_stream_alone(stack, subscriber, slack, simulator):
    (block,) = subscriber.documents[0]["incidents"]
    subscriber.forget()
    slack.messages.clear()
    stack.switch_schedules("DISABLED", "notify")
    simulator.heal()
    eventually(lambda: subscriber.documents and slack.messages, "both were told of the recovery")
    stack.switch_schedules("ENABLED", "notify")
    stack.wait_for_runs(1)
    assert subscriber.kinds == ["resolved"]
    (incident,) = subscriber.documents[0]["incidents"]
    assert incident["incident_id"] == block["incident_id"]
    assert incident["duration_seconds"] > 0
    assert len(slack.messages) == 1


def test_two_polls_at_once_record_a_change_once(emulator, stack, subscriber, simulator):
    before = transitions(emulator, stack)
    subscriber.forget()
    simulator.set(NUMBER.id, status="LIMITED", reasons=[141010])
    tick = json.dumps({"wabawatch": "poll", "scheduled_at": "2026-01-01T00:00:00Z"})
    for _ in range(4):
        emulator.client("lambda").invoke(
            FunctionName=stack.outputs["PollFunctionName"], InvocationType="Event", Payload=tick
        )
    eventually(lambda: subscriber.documents, "the subscriber was told of the limit")
    stack.wait_for_runs(1)
    assert len(transitions(emulator, stack)) == len(before) + 1
    assert subscriber.kinds == ["opened"]


def test_without_the_stream_alerts_arrive_by_the_schedule(emulator, stack, subscriber, simulator):
    (mapping,) = emulator.client("lambda").list_event_source_mappings(FunctionName=stack.outputs["NotifyFunctionName"])[
        "EventSourceMappings"
    ]
    emulator.client("lambda").update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    simulator.heal()
    eventually(lambda: len(subscriber.documents) > 1, "the subscriber was told of the recovery")
    assert subscriber.kinds == ["opened", "resolved"]
    emulator.client("lambda").update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


def test_a_destination_that_fails_is_told_when_it_is_back_and_delays_nobody(stack, subscriber, slack, simulator):
    subscriber.forget()
    notified = len(slack.messages)
    slack.refuse = True
    simulator.set(NUMBER.id, status="BLOCKED", reasons=[141000])
    eventually(lambda: subscriber.documents, "SNS was told while the chat refused")
    stack.wait_for_runs(1)
    assert len(slack.messages) == notified
    slack.refuse = False
    eventually(lambda: len(slack.messages) > notified, "the chat was told when it was back", seconds=240)
    simulator.heal()
    eventually(lambda: len(subscriber.documents) > 1, "SNS was told of the recovery")
