"""The configuration in other forms: settings as plain values and canonical JSON, and the JSON Schema for editors.

`schema.json` beside this module holds the schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from wabawatch.application.ports import Target
from wabawatch.config.destinations import Destination
from wabawatch.config.model import Settings, SettingsFields
from wabawatch.config.scalars import DURATION, render_duration
from wabawatch.domain.policy import Weekly
from wabawatch.domain.routing import Route, Window


def effective(settings: Settings) -> dict[str, Any]:
    """Every field with the value in force, as a file would write it. References stand as they are: they are no
    secrets. Loading this again gives equal settings."""
    return {
        "deployment": settings.deployment,
        "source": _plain(settings.source),
        "targets": [_target(target) for target in settings.targets],
        "destinations": {name: _destination(one) for name, one in settings.destinations.items()},
        "routes": [_route(route) for route in settings.routes],
        "policy": _plain(settings.policy),
        "windows": [_window(window) for window in settings.windows],
        "severities": [_plain(rule) for rule in settings.severities],
        "runbook": {str(key): _given(msgspec.to_builtins(advice)) for key, advice in settings.runbook.items()},
        "heartbeat": _plain(settings.heartbeat),
        "digest": _digest(settings.digest),
        "history_days": settings.history_days,
    }


def canonical_json(settings: Settings) -> bytes:
    """One line of JSON that loads back equal, always the same for equal settings."""
    return msgspec.json.encode(effective(settings), order="sorted")


def _target(target: Target) -> dict[str, Any]:
    fields: dict[str, Any] = {"id": target.id, "name": target.name, "api_key": target.api_key}
    if target.labels:
        fields["labels"] = target.labels
    if target.base_url is not None:
        fields["base_url"] = target.base_url
    return fields


def _destination(destination: Destination) -> dict[str, Any]:
    options = msgspec.structs.fields(type(destination.options))
    given = {field.encode_name: _plain(getattr(destination.options, field.name)) for field in options}
    return {"kind": destination.kind, **_given(given)}


def _route(route: Route) -> dict[str, Any]:
    fields = {"match": _plain(route.match), "to": list(route.to), "stop": route.stop}
    return fields if route.hours is None else {**fields, "hours": _weekly(route.hours)}


def _window(window: Window) -> dict[str, Any]:
    given = _given({"reason": window.reason})
    return {"name": window.name, **_weekly(window.when), "match": _plain(window.match), **given}


def _weekly(when: Weekly) -> dict[str, Any]:
    return {
        "days": list(when.days),
        "from": f"{when.start:%H:%M}",
        "to": f"{when.end:%H:%M}",
        "timezone": when.timezone,
    }


def _digest(when: Weekly | None) -> dict[str, Any] | None:
    if when is None:
        return None
    return {"day": list(when.days), "time": f"{when.start:%H:%M}", "timezone": when.timezone}


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, "")}


def _plain(value: Any) -> Any:  # noqa: ANN401 - any value of the model
    if isinstance(value, timedelta):
        return render_duration(value)
    if isinstance(value, msgspec.Struct):
        return _fields(value)
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, tuple | list) else value


def _fields(value: msgspec.Struct) -> dict[str, Any]:
    """All fields; only those that differ from the default where the struct is written so."""
    shown = value.__struct_config__.omit_defaults
    names = msgspec.to_builtins(value) if shown else value.__struct_fields__
    return {name: _plain(getattr(value, name)) for name in value.__struct_fields__ if name in names}


def json_schema(kinds: Mapping[str, type[msgspec.Struct]]) -> dict[str, Any]:
    """Return the schema of the whole file. `kinds` gives the struct of the options of each kind of destination."""
    schema = msgspec.json.schema(SettingsFields)
    destinations = schema["$defs"]["SettingsFields"]["properties"]["destinations"]
    destinations["additionalProperties"] = {"oneOf": [_destination_schema(kind, kinds[kind]) for kind in kinds]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The configuration of Wabawatch",
        **_adapt_schema(schema),
    }


def render_schema(kinds: Mapping[str, type[msgspec.Struct]]) -> str:
    """Return the schema as the text of `schema.json`."""
    return json.dumps(json_schema(kinds), indent=2, ensure_ascii=False) + "\n"


def _destination_schema(kind: str, options: type[msgspec.Struct]) -> dict[str, Any]:
    schema: dict[str, Any] = msgspec.json.schema(options)["$defs"][options.__name__]
    schema["properties"] = {"kind": {"const": kind}, **schema["properties"]}
    schema["required"] = ["kind", *schema["required"]]
    return schema


def _adapt_schema(node: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Replace what msgspec says of durations and times: they are written in our own forms, not in those of ISO 8601."""
    if isinstance(node, list):
        return [_adapt_schema(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    found = {name: _adapt_schema(inner) for name, inner in node.items()}
    if isinstance(found.get("title"), str):
        del found["title"]
    if found.get("format") in ("duration", "time"):
        del found["format"]
    if found.get("pattern") == DURATION and "default" in found:
        found["default"] = render_duration(msgspec.convert(found["default"], timedelta))
    if isinstance(found.get("description"), str):
        found["description"] = " ".join(found["description"].partition("\n\n")[0].split())
    if isinstance(found.get("examples"), list):
        from wabawatch.config.yaml_lines import parse  # noqa: PLC0415 - poll reads JSON, and needs no YAML

        found["examples"] = [parse(example) for example in found["examples"]]
    return found
