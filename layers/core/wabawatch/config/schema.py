"""The JSON Schema of the configuration, for editors. `schema.json` beside this module holds it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from wabawatch.config.model import SettingsFields
from wabawatch.config.scalars import DURATION, render_duration
from wabawatch.config.yaml_lines import parse


def json_schema(kinds: Mapping[str, type[msgspec.Struct]]) -> dict[str, Any]:
    """Return the schema of the whole file. `kinds` gives the struct of the options of each kind of destination."""
    schema = msgspec.json.schema(SettingsFields)
    destinations = schema["$defs"]["SettingsFields"]["properties"]["destinations"]
    destinations["additionalProperties"] = {"oneOf": [_destination(kind, kinds[kind]) for kind in kinds]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The configuration of Wabawatch",
        **_adapt(schema),
    }


def render_schema(kinds: Mapping[str, type[msgspec.Struct]]) -> str:
    """Return the schema as the text of `schema.json`."""
    return json.dumps(json_schema(kinds), indent=2, ensure_ascii=False) + "\n"


def _destination(kind: str, options: type[msgspec.Struct]) -> dict[str, Any]:
    schema: dict[str, Any] = msgspec.json.schema(options)["$defs"][options.__name__]
    schema["properties"] = {"kind": {"const": kind}, **schema["properties"]}
    schema["required"] = ["kind", *schema["required"]]
    return schema


def _adapt(node: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Replace what msgspec says of durations and times: they are written in our own forms, not in those of ISO 8601."""
    if isinstance(node, list):
        return [_adapt(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    found = {name: _adapt(inner) for name, inner in node.items()}
    if isinstance(found.get("title"), str):
        del found["title"]
    if found.get("format") in ("duration", "time"):
        del found["format"]
    if found.get("pattern") == DURATION and "default" in found:
        found["default"] = render_duration(msgspec.convert(found["default"], timedelta))
    if isinstance(found.get("description"), str):
        found["description"] = " ".join(found["description"].partition("\n\n")[0].split())
    if isinstance(found.get("examples"), list):
        found["examples"] = [parse(example) for example in found["examples"]]
    return found
