"""`config check`, `show`, `push`, `route-test`."""

from __future__ import annotations

import json
from typing import Any

import boto3
import moto
import pytest
import yaml

from wabawatch.adapters import cloudformation, process
from wabawatch.adapters.notifiers import registry
from wabawatch.bootstrap import build
from wabawatch.config import load


def test_check_says_what_is_valid(site):
    assert site.ok("config", "check") == f"{site.config}: valid; 3 targets, 1 destination, 0 routes\n"
    assert site.ok("config", "check", str(site.config)).endswith("0 routes\n")


def test_check_tells_every_mistake_with_its_line(site):
    site.config.write_text("targets:\n- {id: a b, name: A, api_key: literal}\nrouts: []\n")
    done = site.call("config", "check")
    assert done.exit_code == 64
    assert f"{site.config}:2: targets[0].id" in done.stderr
    assert f"{site.config}:2: targets[0].api_key" in done.stderr
    assert f"{site.config}:3: routs" in done.stderr
    assert "literal" not in done.output


@pytest.mark.parametrize("command", [["config", "check"], ["run", "--once"], ["status"]])
def test_an_empty_file_is_a_mistake_and_not_the_configuration_of_one_number(site, command):
    site.environment["D360_API_KEY"] = "a-key"
    site.config.write_text("")
    done = site.call(*command)
    assert done.exit_code == 64
    assert f"{site.config}:1: the file is empty; write at least targets:" in done.stderr


def test_check_insists_on_secrets_that_are_there_unless_they_are_elsewhere(site):
    site.configure(targets=[{"id": "a", "name": "A", "api_key": "env:NO_SUCH_VARIABLE"}])
    done = site.call("config", "check")
    assert done.exit_code == 64
    assert "NO_SUCH_VARIABLE" in done.stderr
    assert "valid" in site.ok("config", "check", "--elsewhere")


def test_check_notes_a_concurrency_that_this_machine_cannot_hold(site, monkeypatch):
    monkeypatch.setattr(process, "_soft_limit", lambda: 1024)
    site.configure(source={**site.settings["source"], "concurrency": 10_000})
    said = site.ok("config", "check")
    assert "valid; 3 targets" in said
    assert "note: source.concurrency is 10000, and 896 probes run concurrently" in said
    assert "ulimit -n 10128" in said


@pytest.mark.parametrize(
    ("stack_name", "note"),
    [
        pytest.param(None, "9,000 numbers take 9,000 s (if an answer takes 1 s, 1 at once)", id="this machine"),
        pytest.param("prod", "9,000 numbers in 5 shards: a shard takes 1,800 s", id="a deployment"),
    ],
)
def test_check_notes_a_fleet_that_does_not_fit_into_the_interval(site, monkeypatch, stack_name, note):
    found = cloudformation.Stack("prod", "CREATE_COMPLETE", {"TableName": "t", "ConfigLocation": "s3://conf/c"}, {})
    monkeypatch.setattr(cloudformation, "find_stack", lambda *_: found)
    targets = [{"id": f"n{number}", "api_key": "ssm:k"} for number in range(9000)]
    site.configure(targets=targets, source={**site.settings["source"], "concurrency": 1})
    site.config.write_text(json.dumps(site.settings))
    arguments = ["--stack", stack_name] if stack_name else []
    assert f"note: {note}" in site.ok(*arguments, "config", "check", str(site.config), "--elsewhere")


def test_show_prints_a_configuration_that_loads_back_equal(site):
    shown = site.ok("config", "show")
    plain = yaml.safe_load(shown)
    assert plain["policy"]["thresholds"] == {"blocked": 1, "limited": 1, "available": 2, "unknown": 3}

    def read(text: str) -> Any:
        return load(text, "x", environment=site.environment, destination_kinds=registry.OPTIONS)

    assert read(shown) == read(site.config.read_text())
    assert json.loads(site.ok("config", "show", "--json")) == plain


def test_show_hides_where_urls_lead(site):
    site.configure(
        destinations={"hook": {"kind": "webhook", "url": "https://hooks.example/T0/unseen", "secret": "env:HOME"}},
        heartbeat={"url": "https://hc.example/0000-secret"},
    )
    shown = site.ok("config", "show")
    assert "unseen" not in shown
    assert "0000-secret" not in shown
    assert "https://hooks.example/…" in shown
    assert "https://hc.example/…" in shown
    assert "env:HOME" in shown


