"""Count the AWS requests of a fleet without changes: the real functions, on moto, with health responses from memory.

The first runs only create the state; the later ones are counted. DynamoDB's units are computed from the transferred
items, as the strict client of the tests does it. In a fleet of several shards, one shard is read and counted for all;
the others get its coverage.

CPU time is measured separately, without moto: the poll function on SQLite with reports from memory, a probe over a
socket, and a call of botocore with a response from memory.
"""

from __future__ import annotations

import io
import json
import logging
import multiprocessing
import os
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from types import ModuleType, SimpleNamespace
from typing import Any, Final
from unittest.mock import patch
from zlib import crc32

import boto3
import botocore.session
import msgspec
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from moto import mock_aws

from benchmarks import costs, probes
from tests.contract.stores.strict_client import INDEXES, StrictClient, size
from tests.fresh_metrics import forget_metrics
from tests.moto_speed import copying_tables_once
from tests.template.template import table_shape
from wabawatch.adapters import aws
from wabawatch.adapters.dialog360 import Dialog360Source, Settings
from wabawatch.adapters.dialog360.parser import parse_response
from wabawatch.adapters.dialog360.request import Response
from wabawatch.adapters.stores.dynamodb import DynamoDBStore
from wabawatch.application.ports import Target
from wabawatch.domain.health import Observation
from wabawatch.domain.sharding import SHARD_SIZE, shard_of, shards_for

FLEETS: Final = (1, 1_000, 10_000, 100_000)
KEYS_IN_A_SECRET: Final = 900
"""The number of keys, of 70 bytes with their names, in a secret of 64 KB."""
INTERVAL: Final = timedelta(minutes=5)
REGION: Final = "us-east-1"
WARM_RUNS: Final = 4
"""Runs before the counting starts, so that nothing of the first run is repeated in the counted ones."""
RUNS_KEPT: Final = timedelta(days=90)
ROW_OVERHEAD: Final = 100
"""Bytes that DynamoDB adds to each item and to each entry of an index."""
T0: Final = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
_FUNCTIONS: Final = costs.ROOT / "functions"


class Clock:
    """Stands still until it is set."""

    at = T0

    def now(self) -> datetime:
        return self.at


class Transport:
    """Responds to every probe at once, and counts the bytes of the requests."""

    has_free_slot = True

    def __init__(self) -> None:
        self._answers: list[tuple[object, Response]] = []
        self.requests = 0
        self.bytes = 0

    @property
    def is_busy(self) -> bool:
        return bool(self._answers)

    def start(self, url: str, key: str, token: object) -> None:
        _, _, rest = url.partition("://")
        host, _, path = rest.partition("/")
        lines = ("GET /" + path + " HTTP/1.1", f"Host: {host}", "User-Agent: wabawatch", "Accept-Encoding: gzip",
                 f"D360-API-KEY: {key}", "Accept: application/json", "", "")  # fmt: skip
        self.requests += 1
        self.bytes += len("\r\n".join(lines))
        self._answers.append((token, healthy_answer(crc32(key.encode()))))

    def wait(self, seconds: float) -> list[tuple[object, Response]]:
        del seconds
        found, self._answers = self._answers, []
        return found

    def abandon(self) -> None: ...

    def close(self) -> None: ...


