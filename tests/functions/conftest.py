"""The functions' own modules, in this process: on SQLite and the simulator, with what they print at hand."""

from __future__ import annotations

import io
import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from botocore.exceptions import ClientError

from tests.fresh_metrics import forget_metrics
from wabawatch import bootstrap
from wabawatch.simulator import Fleet, Number, Scenario, running

FUNCTIONS = Path(__file__).parents[2] / "functions"
NUMBERS = tuple(
    Number(id=f"49301234{index}", name=f"Support {index}", waba=f"10229012934039{index}", business="272906349058600")
    for index in range(4)
)


class Context(SimpleNamespace):
    """What Lambda hands a function besides the event."""

    function_name = "wabawatch"
    function_version = "$LATEST"
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:wabawatch"
    memory_limit_in_mb = 512
    aws_request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
    seconds_left = 120

    def get_remaining_time_in_millis(self):
        return self.seconds_left * 1000


class Function:
    """One function's module, loaded as a new execution environment loads it."""

    def __init__(self, name, environment, monkeypatch, capsys):
        for variable, value in environment.items():
            monkeypatch.setenv(variable, value)
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", name)
        spec = spec_from_file_location(f"{name}_function", FUNCTIONS / name / "app.py")
        forget_metrics()
        self.module = module_from_spec(spec)
        spec.loader.exec_module(self.module)
        self._log = io.StringIO()
        for handler in self.module.logger.handlers:
            handler.setStream(self._log)
        self._capsys = capsys
        self._printed = ""

    def __call__(self, event, *, seconds_left=120):
        return self.module.handler(event, Context(seconds_left=seconds_left))

    @property
    def text(self):
        """All that was logged and printed."""
        out, err = self._capsys.readouterr()
        self._printed += out + err
        return self._log.getvalue() + self._printed

    @property
    def log(self):
        return [json.loads(line) for line in self._log.getvalue().splitlines()]

    def errors(self):
        return [line for line in self.log if line["level"] == "ERROR"]

    def metrics(self):
        """The values of the embedded metrics, and the sets of their dimensions."""
        embedded = [json.loads(line) for line in self.text.splitlines() if '"_aws"' in line]
        groups = [group for one in embedded for group in one["_aws"]["CloudWatchMetrics"]]
        dimensions = {name: one[name] for one in embedded for name in ("service", "cause", "deployment") if name in one}
        values = {metric["Name"]: one[metric["Name"]] for one in embedded for g in one["_aws"]["CloudWatchMetrics"]
                  for metric in g["Metrics"]}  # fmt: skip
        sets = {tuple(sorted(names)) for group in groups for names in group["Dimensions"]}
        return SimpleNamespace(values=values, sets=sets, dimensions=dimensions)


@pytest.fixture
def simulator():
    with running(Scenario(fleet=Fleet(NUMBERS))) as server:
        yield server


class SecretsManager:
    """Holds one secret with the key of each number, and what a test adds."""

    def __init__(self):
        self.secrets = {"wabawatch/keys": json.dumps({number.id: number.key for number in NUMBERS})}

    def get_secret_value(self, *, SecretId):  # noqa: N803 - boto3's name
        if SecretId not in self.secrets:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetSecretValue")
        return {"SecretString": self.secrets[SecretId]}

    def batch_get_secret_value(self, *, SecretIdList):  # noqa: N803 - boto3's name
        return {
            "SecretValues": [
                {"Name": one, "SecretString": self.secrets[one]} for one in SecretIdList if one in self.secrets
            ],
            "Errors": [
                {"SecretId": one, "ErrorCode": "ResourceNotFoundException"}
                for one in SecretIdList
                if one not in self.secrets
            ],
        }


@pytest.fixture
def secrets_manager():
    return SecretsManager()


@pytest.fixture
def environment(simulator, secrets_manager, tmp_path, monkeypatch):
    """Of a deployment whose configuration and state lie in files, and its keys in one secret."""
    real = bootstrap.aws_client
    fakes = {"secretsmanager": secrets_manager}
    monkeypatch.setattr(bootstrap, "aws_client", lambda name, *region: fakes.get(name) or real(name, *region))
    config = {
        "source": {"base_url": simulator.url},
        "targets": [
            {"id": number.id, "name": number.name, "api_key": f"secretsmanager:wabawatch/keys#{number.id}"}
            for number in NUMBERS
        ],
        "destinations": {"console": {"kind": "console"}},
        "policy": {"group_wait": "0s"},
    }
    (tmp_path / "config.json").write_bytes(msgspec.json.encode(config))
    return {
        "WABAWATCH_STATE": f"sqlite:{tmp_path / 'state.db'}",
        "WABAWATCH_CONFIG": str(tmp_path / "config.json"),
        "WABAWATCH_POLL_INTERVAL": "5m",
        "WABAWATCH_DEPLOYMENT": "wabawatch-prod",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }


@pytest.fixture
def function(environment, monkeypatch, capsys):
    """Starts a function by its name; its state is closed at the end."""
    started = []

    def start(name, **more):
        started.append(Function(name, environment | more, monkeypatch, capsys))
        return started[-1]

    yield start
    for one in started:
        if one.module.runtime.lambda_monitor.cache_info().currsize:
            one.module.runtime.lambda_monitor().monitor.close()