@pytest.fixture
def bucket(site, monkeypatch):
    """A versioned bucket, and a configuration that a stack can read."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    site.configure(targets=[{"id": "a", "name": "A", "api_key": "secretsmanager:wabawatch/a"}], source={})
    with moto.mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="conf", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        client.put_bucket_versioning(Bucket="conf", VersioningConfiguration={"Status": "Enabled"})
        yield client


def test_push_validates_and_uploads(site, bucket):
    said = site.ok("config", "push", str(site.config), "--to", "s3://conf/config.json")
    assert said.startswith(f"{site.config}: valid; uploaded to s3://conf/config.json, version ")
    body = bucket.get_object(Bucket="conf", Key="config.json")["Body"].read()
    assert json.loads(body)["targets"][0]["api_key"] == "secretsmanager:wabawatch/a"
    shown = site.ok("config", "show", "--config", "s3://conf/config.json")
    assert yaml.safe_load(shown)["targets"][0]["id"] == "a"


def test_push_takes_the_place_from_config(site, bucket):
    site.ok("config", "push", str(site.config), "--config", "s3://conf/other.json")
    assert bucket.get_object(Bucket="conf", Key="other.json")


def test_push_uploads_nothing_that_is_bad(site, bucket):
    site.configure(polciy={})
    done = site.call("config", "push", str(site.config), "--to", "s3://conf/config.json")
    assert done.exit_code == 64
    assert bucket.list_objects_v2(Bucket="conf")["KeyCount"] == 0


def test_push_refuses_secrets_that_only_this_machine_has(site, bucket):
    site.configure(targets=[{"id": "a", "name": "A", "api_key": "env:HOME"}])
    done = site.call("config", "push", str(site.config), "--to", "s3://conf/config.json")
    assert done.exit_code == 64
    assert "targets[0].api_key" in done.stderr
    assert "secretsmanager:NAME" in done.stderr
    assert bucket.list_objects_v2(Bucket="conf")["KeyCount"] == 0


@pytest.mark.parametrize("command", ["push", "check"])
def test_secrets_that_the_stacks_functions_may_not_read_are_refused(site, bucket, monkeypatch, command):
    outputs = {"TableName": "t", "ConfigLocation": "s3://conf/config.json"}
    found = cloudformation.Stack("wabawatch", "CREATE_COMPLETE", outputs, {}, secret_prefix="wabawatch/")
    monkeypatch.setattr(cloudformation, "find_stack", lambda _name, _clients: found)
    site.configure(targets=[{"id": f"n{number}", "api_key": f"ssm:/other/{number}"} for number in range(5)])
    done = site.call("--stack", "wabawatch", "config", command, str(site.config))
    assert done.exit_code == 64
    assert f"{site.config}: ssm:/other/0: poll may not read it" in done.stderr
    assert done.stderr.count("give it a name that begins with /wabawatch/keys/") == 3
    assert "and 2 more" in done.stderr
    assert bucket.list_objects_v2(Bucket="conf")["KeyCount"] == 0


def test_push_needs_a_place(site):
    done = site.call("config", "push", str(site.config))
    assert done.exit_code == 64
    assert "--stack NAME, or --to s3://" in done.stderr


def test_push_remove_deletes_what_was_uploaded_and_its_absence_is_no_trouble(site, bucket):
    state = site.environment["WABAWATCH_STATE"]
    site.ok("config", "push", str(site.config), "--to", "s3://conf/config.json")
    watching = build(state, "s3://conf/config.json", {"WABAWATCH_API_KEY_SECRET": "wabawatch/key"})
    watching.refresh()
    said = site.ok("config", "push", "--remove", "--to", "s3://conf/config.json")
    assert said == "s3://conf/config.json: removed; the parameters apply from the next run on\n"
    assert bucket.list_objects_v2(Bucket="conf")["KeyCount"] == 0
    assert watching.refresh() is None
    assert [one.id for one in watching.settings.targets] == ["number"]
    watching.close()


def test_push_remove_leaves_the_document_of_a_stack_whose_parameters_alone_make_no_configuration(
    site, bucket, monkeypatch
):
    outputs = {"TableName": "t", "ConfigLocation": "s3://conf/config.json"}
    monkeypatch.setattr(
        cloudformation, "find_stack", lambda name, _: cloudformation.Stack(name, "CREATE_COMPLETE", outputs, {})
    )
    site.ok("config", "push", str(site.config), "--to", "s3://conf/config.json")
    done = site.call("--stack", "wabawatch", "config", "push", "--remove")
    assert done.exit_code == 64
    assert "nothing was removed" in done.stderr
    assert bucket.list_objects_v2(Bucket="conf")["KeyCount"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param([], "specify the FILE to upload, or --remove", id="neither"),
        pytest.param(["fleet.yaml", "--remove"], "specify the FILE to upload, or --remove", id="both"),
        pytest.param(
            ["--remove", "--to", "s3://conf/config.json"], "specify the deployment: --stack NAME", id="no state"
        ),
    ],
)
def test_push_wants_a_file_or_to_remove_one_and_then_from_what_state(site, arguments, said):
    del site.environment["WABAWATCH_STATE"]
    done = site.call("config", "push", *arguments)
    assert done.exit_code == 64
    assert said in done.stderr


ROUTES = [
    {"match": {"reason_code": [141006]}, "to": ["billing"], "stop": True},
    {"match": {"labels": {"team": "support"}}, "to": ["support"]},
    {"to": ["ops"]},
]


@pytest.fixture
def routed(site):
    site.configure(destinations={name: {"kind": "console"} for name in ("ops", "billing", "support")}, routes=ROUTES)
    return site


def notified(found: dict[str, Any]) -> set[str]:
    return {one["destination"] for one in found["destinations"] if one["notified"]}


def test_route_test_shows_where_an_example_goes(routed):
    assert notified(routed.document("config", "route-test", "--target", "support-de")) == {"support", "ops"}
    assert notified(routed.document("config", "route-test", "--label", "team=sales")) == {"ops"}
    found = routed.document("config", "route-test", "--target", "support-de", "--reason-code", "141006")
    assert notified(found) == {"billing"}
    assert (found["status"], found["severity"]) == ("BLOCKED", "critical")


def test_route_test_says_why_a_route_does_not_match_or_is_not_reached(routed):
    found = routed.document("config", "route-test", "--target", "sales-br")
    assert [(one["number"], one["reached"], one["failing"]) for one in found["routes"]] == [
        (1, True, ["reason 141006"]),
        (2, True, ["label team=support"]),
        (3, True, []),
    ]
    found = routed.document("config", "route-test", "--reason-code", "141006")
    assert [one["reached"] for one in found["routes"]] == [True, False, False]
    shown = routed.ok("config", "route-test", "--target", "sales-br")
    assert "no: not label team=support" in shown
    assert "ops: notified at once" in shown
    assert "billing: not notified" in shown


def test_route_test_knows_working_hours_windows_and_silences(routed):
    hours = {"days": ["mon"], "from": "09:00", "to": "17:00", "timezone": "UTC"}
    routed.configure(routes=[{"to": ["ops"], "hours": hours}])
    sunday = ["--at", "2026-03-01T12:00Z"]
    shown = routed.ok("config", "route-test", "--status", "LIMITED", *sunday)
    assert "ops: notified when working hours begin, at 2026-03-02 09:00 UTC" in shown
    assert "ops: notified at once" in routed.ok("config", "route-test", *sunday)
    routed.ok("silence", "add", "--all", "--for", "1h", "--reason", "move", "--author", "ann")
    assert "by ann: move" in routed.ok("config", "route-test")


def test_route_test_takes_a_real_incident(routed):
    incident = routed.block()
    assert notified(routed.document("config", "route-test", "--incident", incident)) == {"billing"}


def test_route_test_of_a_real_incident_knows_all_that_it_affects(crowd):
    (incident,) = crowd.document("incidents")["incidents"]
    to = list(crowd.settings["destinations"])
    crowd.configure(routes=[{"match": {"target": one["id"]}, "to": to} for one in crowd.settings["targets"]])
    found = crowd.document("config", "route-test", "--incident", incident["id"])
    assert [one["failing"] for one in found["routes"]] == [[]] * 30


def test_route_test_of_a_target_that_cannot_be_read(routed):
    found = routed.document("config", "route-test", "--target", "support-de", "--cause", "disabled")
    assert (found["status"], found["severity"]) == ("UNKNOWN", "error")


def test_route_test_refuses_targets_and_labels_that_nobody_has(routed):
    assert "did you mean sales-br?" in routed.call("config", "route-test", "--target", "sales-bt").stderr
    assert "no target has these labels" in routed.call("config", "route-test", "--label", "team=none").stderr
