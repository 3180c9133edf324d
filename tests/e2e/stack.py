"""A stack in the emulator: build, deploy, look, delete, with the commands that a person types against AWS."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from tests.e2e import guarded
from tests.e2e.emulator import ROOT, Emulator

SAM = ROOT / ".venv-sam/bin/sam"
BUILT = ROOT / ".aws-sam/e2e"
HOST = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"
"""Functions run on this machine here, so they are built for it."""

T = TypeVar("T")


def missing() -> str | None:
    """What has to be installed before anything can be built, as a sentence; None when all is there."""
    return None if SAM.exists() else "the SAM CLI is missing: run `make e2e`, which installs it into .venv-sam"


@cache
def build(architecture: str = HOST, tree: Path = ROOT) -> Path:
    """The folder with the built functions, layer and template of a tree; built once in a session."""
    folder = tree / BUILT.relative_to(ROOT) / architecture
    given = (f"BUILT={folder.relative_to(tree)}", f"ARCHITECTURE={architecture}")
    _check(_make("build", *given, environment={}, tree=tree))
    return folder


class Stack:
    """A stack in the emulator. `environment` is the one of samconfig.toml that gives it its name."""

    def __init__(self, emulator: Emulator, name: str = "wabawatch", environment: str = "default") -> None:
        self.emulator = emulator
        self.name = name
        self._environment = environment
        self.deployed_at = 0.0
        """When the latest deployment was done, in seconds since 1970: what the functions logged before is another's."""

    def deploy(self, *given: str, credentials: Mapping[str, str] | None = None) -> None:
        """`make deploy` with what is given to it, and `y` where it asks; as the account's root without other
        credentials."""
        _check(self.try_deploy(*given, credentials=credentials))
        self.deployed_at = time.time()

    def try_deploy(self, *given: str, credentials: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """The same, and it may fail."""
        environment = self.emulator.environment | dict(credentials or {})
        where = (f"BUILT={BUILT.relative_to(ROOT) / HOST}", f"ENV={self._environment}")
        return _make("deploy", *where, *given, environment=environment)

    def set_variables(self, **variables: str) -> None:
        """Set further environment variables of both functions."""
        client = self.emulator.client("lambda")
        for name in (self.outputs["PollFunctionName"], self.outputs["NotifyFunctionName"]):
            present = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
            client.update_function_configuration(FunctionName=name, Environment={"Variables": present | variables})

    def switch_schedules(self, state: str, *names: str) -> None:
        """ENABLED or DISABLED: the schedules of these functions."""
        client = self.emulator.client("scheduler")
        for name in names:
            found = client.get_schedule(GroupName=self.name, Name=f"{self.name}-{name}")
            kept = ("GroupName", "Name", "ScheduleExpression", "FlexibleTimeWindow", "Target")
            client.update_schedule(**{field: found[field] for field in kept}, State=state)

    def delete(self) -> None:
        """`sam delete`; of production, whose termination protection goes first."""
        self.emulator.client("cloudformation").update_termination_protection(
            StackName=self.name, EnableTerminationProtection=False
        )
        command = [str(SAM), "delete", "--stack-name", self.name, "--no-prompts"]
        _check(guarded.run(command, _clean() | self.emulator.environment, ROOT))

    def wabawatch(
        self, *arguments: str, credentials: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """The CLI, as a person runs it who knows the stack's name; as the account's root without other credentials."""
        command = [str(ROOT / ".venv/bin/wabawatch"), "--stack", self.name, *arguments]
        return guarded.run(command, _clean() | self.emulator.environment | dict(credentials or {}))

    @property
    def outputs(self) -> dict[str, str]:
        (stack,) = self.emulator.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}

    @property
    def parameters(self) -> dict[str, str]:
        (stack,) = self.emulator.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        return {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}

    @property
    def resources(self) -> dict[str, str]:
        """The physical ids by logical id."""
        pages = self.emulator.client("cloudformation").get_paginator("list_stack_resources")
        found = pages.paginate(StackName=self.name).build_full_result()["StackResourceSummaries"]
        return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in found}

    def resource(self, logical_id: str) -> str:
        """A resource's physical id."""
        found = self.emulator.client("cloudformation").describe_stack_resource(
            StackName=self.name, LogicalResourceId=logical_id
        )
        physical: str = found["StackResourceDetail"]["PhysicalResourceId"]
        return physical

    def log(self, function: str) -> list[dict[str, Any]]:
        """What a function logged so far that is JSON: Powertools' lines and embedded metrics."""
        group = f"/aws/lambda/{self.name}-{function}"
        pages = self.emulator.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        lines = [event["message"].strip() for page in pages for event in page["events"]]
        return [json.loads(line) for line in lines if line.startswith("{")]

    def raw_log(self, function: str) -> str:
        """All that a function logged, for a person who looks for the reason of a failure."""
        group = f"/aws/lambda/{self.name}-{function}"
        pages = self.emulator.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        return "\n".join(event["message"].rstrip() for page in pages for event in page["events"])

    def runs(self) -> list[dict[str, Any]]:
        """What poll said of each run, in order."""
        return [line for line in self.log("poll") if line.get("message") == "run finished"]

    def wait_for_runs(self, more: int) -> None:
        """Until the schedule has finished so many more."""
        wanted = len(self.runs()) + more
        eventually(lambda: len(self.runs()) >= wanted, f"{more} more runs by the schedule")

    def messages(self, queue_url: str) -> list[dict[str, Any]]:
        """Take all messages from a queue, without waiting."""
        sqs = self.emulator.client("sqs")
        taken: list[dict[str, Any]] = []
        while batch := sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages", []):
            taken += batch
            for message in batch:
                sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        return taken

    def waiting(self, logical_id: str) -> int:
        """How many messages wait in a queue."""
        attributes = self.emulator.client("sqs").get_queue_attributes(
            QueueUrl=self.queue(logical_id), AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(attributes["Attributes"]["ApproximateNumberOfMessages"])

    def queue(self, logical_id: str) -> str:
        """A queue's URL."""
        name = self.resource(logical_id).rsplit("/", 1)[-1]
        url: str = self.emulator.client("sqs").get_queue_url(QueueName=name)["QueueUrl"]
        return url


def eventually(look: Callable[[], T], what: str, seconds: float = 120) -> T:
    """What `look` returns once that is true; fails with `what` when it takes too long."""
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds:.0f} s still not: {what}")
        time.sleep(0.5)
    return found


def _make(target: str, *given: str, environment: dict[str, str], tree: Path = ROOT) -> subprocess.CompletedProcess[str]:
    python = [f"PYTHON313={path}"] if (path := os.environ.get("PYTHON313")) else []
    command = ["make", "--no-print-directory", target, *python, *given]
    return guarded.run(command, _clean() | environment, tree, said="y\n")


def _clean() -> dict[str, str]:
    """This process's environment, without what leads to somebody's account, or tells a make that it is another's."""
    foreign = ("AWS_", "SAM_", "MAKE", "MFLAGS", "WABAWATCH_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {"SAM_CLI_TELEMETRY": "0", "AWS_EC2_METADATA_DISABLED": "true"}


def _check(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        said = (done.stdout + done.stderr)[-4000:]
        raise AssertionError(f"`{' '.join(map(str, done.args))}` failed with {done.returncode}:\n{said}")
