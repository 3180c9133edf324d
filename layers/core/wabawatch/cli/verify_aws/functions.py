"""Checks that the functions answer themselves, under their own roles, and what their logs say of a cold start."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from wabawatch.cli.verify_aws.account import Account
from wabawatch.cli.verify_aws.check import Step, finding, proven, unchecked
from wabawatch.messages.text import pluralize

_PROCESSORS: Final = {"arm64": {"aarch64", "arm64"}, "x86_64": {"x86_64", "AMD64"}}
"""What Python calls the processor that Lambda calls so."""
_REPORT: Final = re.compile(r"\bDuration: ([\d.]+) ms\s+Billed .*Init Duration: ([\d.]+) ms", re.DOTALL)
_LOOK_BACK: Final = timedelta(days=1)
_LONGEST_INIT: Final = 5_000.0
"""Milliseconds. After ten seconds Lambda starts the function anew, within its own time-out."""


def ask_function(account: Account, purpose: str, **more: bool) -> Mapping[str, Any] | Step:
    """The answer of a function to a self-test; a finding where it failed."""
    event = json.dumps({"wabawatch": "self-test", **more})
    answer = account.call("lambda", "invoke", FunctionName=account.functions[purpose], Payload=event)
    document = json.loads(answer["Payload"].read() or b"null")
    if "FunctionError" in answer or not isinstance(document, dict) or "tried" not in document:
        said = document.get("errorMessage") if isinstance(document, dict) else None
        return finding(f"{purpose} failed: {said or answer.get('FunctionError', 'no answer')}", _todo(str(said)))
    return document


def _todo(said: str) -> str:
    if "not an event" in said:
        return "deploy this version: an earlier one has no self-test"
    if "import" in said.lower() or "No module" in said:
        return "the layer does not fit: make build, and make deploy with the ARCHITECTURE of the functions"
    return "read the function's log"


def functions(account: Account) -> Iterator[Step]:
    """Native libraries, processor, and what each role may do, in a real invocation of each function."""
    for purpose, name in account.functions.items():
        answer = ask_function(account, purpose)
        if not isinstance(answer, Mapping):
            yield answer
            continue
        (wanted,) = account.call("lambda", "get_function_configuration", FunctionName=name).get(
            "Architectures", ["x86_64"]
        )
        if answer["architecture"] not in _PROCESSORS.get(wanted, {wanted}):
            yield finding(f"{purpose} runs on {answer['architecture']} and not on {wanted}", "deploy again")
        errors = [one for one in answer["tried"] if one.get("error")]
        for one in errors:
            yield finding(f"{purpose}: {one['name']}: {one['error']}", "allow it in the template's role, or correct it")
        if not errors:
            yield _well(purpose, answer)


def _well(purpose: str, answer: Mapping[str, Any]) -> Step:
    versions = ", ".join(f"{name} {version}" for name, version in answer["versions"].items())
    read, of = answer["secrets"], answer["secrets_in_all"]
    some = f"{read} of {pluralize(of, 'secret')}" if read < of else pluralize(of, "secret")
    return proven(f"{purpose} runs on {answer['architecture']} and can do what it needs, {some} read; {versions}")


def cold_start(account: Account) -> Iterator[Step]:
    """What Lambda itself measured at the latest cold start of each function."""
    since = account.application.clock.now() - _LOOK_BACK
    for purpose, name in account.functions.items():
        events = account.pages(
            "logs",
            "filter_log_events",
            "events",
            logGroupName=f"/aws/lambda/{name}",
            filterPattern='"Init Duration"',
            startTime=int(since.timestamp() * 1000),
        )
        found = [match for event in events if (match := _REPORT.search(event["message"]))]
        if not found:
            yield unchecked(f"{purpose} had no cold start in the last day", "verify again after a deployment")
            continue
        first, init = float(found[-1][1]), float(found[-1][2])
        said = f"{purpose} started in {init / 1000:.2f} s, and answered its first event in {first / 1000:.2f} s"
        yield (
            proven(said) if init < _LONGEST_INIT else finding(said, "Lambda allows 10 s: is the bytecode in the layer?")
        )
