"""What the template's policies allow: functions resolved as CloudFormation does, statements judged as IAM does.

Only what the template uses is known; anything else is an error, so that no test passes because something was skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tests.template.template import as_list, template

ACCOUNT, REGION, STACK = "123456789012", "eu-central-1", "wabawatch"
_NOTHING = object()
"""AWS::NoValue."""
_ARNS = {
    "AWS::DynamoDB::Table": "dynamodb:{region}:{account}:table/{name}",
    "AWS::S3::Bucket": "s3:::{name}",
    "AWS::SQS::Queue": "sqs:{region}:{account}:{name}",
    "AWS::SNS::Topic": "sns:{region}:{account}:{name}",
    "AWS::Serverless::Function": "lambda:{region}:{account}:function:{name}",
    "AWS::Scheduler::ScheduleGroup": "scheduler:{region}:{account}:schedule-group/{name}",
    "AWS::Scheduler::Schedule": "scheduler:{region}:{account}:schedule/{group}/{name}",
}


class Statement(NamedTuple):
    """One statement of a policy, resolved."""

    sid: str
    effect: str
    actions: Sequence[str]
    resources: Sequence[str]
    condition: Mapping[str, Mapping[str, Any]]

    def covers(self, action: str, resource: str, context: Mapping[str, Any]) -> bool:
        return (
            any(matches(pattern.lower(), action.lower()) for pattern in self.actions)
            and any(matches(pattern, resource) for pattern in self.resources)
            and all(
                _holds(operator, as_list(wanted), context.get(key))
                for operator, keys in self.condition.items()
                for key, wanted in keys.items()
            )
        )


class Grant(NamedTuple):
    """One action on one resource that somebody is given. `owner` is the role's or managed policy's logical id."""

    owner: str
    sid: str
    action: str
    resource: str


def matches(pattern: str, text: str) -> bool:
    """IAM's patterns: `*` is any text, `?` one character, and nothing else is special."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text, re.DOTALL) is not None


def _holds(operator: str, wanted: Sequence[str], given: Any) -> bool:
    if operator == "ForAllValues:StringEquals":
        return all(one in wanted for one in as_list(given or []))
    if operator not in {"StringEquals", "StringLike"}:
        raise NotImplementedError(operator)
    test = matches if operator == "StringLike" else str.__eq__
    return given is not None and any(test(one, given) for one in wanted)


class Policies:
    """The policies of a deployment with these parameters. `names` has the physical ids of resources that are known."""

    def __init__(
        self,
        parameters: Mapping[str, str] | None = None,
        names: Mapping[str, str] | None = None,
        *,
        stack: str = STACK,
        built: Mapping[str, Any] | None = None,
    ) -> None:
        self._template = built or template()
        self._parameters = {name: str(one["Default"]) for name, one in self._template["Parameters"].items()}
        self._parameters |= parameters or {}
        self._names = names or {}
        self._stack = stack

    def owners(self) -> list[str]:
        """The logical ids of the roles and managed policies."""
        kinds = {"AWS::IAM::Role", "AWS::IAM::ManagedPolicy"}
        return [name for name, one in self._template["Resources"].items() if one["Type"] in kinds]

    def statements(self, owner: str) -> list[Statement]:
        """All statements of a role or managed policy that apply with the parameters."""
        properties = self._template["Resources"][owner]["Properties"]
        policies = properties.get("Policies", [{"PolicyDocument": properties.get("PolicyDocument")}])
        return [
            Statement(
                one["Sid"], one["Effect"], as_list(one["Action"]), as_list(one["Resource"]), one.get("Condition", {})
            )
            for policy in policies
            for one in self.resolve(policy["PolicyDocument"])["Statement"]
        ]

    def allow(self, owner: str | Sequence[str], action: str, resource: str, **context: Any) -> bool:
        """Whether the statements of these owners together allow a call. `context` has the condition keys, with two
        underscores for the colon, which no keyword may have."""
        keys = {name.replace("__", ":"): value for name, value in context.items()}
        found = [one for name in as_list(owner) for one in self.statements(name) if one.covers(action, resource, keys)]
        return bool(found) and all(one.effect == "Allow" for one in found)

    def grants(self) -> Iterator[Grant]:
        """Everything that is given to somebody."""
        for owner in self.owners():
            for one in self.statements(owner):
                yield from (Grant(owner, one.sid, action, place) for action in one.actions for place in one.resources)

    def resolve(self, node: Any) -> Any:
        """A part of the template with all intrinsic functions replaced."""
        if isinstance(node, list):
            found = [self.resolve(one) for one in node]
            return [one for one in found if one is not _NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, given),) = node.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._call(name, given)
        found = {key: self.resolve(one) for key, one in node.items()}
        return {key: one for key, one in found.items() if one is not _NOTHING}

    def _call(self, function: str, given: Any) -> Any:
        known: Mapping[str, Callable[[], Any]] = {
            "Ref": lambda: self._ref(given),
            "Fn::GetAtt": lambda: self._attribute(*(given.split(".") if isinstance(given, str) else given)),
            "Fn::Sub": lambda: self._sub(*(given if isinstance(given, list) else (given, {}))),
            "Fn::If": lambda: self.resolve(given[1] if self._condition(given[0]) else given[2]),
            "Fn::Select": lambda: self.resolve(given[1])[int(given[0])],
            "Fn::Split": lambda: self.resolve(given[1]).split(given[0]),
            "Fn::Join": lambda: given[0].join(self.resolve(given[1])),
            "Fn::Equals": lambda: self.resolve(given[0]) == self.resolve(given[1]),
            "Fn::Not": lambda: not self.resolve(given[0]),
        }
        return known[function]()

    def _condition(self, name: str) -> bool:
        return bool(self.resolve(self._template["Conditions"][name]))

    def _ref(self, name: str) -> Any:
        pseudo = {"AWS::AccountId": ACCOUNT, "AWS::Region": REGION, "AWS::Partition": "aws", "AWS::NoValue": _NOTHING}
        if name in pseudo:
            return pseudo[name]
        if name == "AWS::StackName":
            return self._stack
        if name in self._parameters:
            is_list = self._template["Parameters"][name]["Type"] == "CommaDelimitedList"
            return self._parameters[name].split(",") if is_list else self._parameters[name]
        return self._arn(name) if self._kind(name) == "AWS::SNS::Topic" else self._name(name)

    def _kind(self, name: str) -> str:
        kind: str = self._template["Resources"][name]["Type"]
        return kind

    def _name(self, name: str) -> str:
        """A queue's physical id is its URL, a topic's its ARN."""
        return re.split("[/:]", self._names.get(name, f"{self._stack}-{name}-AB12CD34EF56"))[-1]

    def _arn(self, name: str) -> str:
        group = self._name("Schedules")
        form = _ARNS[self._kind(name)]
        return "arn:aws:" + form.format(region=REGION, account=ACCOUNT, name=self._name(name), group=group)

    def _attribute(self, name: str, attribute: str) -> str:
        if attribute != "Arn":
            raise NotImplementedError(f"{name}.{attribute}")
        return self._arn(name)

    def _sub(self, text: str, own: Mapping[str, Any]) -> str:
        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name in own:
                return str(self.resolve(own[name]))
            return str(self._attribute(*name.split(".")) if "." in name else self._ref(name))

        return re.sub(r"\$\{([^}]+)\}", value, text)
