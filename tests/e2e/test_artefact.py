"""What `sam build` made, under the real runtime's client: every event of events/, start-up time, memory, size."""

import json
import re
import subprocess
import time

import pytest

from tests.e2e.emulator import PYTHON, ROOT
from tests.e2e.runtime_api import Runtime
from tests.e2e.stack import build
from tests.template.template import resources, template
from wabawatch.simulator import Fleet, Number, Scenario, running

NUMBER = Number(id="4930654321", name="Support", waba="102290129340399", business="2729063490586006")
EVENTS = ROOT / "events"
RUNTIME_BRINGS = {"boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3"}
"""What python3.13 on Lambda has besides the standard library."""
ONLY_IF_THERE = {"_distutils_hack", "simplejson"}
"""Belongs to this environment: setuptools loads itself, and requests takes the other where it finds it."""
NOT_IN_FUNCTIONS = ("wabawatch.adapters.notifiers.terminal",)
"""For people at a terminal; the layer leaves out what it needs."""
MOST_BYTES = 30_000_000

BARE = """
import boto3
client = boto3.client("dynamodb")
def handler(event, context): ...
"""
READY = """
from importlib.util import module_from_spec, spec_from_file_location
from wabawatch.bootstrap import _PARAMETERS
spec = spec_from_file_location("poll", "{app}")
poll = module_from_spec(spec)
spec.loader.exec_module(poll)
application = poll.runtime.lambda_monitor().monitor
application.store
application._config._accept(_PARAMETERS)
application.rules
application.source
handler = poll.handler
"""


