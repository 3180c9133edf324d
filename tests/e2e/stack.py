"""The SAM CLI against the emulator: build, deploy, look, delete. The same commands as against AWS."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

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
def build() -> Path:
    """The folder with the built functions, layer and template."""
    _sam("build", "--build-dir", str(BUILT), "--parameter-overrides", f"Architecture={HOST}", environment={})
    return BUILT


class Stack:
    """A stack in the emulator."""

    def __init__(self, emulator: Emulator, name: str) -> None:
        self.emulator, self.name = emulator, name

    def deploy(self, **parameters: object) -> None:
        """Create or update it, with samconfig.toml's defaults and these parameters on top."""
        given = {"Architecture": HOST} | parameters
        overrides = [f"{name}={value}" for name, value in given.items()]
        template = str(build() / "template.yaml")
        arguments = ["--template-file", template, "--stack-name", self.name, "--no-progressbar"]
        _sam("deploy", *arguments, "--parameter-overrides", *overrides, environment=self.emulator.environment)

    def delete(self) -> None:
        _sam("delete", "--stack-name", self.name, "--no-prompts", environment=self.emulator.environment)

    @property
    def outputs(self) -> dict[str, str]:
        (stack,) = self.emulator.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}

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

    def messages(self, queue_url: str) -> list[dict[str, Any]]:
        """Take all messages from a queue, without waiting."""
        sqs = self.emulator.client("sqs")
        taken: list[dict[str, Any]] = []
        while batch := sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages", []):
            taken += batch
            for message in batch:
                sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        return taken

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


def _sam(*arguments: str, environment: dict[str, str]) -> None:
    """With samconfig.toml, which holds here as it does for a person."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAM_"))}
    if python := os.environ.get("PYTHON313"):
        kept["PATH"] = f"{Path(python).parent}:{kept['PATH']}"
    kept |= environment | {"SAM_CLI_TELEMETRY": "0", "AWS_EC2_METADATA_DISABLED": "true"}
    command = [SAM, *arguments, "--config-file", str(ROOT / "samconfig.toml")]
    done = subprocess.run(command, cwd=ROOT, env=kept, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr)[-4000:]
        raise AssertionError(f"`sam {' '.join(arguments)}` failed with {done.returncode}:\n{said}")
