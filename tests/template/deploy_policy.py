"""The policy of whoever runs `make deploy`, derived from the resource types in the template.

CloudFormation's registry says which actions create, read, update and delete a resource of each type; cfn-lint, which
moto needs, has a copy. `.venv/bin/python -m tests.template.deploy_policy` writes docs/deploy-policy.json again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import cfnlint

from tests.template.template import ROOT, template

PATH: Final = ROOT / "docs/deploy-policy.json"
_SAM_MAKES: Final = {
    "AWS::Serverless::LayerVersion": ["AWS::Lambda::LayerVersion"],
    "AWS::Serverless::Function": [
        "AWS::Lambda::Function",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::EventSourceMapping",
    ],
}
"""What the Serverless transform makes of its own types, as this template uses them."""
_NOT_USED: Final = {
    "no import, no global table": r"dynamodb:(.*Item|Query|Scan|.*Import.*|.*Replica)",
    "the table has none of these settings": r"dynamodb:(?!Describe|Get).*(Kinesis|Contributor|Policy)",
    "the bucket has none of these settings": r"s3:(?!Get).*(Accelerate|Acl|Analytics|Cors|CORS|Inventory|Logging"
    r"|Metadata|Metrics|Notification|ObjectLock|Replication|Tiering|Website|Abac)",
    "what is in the bucket is kept": r"s3:DeleteObject",
    "IAM knows them as Put": r"s3:DeleteBucket(Encryption|Lifecycle)",
    "the functions have none of these settings": r"lambda:(?!Get).*(CodeSigning|Concurrency|Recursion|Scaling|Capacity"
    r"|RuntimeManagement|RuntimeAlias|PublishVersion)",
    "the log groups have none of these settings": r"logs:(?!Get|Describe|List).*(Kms|Data|Index|Delivery|Bearer"
    r"|ResourcePolicy|Protection)",
    "roles have no boundary, and nothing is attached": r"iam:(.*Boundary|(At|De)tach.*)",
    "the topics have no such policy": r"sns:PutData.*",
}
"""Actions for settings that the template does not use, by why they are left out."""
_PLACES: Final = {
    "cloudwatch": ["cloudwatch:*:*:alarm:wabawatch*", "cloudwatch::*:dashboard/wabawatch*"],
    "dynamodb": ["dynamodb:*:*:table/wabawatch*"],
    "iam": ["iam::*:role/wabawatch*", "iam::*:policy/wabawatch*"],
    "lambda": ["lambda:*:*:function:wabawatch*", "lambda:*:*:layer:CoreLayer*",
               "lambda:*:*:event-source-mapping:*"],
    "logs": ["logs:*:*:log-group:/aws/lambda/wabawatch*"],
    "s3": ["s3:::wabawatch*"],
    "scheduler": ["scheduler:*:*:schedule-group/wabawatch*", "scheduler:*:*:schedule/wabawatch*"],
    "sns": ["sns:*:*:wabawatch*"],
    "sqs": ["sqs:*:*:wabawatch*"],
}  # fmt: skip
"""Where a service's resources of a stack lie whose name begins with `wabawatch`."""
_WITHOUT_PLACE: Final = (
    r"sns:(Unsubscribe|.*SubscriptionAttributes)|lambda:CreateEventSourceMapping|logs:Describe.*"
    r"|cloudwatch:DescribeAlarms"
)
"""Actions for which IAM knows no narrower resource, or that need all of them."""
_SHORTENED: Final = {"s3:GetBucket*": "s3:GetBucket.*", "s3:Get*Configuration": "s3:Get.*Configuration"}
"""Reads of the settings of a bucket, of which S3 has many: a managed policy holds 6,144 characters."""
_DEPLOYING: Final = [
    {
        "Sid": "Stack",
        "Effect": "Allow",
        "Action": [
            f"cloudformation:{name}"
            for name in (
                "CreateChangeSet", "DeleteChangeSet", "DeleteStack", "DescribeChangeSet", "DescribeStackEvents",
                "DescribeStackResources", "DescribeStacks", "ExecuteChangeSet", "GetTemplate", "GetTemplateSummary",
                "ListStackResources", "SetStackPolicy", "UpdateTerminationProtection",
            )
        ],
        "Resource": [
            "arn:aws:cloudformation:*:*:stack/wabawatch*",
            "arn:aws:cloudformation:*:*:stack/aws-sam-cli-managed-default/*",
            "arn:aws:cloudformation:*:aws:transform/Serverless-2016-10-31",
        ],
    },
    {
        "Sid": "Artefacts",
        "Effect": "Allow",
        "Action": [
            f"s3:{name}"
            for name in (
                "CreateBucket", "DeleteObject", "GetBucketLocation", "GetBucketPolicy", "GetBucketVersioning",
                "GetObject", "GetObjectVersion", "ListBucket", "PutBucketPolicy", "PutBucketPublicAccessBlock",
                "PutBucketTagging",
                "PutBucketVersioning", "PutEncryptionConfiguration", "PutObject",
            )
        ],
        "Resource": ["arn:aws:s3:::aws-sam-cli-managed-default*"],
    },
]  # fmt: skip
"""What `sam deploy` does itself: the change set, and the bucket of its artefacts, which its first run makes."""


