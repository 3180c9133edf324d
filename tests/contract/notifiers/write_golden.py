"""Write the golden payloads; read them before you commit them.

python -m tests.contract.notifiers.write_golden
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from tests.contract.notifiers.harness import FORMATS, bench
from tests.contract.notifiers.notifications import STORIES

GOLDEN = Path(__file__).parent / "golden"


def path(kind):
    return GOLDEN / f"{kind}.{'txt' if kind == 'console' else 'json'}"


def rendered(kind):
    """What the notifier sends for every story, one after the other."""
    one = bench(kind)
    sent = {}
    for name, story in STORIES.items():
        one.stream.truncate(0)
        one.stream.seek(0)
        one.deliver(story)
        sent[name] = _readable(one.sent)
    one.close()
    if kind == "console":
        return "\n".join(f"--- {name}\n{text}" for name, text in sent.items())
    return json.dumps(sent, indent=1, ensure_ascii=False, sort_keys=False) + "\n"


def _readable(sent):
    """SNS carries the JSON payload as text: shown once and as JSON, since it is the same for all machines. Where SNS
    carries nothing else, it is the webhook's, and left out."""
    if not isinstance(sent, dict) or "TopicArn" not in sent:
        return sent
    if "MessageStructure" not in sent:
        return {**sent, "Message": "as in webhook.json"}
    bodies = dict(sent["Message"])
    machines = {bodies.pop(name) for name in ("sqs", "lambda", "http", "https", "email-json", "firehose")}
    assert len(machines) == 1
    return {
        **sent,
        "Message": {**{k: v.splitlines() for k, v in bodies.items()}, "machines": json.loads(machines.pop())},
    }


if __name__ == "__main__":
    os.environ["TZ"] = "UTC"
    time.tzset()
    GOLDEN.mkdir(exist_ok=True)
    for each in FORMATS:
        path(each).write_text(rendered(each), encoding="utf-8")