@pytest.fixture(scope="module")
def surroundings(emulator):
    """The functions' variables, with a table as in the template, and everything else they speak to."""
    with running(Scenario(fleet=Fleet((NUMBER,)))) as simulator:
        table = resources("AWS::DynamoDB::Table")["WabawatchTable"]
        kept = ("BillingMode", "KeySchema", "AttributeDefinitions", "LocalSecondaryIndexes")
        emulator.client("dynamodb").create_table(TableName="artefact", **{name: table[name] for name in kept})
        emulator.client("s3").create_bucket(
            Bucket="artefact-configuration", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        emulator.client("secretsmanager").create_secret(Name="artefact-key", SecretString=NUMBER.key)
        yield emulator.environment | {
            "PATH": "/usr/bin:/bin",
            "WABAWATCH_STATE": "dynamodb:artefact",
            "WABAWATCH_CONFIG": "s3://artefact-configuration/config.json",
            "WABAWATCH_SHARD_QUEUE_URL": emulator.client("sqs").create_queue(QueueName="artefact")["QueueUrl"],
            "WABAWATCH_ALERTS_TOPIC_ARN": emulator.client("sns").create_topic(Name="artefact")["TopicArn"],
            "WABAWATCH_API_KEY_SECRET": "artefact-key",
            "WABAWATCH_SLACK_WEBHOOK_SECRET": "",
            "WABAWATCH_HISTORY_DAYS": "400",
            "WABAWATCH_POLL_INTERVAL": "5m",
            "WABAWATCH_DEPLOYMENT": "artefact",
            "WABAWATCH_BASE_URL": simulator.url,
            "POWERTOOLS_METRICS_NAMESPACE": "Wabawatch",
            "POWERTOOLS_LOG_LEVEL": "INFO",
        }
        emulator.client("dynamodb").delete_table(TableName="artefact")
        emulator.client("s3").delete_bucket(Bucket="artefact-configuration")
        emulator.client("sqs").delete_queue(
            QueueUrl=emulator.client("sqs").get_queue_url(QueueName="artefact")["QueueUrl"]
        )


@pytest.fixture(scope="module")
def poll(surroundings):
    with _started("Poll", surroundings) as runtime:
        yield runtime


@pytest.fixture(scope="module")
def notify(surroundings):
    with _started("Notify", surroundings) as runtime:
        yield runtime


def _started(function, environment):
    service = {"POWERTOOLS_SERVICE_NAME": function.lower()}
    return Runtime(build() / f"{function}Function", build() / "CoreLayer", environment | service)


def event(name):
    return json.loads((EVENTS / name).read_text())


def test_poll_reads_the_fleet_when_the_schedule_says_so(poll):
    kind, answer = poll.invoke(event("poll/schedule.json"))
    assert kind == "response", answer
    assert {name: answer[name] for name in ("expected", "answered", "unknown", "skipped")} == {
        "expected": 1,
        "answered": 1,
        "unknown": 0,
        "skipped": 0,
    }


def test_poll_drops_a_shard_whose_run_is_over(poll):
    assert poll.invoke(event("poll/shard.json")) == ("response", {"batchItemFailures": []})
    assert any("shard dropped" in line.get("message", "") for line in poll.log())


def test_poll_fails_with_a_poison_shard_so_that_it_is_counted(poll):
    before = len(errors(poll))
    kind, document = poll.invoke({"Records": event("poll/bad-shard.json")["Records"][:1]})
    assert kind == "error"
    assert "not a shard message" in document["errorMessage"]
    assert len(errors(poll)) == before + 1


def test_poll_sends_back_the_poison_shard_alone_where_others_are_well(poll):
    poison = event("poll/bad-shard.json")
    sent_back = [{"itemIdentifier": poison["Records"][0]["messageId"]}]
    assert poll.invoke(poison) == ("response", {"batchItemFailures": sent_back})


@pytest.mark.parametrize("name", ["bad-shape", "bad-function", "bad-instant"])
def test_poll_refuses_an_event_with_one_clear_line(poll, name):
    assert_refused(poll, event(f"poll/{name}.json"))


@pytest.mark.parametrize("name", ["schedule", "stream"])
def test_notify_does_a_round_when_it_is_rung(notify, name):
    kind, answer = notify.invoke(event(f"notify/{name}.json"))
    assert kind == "response", answer
    assert answer["worked"] is True


@pytest.mark.parametrize("name", ["bad-shape", "bad-function", "bad-records"])
def test_notify_refuses_an_event_with_one_clear_line(notify, name):
    assert_refused(notify, event(f"notify/{name}.json"))


@pytest.mark.parametrize("function", ["poll", "notify"])
def test_a_function_of_the_built_layer_says_its_libraries_and_that_it_can_do_all_it_needs(request, function):
    runtime = request.getfixturevalue(function)
    kind, found = runtime.invoke(event(f"{function}/self-test.json"))
    assert kind == "response", found
    assert [one for one in found["tried"] if "error" in one] == []
    assert found["versions"]["pycurl"].startswith("PycURL/")
    assert found["versions"]["python"].startswith("3.13.")


def errors(runtime):
    return [line for line in runtime.log() if line.get("level") == "ERROR"]


def assert_refused(runtime, bad):
    before = len(errors(runtime))
    kind, document = runtime.invoke(bad)
    assert kind == "error"
    assert "not an event of this function" in document["errorMessage"]
    assert len(errors(runtime)) == before + 1
    assert "not an event of this function" in errors(runtime)[-1]["reason"]


def test_every_event_of_the_folder_is_tried_here():
    tried = {"schedule", "shard", "stream", "bad-shard", "bad-shape", "bad-function", "bad-instant", "bad-records"}
    tried.add("self-test")
    assert {path.stem for name in ("poll", "notify") for path in (EVENTS / name).iterdir()} == tried


def test_the_layer_is_small_and_brings_all_that_the_runtime_does_not(surroundings):
    code = (
        "import importlib, pathlib, sys, wabawatch\n"
        "root = pathlib.Path(wabawatch.__path__[0])\n"
        "for path in root.rglob('*.py'):\n"
        "    name = '.'.join(path.relative_to(root.parent).with_suffix('').parts).removesuffix('.__init__')\n"
        f"    if not name.startswith({NOT_IN_FUNCTIONS}):\n"
        "        importlib.import_module(name)\n"
        "import pycurl, requests, yaml\n"
        "print(*{name.partition('.')[0] for name, one in sys.modules.items()\n"
        "        if 'site-packages' in (getattr(one, '__file__', None) or '')})"
    )
    environment = surroundings | {"PYTHONPATH": str(build() / "CoreLayer/python"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([PYTHON, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) - ONLY_IF_THERE <= RUNTIME_BRINGS


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_the_layer_is_small(architecture, capsys):
    size = sum(path.stat().st_size for path in (build(architecture) / "CoreLayer").rglob("*") if path.is_file())
    with capsys.disabled():
        print(f"\n  layer for {architecture}: {size / 1e6:.1f} MB unzipped")  # noqa: T201
    assert size < MOST_BYTES


def test_nothing_is_compiled_by_a_cold_start(surroundings):
    """A function can't write beside its code: what has no bytecode there would be compiled each time."""
    environment = surroundings | {"PYTHONPATH": str(build() / "CoreLayer/python"), "PYTHONDONTWRITEBYTECODE": "1"}
    code = "import app; app.runtime.lambda_monitor().monitor.settings; import requests, yaml"
    for function in ("PollFunction", "NotifyFunction"):
        command = [str(PYTHON), "-v", "-c", code]
        done = subprocess.run(
            command, cwd=build() / function, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        loaded = re.findall(rf"^# code object from '?({build()}.+?)'?$", done.stderr, re.MULTILINE)
        assert any("/wabawatch/" in path for path in loaded)
        assert [path for path in loaded if path.endswith(".py")] == []


def test_every_function_starts_and_prints_what_its_start_costs(surroundings, poll, notify, tmp_path, capsys):
    """Print the fastest of several starts of each function beside a bare DynamoDB client, started in turn with it.

    The figures are for people: a busy machine shifts them, so no test fails on them (benchmarks/start.py measures CPU
    time). "ready" is poll with all that it puts off to its first event: clients, configuration, source.
    """
    starts: dict[str, list[float]] = {"bare": [], "Poll": [], "ready": [], "Notify": []}
    ready = READY.format(app=build() / "PollFunction/app.py")
    for _ in range(5):
        for name, app in (("bare", BARE), ("ready", ready)):
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            (folder / "app.py").write_text(app)
            with Runtime(folder, None if name == "bare" else build() / "CoreLayer", surroundings) as runtime:
                starts[name].append(runtime.init_seconds)
        for function in ("Poll", "Notify"):
            with _started(function, surroundings) as runtime:
                starts[function].append(runtime.init_seconds)
    fastest = {name: min(seconds) for name, seconds in starts.items()}
    figures = [f"bare DynamoDB client: init {fastest['bare']:.2f} s"]
    figures += [f"{name}: init {fastest[name]:.2f} s, {fastest[name] / fastest['bare']:.2f} of that"
                for name in ("Poll", "ready", "Notify")]  # fmt: skip
    figures += [f"poll: at most {poll.peak_megabytes:.0f} MB; notify: at most {notify.peak_megabytes:.0f} MB"]
    figures += [f"poll: first event {first_event(surroundings):.2f} s, which includes what it puts off"]
    with capsys.disabled():
        print("", *figures, sep="\n  ")  # noqa: T201 - figures for whoever runs this
    assert all(len(seconds) == 5 for seconds in starts.values())


def first_event(surroundings):
    with _started("Poll", surroundings) as runtime:
        began = time.perf_counter()
        runtime.invoke(event("poll/schedule.json"))
        return time.perf_counter() - began


def test_the_functions_have_twice_the_memory_that_they_need(poll, notify):
    for name, runtime in (("PollFunction", poll), ("NotifyFunction", notify)):
        assert runtime.peak_megabytes * 2 < template()["Resources"][name]["Properties"]["MemorySize"]