def types() -> set[str]:
    """The types of the resources that CloudFormation makes."""
    found = {one["Type"] for one in template()["Resources"].values()}
    return {made for kind in found for made in _SAM_MAKES.get(kind, [kind])}


def actions(kind: str) -> set[str]:
    """The actions of its own service that a type needs as the template uses it."""
    handlers = _handlers()[kind]
    needed = {one for name, handler in handlers.items() if name != "list" for one in handler["permissions"]}
    service = {"CloudWatch": "cloudwatch"}.get(kind.split("::")[1], kind.split("::")[1].lower())
    own = {one for one in needed if one.startswith(f"{service}:")}
    return {one for one in own if not any(re.match(pattern, one) for pattern in _NOT_USED.values())}


def document() -> dict[str, Any]:
    """The whole policy."""
    wanted = sorted({_shortened(action) for kind in types() for action in actions(kind)})
    return {"Version": "2012-10-17", "Statement": [*_DEPLOYING, *_statements(wanted)]}


def _shortened(action: str) -> str:
    return next((short for short, pattern in _SHORTENED.items() if re.fullmatch(pattern, action)), action)


def _statements(wanted: list[str]) -> Iterator[dict[str, Any]]:
    for service, places in _PLACES.items():
        own = [one for one in wanted if one.startswith(f"{service}:") and not re.fullmatch(_WITHOUT_PLACE, one)]
        resource = [f"arn:aws:{place}" for place in places]
        yield {"Sid": service.capitalize(), "Effect": "Allow", "Action": own, "Resource": resource}
    yield {
        "Sid": "HandRolesToServices",
        "Effect": "Allow",
        "Action": ["iam:PassRole"],
        "Resource": ["arn:aws:iam::*:role/wabawatch*"],
        "Condition": {"StringEquals": {"iam:PassedToService": ["lambda.amazonaws.com", "scheduler.amazonaws.com"]}},
    }
    rest = [one for one in wanted if re.fullmatch(_WITHOUT_PLACE, one)]
    yield {"Sid": "WithoutNarrowerResource", "Effect": "Allow", "Action": rest, "Resource": ["*"]}


@cache
def _handlers() -> dict[str, Any]:
    folder = Path(cfnlint.__file__).parent / "data/schemas/resources"
    schemas = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    return {one["typeName"]: one["handlers"] for one in schemas if "handlers" in one}


def written() -> str:
    """The file's text."""
    return json.dumps(document(), indent=2) + "\n"


if __name__ == "__main__":
    PATH.write_text(written())