def healthy_answer(number: int) -> Response:
    """Build a response: each number has its own account; ten numbers share a business."""
    both = {"can_send_message": "AVAILABLE", "can_receive_call_sip": "AVAILABLE"}
    entities = [
        {"entity_type": "PHONE_NUMBER", "id": str(105954558000000 + number), **both},
        {"entity_type": "WABA", "id": str(102290129000000 + number), **both},
        {"entity_type": "BUSINESS", "id": str(272906349000000 + number // 10), **both},
        {"entity_type": "APP", "id": "670843887433847", **both},
    ]
    body = {"health_status": {"can_send_message": "AVAILABLE", "entities": entities}}
    return Response(200, {"content-type": "application/json"}, json.dumps(body).encode())


class Deployment:
    """The services of the stack in moto, and its two functions in this process. Counts every call to a service."""

    def __init__(self, numbers: int) -> None:
        self.clock = Clock()
        self.calls: Counter[tuple[str, str]] = Counter()
        self.names = [f"nordwind-support-{number:06}" for number in range(numbers)]
        self.shards = shards_for(numbers, SHARD_SIZE)
        self.transport = Transport()
        self._session: Any = boto3.session.Session()
        self._session.events.register("before-call", self._count)
        boto3.client("s3", REGION).create_bucket(Bucket="conf")
        boto3.client("s3", REGION).put_bucket_versioning(Bucket="conf", VersioningConfiguration={"Status": "Enabled"})
        self.queue = boto3.client("sqs", REGION).create_queue(QueueName="shards")["QueueUrl"]
        self.topic = boto3.client("sns", REGION).create_topic(Name="alerts")["TopicArn"]
        raw: Any = self._session.client("dynamodb", REGION, config=Config(parameter_validation=False))
        raw.create_table(TableName="wabawatch", **table_shape())
        self.table: Any = StrictClient(raw)
        self.secrets = self._configure()

    def _count(self, model: Any, **_: object) -> None:  # noqa: ANN401 - botocore's
        self.calls[model.service_model.service_name, model.name] += 1

    def _configure(self) -> int:
        """Upload the configuration and its keys; return the number of secrets."""
        vault = boto3.client("secretsmanager", REGION)
        names = self.names
        if len(names) == 1:
            vault.create_secret(Name="wabawatch/key", SecretString=_key(0))
            return 1
        packs = [names[start : start + KEYS_IN_A_SECRET] for start in range(0, len(names), KEYS_IN_A_SECRET)]
        for place, pack in enumerate(packs):
            text = json.dumps(
                {name: _key(place * KEYS_IN_A_SECRET + number) for number, name in enumerate(pack)},
                separators=(",", ":"),
            )
            vault.create_secret(Name=f"wabawatch/keys/{place}", SecretString=text)
        targets = [
            {"id": name, "name": f"Support {name[-6:]}", "labels": {"client": f"c{number % 300}"},
             "api_key": f"secretsmanager:wabawatch/keys/{number // KEYS_IN_A_SECRET}#{name}"}
            for number, name in enumerate(names)
        ]  # fmt: skip
        body = json.dumps({"targets": targets, "destinations": {"ops": {"kind": "sns", "topic_arn": self.topic}}})
        boto3.client("s3", REGION).put_object(Bucket="conf", Key="config.json", Body=body)
        return len(packs)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "WABAWATCH_STATE": "dynamodb:wabawatch",
            "WABAWATCH_CONFIG": "s3://conf/config.json",
            "WABAWATCH_SHARD_QUEUE_URL": self.queue,
            "WABAWATCH_ALERTS_TOPIC_ARN": self.topic,
            "WABAWATCH_API_KEY_SECRET": "wabawatch/key" if len(self.names) == 1 else "",
            "WABAWATCH_POLL_INTERVAL": "5m",
            "WABAWATCH_DEPLOYMENT": "wabawatch",
        }

    def function(self, name: str) -> ModuleType:
        """Load the module of a function, with this table and clock, and with health responses from memory."""
        module = load_function(name)
        application = module.runtime.lambda_monitor().monitor
        application.clock = self.clock
        application._state.opened = DynamoDBStore(self.table, "wabawatch", timedelta(days=400))
        application._state.history = timedelta(days=400)
        if name == "poll":
            application.refresh()
            source: Any = Dialog360Source(Settings(), application.secrets, self.clock)
            source._transport = self.transport
            application.parts.__dict__["source"] = source
        return module

    @contextmanager
    def patched(self) -> Iterator[None]:
        with patch.object(aws, "_session", lambda: self._session), patch.dict(os.environ, self.environment):
            yield


class Invocation(msgspec.Struct, frozen=True):
    """The requests of one invocation to AWS, and its log."""

    reads: float
    writes: float
    calls: int
    s3: int
    queue: int
    log: str


@cache
def load_function(name: str) -> ModuleType:
    spec = spec_from_file_location(f"counted_{name}", _FUNCTIONS / name / "app.py")
    if spec is None or spec.loader is None:
        raise SystemExit(f"no function {name}")
    forget_metrics()
    with patch.dict(os.environ, {"POWERTOOLS_SERVICE_NAME": name, "POWERTOOLS_METRICS_NAMESPACE": "Wabawatch"}):
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


def invoke(module: ModuleType, event: object) -> str:
    """Run a handler and return its log."""
    context = SimpleNamespace(
        function_name="wabawatch", function_version="$LATEST", memory_limit_in_mb=512, aws_request_id="r" * 36,
        invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:wabawatch",
        get_remaining_time_in_millis=lambda: 120_000,
    )  # fmt: skip
    written = io.StringIO()
    for handler in module.logger.handlers:
        handler.setStream(written)
    logging.getLogger("wabawatch").handlers = [module.logger.registered_handler]  # as in a process of its own
    with redirect_stdout(written):
        module.handler(event, context)
    return written.getvalue()


def count_fleet(numbers: int) -> costs.Counts:
    """Count one fleet, without its CPU time."""
    load_function.cache_clear()
    with mock_aws(), copying_tables_once(), patch.dict(os.environ, {"AWS_DEFAULT_REGION": REGION}):
        deployment = Deployment(numbers)
        with deployment.patched():
            return _count(deployment)


def _count(deployment: Deployment) -> costs.Counts:
    poll, notify = deployment.function("poll"), deployment.function("notify")
    shards = deployment.shards
    for _ in range(WARM_RUNS):
        _run(deployment, poll)
        _rounds(deployment, notify)
    run = _run(deployment, poll)
    rounds = _rounds(deployment, notify)
    _run(deployment, poll)
    rounds += _rounds(deployment, notify)
    stored = _stored(deployment, seen=sum(shard_of(name, shards) == 0 for name in deployment.names))
    metrics = {
        metric
        for invocation in (*(invocation for _, invocation in run), *rounds)
        for metric in metrics_of(invocation.log)
    }
    return costs.Counts(
        numbers=len(deployment.names),
        shards=shards,
        secrets=deployment.secrets,
        run_reads=sum(times * invocation.reads for times, invocation in run),
        run_writes=sum(times * invocation.writes for times, invocation in run),
        run_calls=sum(times * invocation.calls for times, invocation in run),
        run_s3=sum(times * invocation.s3 for times, invocation in run),
        run_queue_requests=sum(invocation.queue for _, invocation in run)
        + (costs.SHARD_MESSAGE * shards if shards > 1 else 0),
        run_secret_reads=deployment.secrets * (costs.ENVIRONMENTS if shards > 1 else 1),
        run_log=sum(times * (len(invocation.log) + costs.LAMBDA_LOG_BYTES) for times, invocation in run),
        run_cpu=0,
        round_reads=statistics.mean(invocation.reads for invocation in rounds),
        round_writes=statistics.mean(invocation.writes for invocation in rounds),
        round_calls=statistics.mean(invocation.calls for invocation in rounds),
        round_s3=statistics.mean(invocation.s3 for invocation in rounds),
        round_log=statistics.mean(len(invocation.log) + costs.LAMBDA_LOG_BYTES for invocation in rounds),
        round_cpu=0,
        metrics=len(metrics),
        request_bytes=round(deployment.transport.bytes / deployment.transport.requests),
        stored=stored,
    )


def _run(deployment: Deployment, poll: ModuleType) -> list[tuple[int, Invocation]]:
    """Make a run: the scheduled invocation, and one shard that is counted for all of them."""
    scheduled = _invocation(deployment, poll, _event(deployment, "poll"))
    if deployment.shards == 1:
        return [(1, scheduled)]
    body = {
        **_event(deployment, "shard"),
        "run_id": f"run{deployment.clock.at:%H%M}",
        "shard": 0,
        "of": deployment.shards,
    }
    shard = _invocation(deployment, poll, {"Records": [{"messageId": "m", "body": json.dumps(body), "attributes": {}}]})
    _copy_coverage(poll)
    return [(1, scheduled), (deployment.shards, shard)]


def _rounds(deployment: Deployment, notify: ModuleType) -> list[Invocation]:
    """Run notify each minute until the next run; one of ten runs reads all incidents."""
    found = []
    for _ in range(round(INTERVAL / timedelta(minutes=1))):
        deployment.clock.at += timedelta(minutes=1)
        found.append(_invocation(deployment, notify, _event(deployment, "notify")))
    return found


def _invocation(deployment: Deployment, module: ModuleType, event: object) -> Invocation:
    deployment.calls.clear()
    deployment.table.forget()
    log = invoke(module, event)
    calls = deployment.calls
    return Invocation(
        deployment.table.read_units,
        float(sum(deployment.table.write_units.values())),
        calls.total(),
        sum(count for (service, _), count in calls.items() if service == "s3"),
        sum(count for (service, _), count in calls.items() if service == "sqs"),
        log,
    )


def _event(deployment: Deployment, kind: str) -> dict[str, str]:
    return {"wabawatch": kind, "scheduled_at": deployment.clock.at.isoformat()}


def _copy_coverage(poll: ModuleType) -> None:
    """Copy the coverage of the shard that was read to the others."""
    store = poll.runtime.lambda_monitor().monitor.store
    for row in store.coverages():
        for shard in range(row.of if row.shard == 0 else 0):
            store.save_coverage(msgspec.structs.replace(row, shard=shard))


def _stored(deployment: Deployment, seen: int) -> float:
    """Return the bytes after a year: the rows of all numbers, and the retained runs."""
    found = 0.0
    runs: list[int] = []
    for row in deployment.table.rows("wabawatch"):
        kind = row["pk"]["S"].partition("#")[0]
        taken = (size(row) + ROW_OVERHEAD) * (1 + sum(index in row for index in INDEXES))
        if kind == "RUN":
            runs.append(taken)
        else:
            found += taken * (len(deployment.names) / seen if kind in {"SNAP", "LOG"} else 1)
    return round(found + statistics.mean(runs) * deployment.shards * (RUNS_KEPT / INTERVAL))


def metrics_of(log: str) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """Return the metrics in a log, each with its dimensions."""
    lines = [json.loads(line) for line in log.splitlines() if '"_aws"' in line]
    return {
        (metric["Name"], tuple((name, line[name]) for name in dimensions))
        for line in lines
        for group in line["_aws"]["CloudWatchMetrics"]
        for dimensions in group["Dimensions"]
        for metric in group["Metrics"]
    }


class ReadyReports:
    """A health source with reports from memory."""

    def observe(
        self, targets: Sequence[Target], *, until: datetime | None, should_stop: Callable[[], bool] = lambda: False
    ) -> Iterator[Observation]:
        del until, should_stop
        for number, target in enumerate(targets):
            answer = healthy_answer(number)
            yield Observation(target.id, datetime.now(UTC), parse_response(answer, target.id, "a-key-of-no-number", T0))


def cpu_of_functions(numbers: int) -> tuple[float, float]:
    """Measure the CPU seconds of a pass of the poll function over `numbers`, and of a run of notify, on SQLite."""
    load_function.cache_clear()
    with TemporaryDirectory() as folder:
        targets = [
            {"id": f"nordwind-support-{number:06}", "api_key": "secretsmanager:wabawatch/key"}
            for number in range(numbers)
        ]
        config = Path(folder) / "config.json"
        config.write_text(json.dumps({"targets": targets, "destinations": {"c": {"kind": "console"}}}))
        variables = {"WABAWATCH_STATE": f"sqlite:{folder}/state.db", "WABAWATCH_CONFIG": str(config)}
        with patch.dict(os.environ, variables):
            poll, notify = load_function("poll"), load_function("notify")
            application = poll.runtime.lambda_monitor().monitor
            application.parts.__dict__["source"] = ReadyReports()
            event = {"wabawatch": "poll", "scheduled_at": "2026-03-02T10:00:00Z"}
            invoke(poll, event)
            passes = [_cpu(lambda: invoke(poll, event)) for _ in range(3)]
            rounds = [_cpu(lambda: invoke(notify, {**event, "wabawatch": "notify"})) for _ in range(10)]
            application.close()
            notify.runtime.lambda_monitor().monitor.close()
    return min(passes), statistics.median(rounds)


def cpu_of_a_probe(count: int = 1000) -> float:
    """Measure the CPU seconds of a probe over a socket, including the parsing of its response."""
    processes = multiprocessing.get_context("fork")
    ready, done, results = processes.Queue(), processes.Event(), processes.Queue()
    server = processes.Process(target=probes.serve, args=(count, ready, done))
    server.start()
    place = ready.get()
    found = []
    for _ in range(3):
        process = processes.Process(target=probes.measure, args=(probes.wabawatch, place, results))
        process.start()
        found.append(results.get()[0] / count)
        process.join()
    done.set()
    server.join()
    return min(found)


def cpu_of_a_call() -> float:
    """Measure the CPU seconds of a query with botocore, without the network."""
    session = botocore.session.get_session()
    session.set_credentials("x", "x")
    client: Any = session.create_client("dynamodb", REGION, config=Config(parameter_validation=False))
    client.meta.events.register("before-send", _empty_answer)
    request = {
        "TableName": "t",
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": {":pk": {"S": "QUEUE"}},
    }
    client.query(**request)
    return min(_cpu(lambda: [client.query(**request) for _ in range(100)]) / 100 for _ in range(5))


def _empty_answer(request: AWSPreparedRequest, **_: object) -> Any:  # noqa: ANN401 - botocore expects None by its stubs
    headers: Any = {"content-type": "application/x-amz-json-1.0"}
    answer = AWSResponse(request.url, 200, headers, None)
    answer.__dict__["_content"] = b'{"Items":[],"Count":0,"ScannedCount":0}'
    return answer


def _cpu(function: Callable[[], object]) -> float:
    started = process_time()
    function()
    return process_time() - started


def _key(number: int) -> str:
    """Return a key of the length of a real one."""
    return f"{number:06}" + "kEy0" * 8


def count_all() -> list[costs.Counts]:
    """Count every fleet of the table."""
    probe, call = cpu_of_a_probe(), cpu_of_a_call()
    print(f"CPU: {1000 * probe:.2f} ms a probe, {1000 * call:.2f} ms a call to AWS")
    found = []
    for numbers in FLEETS:
        counts = count_fleet(numbers)
        passed, round_ = cpu_of_functions(-(-numbers // counts.shards))
        print(f"{numbers:,} numbers: {1000 * passed:.0f} ms of CPU a pass, {1000 * round_:.0f} ms a round, on SQLite")
        cpu = counts.shards * passed + numbers * probe + counts.run_calls * call
        round_cpu = round_ + counts.round_calls * call
        found.append(msgspec.structs.replace(counts, run_cpu=round(cpu, 4), round_cpu=round(round_cpu, 4)))
    return found
