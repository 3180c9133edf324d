"""The AWS emulator as one process, on one loopback port, over TLS, with IAM enforced.

Runs in the emulator's own environment (`.venv-aws`, on the Python of the functions), because the emulator runs
functions with its own interpreter and gives them its own boto3, as Lambda does. Its own command listens on every
interface, and on port 443 too; this serves the same application on the address it is given and no other.

Two things are added that AWS does and the emulator does not: EventBridge Scheduler fills in the context attributes of
an input (<https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html>), and a
schedule's tick is looked for each second, not each ten.
"""

import asyncio
import os
import sys
import uuid
from datetime import UTC, datetime

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app
from ministack.services import eventbridge, scheduler


def fill_in(text: str, schedule_arn: str, now: datetime) -> str:
    """Return a schedule's input with its context attributes replaced as AWS does."""
    attributes = {
        "schedule-arn": schedule_arn,
        "scheduled-time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "execution-id": str(uuid.uuid4()),
        "attempt-number": "1",
    }
    for name, value in attributes.items():
        text = text.replace(f"<aws.scheduler.{name}>", value)
    return text


def fill_in_schedules() -> None:
    invoke = eventbridge._invoke_target

    def invoke_filled_in(target: dict, event: dict, rule: dict, view: object = None) -> None:
        if event.get("Source") == "aws.scheduler" and target.get("Input"):
            target = {**target, "Input": fill_in(target["Input"], rule.get("Arn", ""), datetime.now(UTC))}
        invoke(target, event, rule, view)

    eventbridge._invoke_target = invoke_filled_in
    scheduler._SCHEDULE_TICK_INTERVAL = 1


def main() -> None:
    fill_in_schedules()
    config = Config()
    config.bind = [f"127.0.0.1:{os.environ['GATEWAY_PORT']}"]
    config.certfile, config.keyfile = os.environ["MINISTACK_SSL_CERT"], os.environ["MINISTACK_SSL_KEY"]
    config.keep_alive_timeout = 75
    asyncio.run(serve(app, config))
    sys.exit(0)


if __name__ == "__main__":
    main()
