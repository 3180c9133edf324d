"""template.yaml as plain data: `!Sub x` becomes `{"Fn::Sub": "x"}`, as CloudFormation itself reads it."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "template.yaml").read_text()


class _Loader(yaml.SafeLoader):
    pass


def _intrinsic(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {name if name in {"Ref", "Condition"} else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _intrinsic)


@cache
def template() -> dict[str, Any]:
    return yaml.load(TEXT, Loader=_Loader)  # noqa: S506 - a SafeLoader with CloudFormation's tags


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """The properties of every resource of a type, by logical id."""
    return {name: one["Properties"] for name, one in template()["Resources"].items() if one["Type"] == kind}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def table_shape() -> dict[str, Any]:
    """What makes a table like the template's, for CreateTable: no store is tested on another."""
    (table,) = resources("AWS::DynamoDB::Table").values()
    return {name: table[name] for name in ("BillingMode", "KeySchema", "AttributeDefinitions", "LocalSecondaryIndexes")}
