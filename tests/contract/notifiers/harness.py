"""What the suite needs to know of each notifier: how to build it, what it takes for an acceptance, what it sent."""

from __future__ import annotations

import gc
import io
import json
import warnings
from functools import cache
from typing import ClassVar
from urllib.parse import parse_qsl

import boto3
import msgspec
from botocore.config import Config

from tests.contract.notifiers.server import Server, http
from wabawatch.adapters.notifiers.registry import KINDS, OPTIONS, NotifyContext, build
from wabawatch.errors import SecretError

URL_TOKEN = "T0SECRETPATH"
SIGNING_KEY = "s1gn1ng-k3y"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:alerts"


class Secrets:
    """By reference. Counts how often each was asked for."""

    def __init__(self, **values):
        self.values = values
        self.asked = []

    def __call__(self, reference):
        self.asked.append(reference)
        try:
            return self.values[reference.removeprefix("env:")]
        except KeyError:
            raise SecretError(f"{reference}: there is no such variable") from None


@cache
def _session():
    return boto3.Session("test", "test", region_name="eu-central-1")


def sns_client(server, patience):
    config = Config(read_timeout=patience, connect_timeout=patience, retries={"total_max_attempts": 1}, proxies={})
    return lambda service, region: _session().client(service, region, endpoint_url=server.url, config=config)


class Bench:
    """One notifier and the server or stream that it delivers to."""

    over_http = True

    def __init__(self, kind, *, answers=None, options=None, patience=10.0):
        self.kind = kind
        self.server = Server(answers or [self.accepted])
        self.secrets = Secrets(HOOK=f"{self.server.url}/services/{URL_TOKEN}", KEY=SIGNING_KEY)
        self.stream = io.StringIO()
        world = NotifyContext(self.secrets, sns_client(self.server, patience), self.stream, patience=patience)
        self.options = msgspec.convert({**self.given, **(options or {})}, OPTIONS[kind])
        self.notifier = build("ops", kind, self.options, world)

    def deliver(self, notification, thread=None):
        return self.notifier.deliver(notification, thread or {})

    def refusal(self, status, **headers):
        return http(status, b"no", **headers)

    def close(self):
        self.server.close()


class ConsoleBench(Bench):
    over_http = False
    accepted = http(200)
    given: ClassVar = {}

    @property
    def sent(self):
        return self.stream.getvalue()

    def people_read(self):
        return self.sent


class SlackBench(Bench):
    accepted = http(200, b"ok")
    given: ClassVar = {"webhook_url": "env:HOOK"}

    @property
    def sent(self):
        return json.loads(self.server.requests[-1].body)

    def people_read(self):
        texts = [self.sent["text"]]
        for block in self.sent["blocks"]:
            texts += [
                one["text"] for one in [block.get("text"), *block.get("fields", []), *block.get("elements", [])] if one
            ]
        return "\n".join(texts)


class WebhookBench(Bench):
    accepted = http(204)
    given: ClassVar = {"url": "env:HOOK", "secret": "env:KEY"}

    @property
    def sent(self):
        return json.loads(self.server.requests[-1].body)

    def people_read(self):
        return json.dumps(self.sent, ensure_ascii=False)


class SnsBench(Bench):
    accepted = http(
        200,
        b"<PublishResponse xmlns='http://sns.amazonaws.com/doc/2010-03-31/'><PublishResult><MessageId>m</MessageId>"
        b"</PublishResult></PublishResponse>",
        Content_Type="text/xml",
    )
    given: ClassVar = {"topic_arn": TOPIC}

    def refusal(self, status, code="Said", **headers):
        body = f"<ErrorResponse><Error><Type>x</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
        return http(status, body.encode(), Content_Type="text/xml", **headers)

    @property
    def sent(self):
        form = dict(parse_qsl(self.server.requests[-1].body.decode(), keep_blank_values=True))
        attributes = {
            value: form[f"{name.removesuffix('Name')}Value.StringValue"]
            for name, value in form.items()
            if name.endswith(".Name")
        }
        plain = {name: value for name, value in form.items() if name.startswith(("Message", "Subject", "Topic"))}
        plain = {name: value for name, value in plain.items() if not name.startswith("MessageAttributes")}
        return {**plain, "Message": json.loads(plain["Message"]), "Attributes": attributes}

    def people_read(self):
        return self.sent["Message"]["email"]

    def close(self):
        """botocore stumbles over a 303, and leaves the connection to the garbage collector, which complains later."""
        super().close()
        if any(answer.startswith(b"HTTP/1.1 303") for answer in self.server.answers if isinstance(answer, bytes)):
            with warnings.catch_warnings(action="ignore", category=ResourceWarning):
                gc.collect()


class SnsDocumentBench(SnsBench):
    """SNS, for machines."""

    given: ClassVar = {"topic_arn": TOPIC, "format": "document"}

    def __init__(self, kind, **changes):
        super().__init__(kind.partition("-")[0], **changes)

    def people_read(self):
        return json.dumps(self.sent["Message"], ensure_ascii=False)


class PostBench(Bench):
    """For a notifier that nobody has written a bench for: one that posts to a URL, and whose options without a default
    are references to secrets. People read what it posts."""

    accepted = http(200)

    def __init__(self, kind, **changes):
        needed = [one.encode_name for one in msgspec.structs.fields(OPTIONS[kind]) if one.required]
        self.given = {name: "env:HOOK" if "url" in name else "env:KEY" for name in needed}
        super().__init__(kind, **changes)

    @property
    def sent(self):
        return self.server.requests[-1].body.decode()

    def people_read(self):
        return self.sent


_OWN = {"console": ConsoleBench, "slack": SlackBench, "sns": SnsBench, "webhook": WebhookBench}
BENCHES = {kind: _OWN.get(kind, PostBench) for kind in KINDS}
FORMATS = {**BENCHES, "sns-document": SnsDocumentBench}
"""The benches, and those of other formats of the same notifier: they differ in what is sent, and in nothing else."""
OVER_HTTP = [kind for kind, bench in BENCHES.items() if bench.over_http]


def bench(kind, **changes):
    return FORMATS[kind](kind, **changes)


__all__ = ["BENCHES", "FORMATS", "OVER_HTTP", "bench"]
