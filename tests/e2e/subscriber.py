"""An SQS queue that is subscribed to the alerts, as a machine of the customer's would be."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.stack import Stack


class Subscriber:
    """Subscribes a new queue of this name. `documents` is what came through SNS so far, as machines get it."""

    def __init__(self, stack: Stack, name: str) -> None:
        self._stack = stack
        self._documents: list[dict[str, Any]] = []
        sqs, sns = stack.emulator.client("sqs"), stack.emulator.client("sns")
        self._url = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
        policy = {"Version": "2012-10-17", "Statement": [allow | {"Resource": arn}]}
        sqs.set_queue_attributes(QueueUrl=self._url, Attributes={"Policy": json.dumps(policy)})
        sns.subscribe(TopicArn=stack.outputs["AlertsTopicArn"], Protocol="sqs", Endpoint=arn)

    @property
    def documents(self) -> list[dict[str, Any]]:
        envelopes = [json.loads(message["Body"]) for message in self._stack.messages(self._url)]
        self._documents += [json.loads(envelope["Message"]) for envelope in envelopes]
        return self._documents

    def forget(self) -> None:
        """Begin anew: `documents` is then what comes from here on."""
        self.documents.clear()

    @property
    def kinds(self) -> list[str]:
        return [document["kind"] for document in self.documents]

    def heard(self, entity_type: str, entity_id: str) -> list[str]:
        """The kinds of the documents about an entity."""
        entity = {"type": entity_type, "id": entity_id}
        return [
            document["kind"]
            for document in self.documents
            if entity in [incident["entity"] for incident in document["incidents"]]
        ]
