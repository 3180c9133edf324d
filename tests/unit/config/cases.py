"""Options as notifiers declare them, one struct for each kind of destination."""

from datetime import timedelta
from typing import Annotated, Literal

import msgspec

Reference = Annotated[str, msgspec.Meta(extra={"reference": True})]


class Console(msgspec.Struct, frozen=True):
    pass


class Slack(msgspec.Struct, frozen=True):
    webhook_url: str
    username: str | None = None


class Sns(msgspec.Struct, frozen=True):
    topic_arn: str
    may_be_empty: bool = False

    def __post_init__(self) -> None:
        if not self.topic_arn.startswith("arn:"):
            raise ValueError("topic_arn: write the whole ARN")


class Webhook(msgspec.Struct, frozen=True):
    url: str
    secret: str | None = None
    signature: Reference | None = None
    retries: int = 3
    wait: timedelta = timedelta(seconds=1)
    style: Literal["short", "long"] = "short"
    verify: bool = True
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.retries > 5 and self.style == "short":
            raise ValueError("many retries want style long")


KINDS = {"console": Console, "slack": Slack, "sns": Sns, "webhook": Webhook}
