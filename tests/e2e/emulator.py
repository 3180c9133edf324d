"""Starts the AWS emulator for a test session: on loopback, over TLS, with IAM enforced, in a folder of its own."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

import boto3
from botocore.config import Config

from tests.e2e import guarded

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-aws/bin/python"
REGION = "eu-central-1"
SECONDS_IN_A_MINUTE = 8
"""The emulator's schedules are faster than the wall clock, so that a story of many runs takes minutes."""


class Call(NamedTuple):
    """A call as IAM judges it. `caller` is the ARN of an assumed role or a user."""

    caller: str
    action: str
    resource: str
    verdict: str


class Emulator:
    """A running emulator. `environment` is what a process needs to talk to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self.certificate, self._key = folder / "emulator.crt", folder / "emulator.key"
        _make_certificate(self.certificate, self._key)
        self.environment = {
            "AWS_ENDPOINT_URL": f"https://localhost:{self.port}",
            "AWS_CA_BUNDLE": str(self.certificate),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        self._clients: dict[str, Any] = {}
        self._refused_reads = folder / "refused-reads"
        self._calls = folder / "calls.jsonl"
        self._log = (folder / "emulator.log").open("wb")
        self._process = guarded.start(
            [PYTHON, Path(__file__).with_name("emulator_process.py")],
            env=self._process_environment(),
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self._wait_until_it_answers()

    def _process_environment(self) -> dict[str, str]:
        """A clean one: functions inherit all of it, and must find nothing of this machine in it."""
        return self.environment | {
            "PATH": os.environ["PATH"],
            "TMPDIR": str(self.folder),
            "AUTH": "true",
            "USE_SSL": "1",
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_REGION": REGION,
            "MINISTACK_ACCOUNT_ID": "123456789012",
            "MINISTACK_SSL_CERT": str(self.certificate),
            "MINISTACK_SSL_KEY": str(self._key),
            "IOT_MTLS_ENABLED": "0",
            "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "1",
            "SECONDS_IN_A_MINUTE": str(SECONDS_IN_A_MINUTE),
            "REFUSED_READS": str(self._refused_reads),
            "CALLS_FILE": str(self._calls),
        }

    def _wait_until_it_answers(self) -> None:
        trust = ssl.create_default_context(cafile=str(self.certificate))
        for _ in range(300):
            if self._process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.environment['AWS_ENDPOINT_URL']}/_ministack/health", context=trust):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        self.stop()
        raise RuntimeError(f"the emulator did not start:\n{self.tail()}")

    def client(self, service: str) -> Any:
        """A boto3 client for it, as the account's root, apart from any profile of this machine."""
        if service not in self._clients:
            client: Any = boto3.client  # one overload for each service
            self._clients[service] = client(
                service,
                endpoint_url=self.environment["AWS_ENDPOINT_URL"],
                verify=self.environment["AWS_CA_BUNDLE"],
                region_name=REGION,
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=Config(retries={"total_max_attempts": 3, "mode": "standard"}),
            )
        return self._clients[service]

    def refuse_reads(self, *keys: str) -> None:
        """Make DynamoDB refuse the functions' BatchGetItem where it asks for one of these sort keys, and no other."""
        self._refused_reads.write_text("\n".join(keys))

    @property
    def group(self) -> int:
        """The process group of the emulator and its functions."""
        return self._process.pid

    def calls(self) -> list[Call]:
        """What callers other than the account's root asked for so far, each kind of call once."""
        return [Call(*json.loads(line)) for line in self._calls.read_text().splitlines()]

    def tail(self) -> str:
        """The end of its log."""
        return (self.folder / "emulator.log").read_text(errors="replace")[-4000:]

    def stop(self) -> None:
        """End the process, and the functions' processes, of which it forgets some."""
        for client in self._clients.values():
            client.close()
        guarded.end(self._process, patience=3)
        self._log.close()


def missing() -> str | None:
    """What has to be installed before the emulator can run, as a sentence; None when all is there."""
    if not PYTHON.exists():
        return f"{PYTHON.relative_to(ROOT)} is missing: run `make e2e`, which makes it (it needs a python3.13)"
    version = subprocess.run([PYTHON, "--version"], capture_output=True, text=True, check=False).stdout
    if not re.match(r"Python 3\.13\.", version):
        return (
            f".venv-aws has {version.strip() or 'a broken Python'}, the functions need 3.13: remove it, run `make e2e`"
        )
    return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _make_certificate(certificate: Path, key: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    command += ["-addext", names, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)


if __name__ == "__main__":
    sys.exit(missing())
