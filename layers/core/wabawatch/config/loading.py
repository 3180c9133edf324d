"""From the text of a configuration to settings, or to one error that says everything there is to correct."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path as FilePath
from typing import Annotated, Any, Final, cast

import msgspec

from wabawatch.application.credentials import ENV, FILE, PATTERN, explain_bad_key, host_of, is_reference
from wabawatch.application.ports import Target
from wabawatch.config import from_env, scalars
from wabawatch.config.destinations import Kinds
from wabawatch.config.model import BASE_URL, Settings, SettingsFields
from wabawatch.config.walker import FieldError, Path, Problem, Walker, nearest, shown
from wabawatch.errors import ConfigurationError

LARGEST: Final = 64 * 1024 * 1024
NOT_HERE: Final = (
    "variables and files are for a configuration on this machine; in S3 and for the functions write"
    " secretsmanager:NAME or ssm:NAME"
)
_MOST_PROBLEMS: Final = 50
_USUAL_NAME: Final = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")


class Document:
    """A text under a name. Raises ConfigurationError where it cannot be read at all."""

    def __init__(self, text: str | bytes, name: str) -> None:
        self.name = name
        self.text = self._decode(text)
        self._is_yaml = False

    def parse(self) -> Any:  # noqa: ANN401 - any JSON value
        """Return the plain values. JSON takes a path without YAML, a hundred times as fast; what fails there is read as
        YAML, which knows the line."""
        if self.text.lstrip()[:1] == "{":
            try:
                return json.loads(self.text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
            except (ValueError, RecursionError):
                pass
        from wabawatch.config.yaml_lines import YamlError, parse  # noqa: PLC0415 - JSON needs no YAML

        self._is_yaml = True
        try:
            return parse(self.text)
        except YamlError as error:
            place = f" {dotted(error.path)}:" if error.path else ""
            raise ConfigurationError(f"{self.name}:{error.line}:{place} {error}") from None

    def explain(self, problems: list[Problem]) -> str:
        """Return a line for each problem, in the order of the file; past fifty, how many more there are."""
        lines = self._lines([problem.path for problem in problems])
        placed = sorted(((lines.get(problem.path, 1), problem) for problem in problems), key=lambda pair: pair[0])
        texts = [f"{self.name}:{line}: {dotted(problem.path)}: {problem.text}" for line, problem in placed]
        if len(texts) > _MOST_PROBLEMS:
            texts = [*texts[:_MOST_PROBLEMS], f"{self.name}: and {len(texts) - _MOST_PROBLEMS} more problems"]
        return "\n".join(texts)

    def _decode(self, text: str | bytes) -> str:
        if len(text) > LARGEST:
            raise ConfigurationError(f"{self.name}: larger than {LARGEST >> 20} MiB; split the fleet over deployments")
        if isinstance(text, str):
            return text.removeprefix("\ufeff")
        try:
            return text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = text[: error.start].count(b"\n") + 1
            raise ConfigurationError(f"{self.name}:{line}: not UTF-8 text; save the file as UTF-8") from None

    def _lines(self, paths: list[Path]) -> Mapping[Path, int]:
        """Find the lines. The escapes of a JSON text are legal in YAML only in part, and tabs only here and there:
        neither matters for lines."""
        from wabawatch.config.yaml_lines import YamlError, find_lines  # noqa: PLC0415 - only where something is wrong

        if "\n" not in self.text.strip():
            return {}
        text = self.text if self._is_yaml else re.sub(r"\\(?:u[0-9a-fA-F]{4}|.)", "x", self.text.replace("\t", " "))
        try:
            return find_lines(text, paths)
        except YamlError:
            return {}


def dotted(path: Path) -> str:
    """Write a path as people do: `targets[3].api_key`. Odd characters in a field's name are left out."""
    parts = [f"[{step}]" if isinstance(step, int) else f".{re.sub(r'[^ -~]', '?', step)[:64]}" for step in path]
    return "".join(parts).removeprefix(".") or "the whole file"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field is written twice")
    return fields


def _refuse_constant(word: str) -> float:
    raise ValueError(f"{word} is not JSON")


Explain = Callable[[list[Problem]], str]


def load(
    text: str | bytes,
    name: str,
    *,
    environment: Mapping[str, str],
    destination_kinds: Kinds,
    resolve: bool = True,
    local_secrets: bool = True,
) -> Settings:
    """Return the settings that a text (YAML or JSON) holds; `name` is how messages call it.

    `destination_kinds` gives, for each kind, the struct of its options. A text without destinations gets the stack's
    topic (`WABAWATCH_ALERTS_TOPIC_ARN` in the environment), or else the console. `resolve` False leaves out whether
    `env:` and `file:` references lead anywhere on this machine; `local_secrets` False refuses them.

    Raises ConfigurationError with every problem, a line for each: `NAME:LINE: field: what is wrong; what to write`. No
    message holds a secret written into the text."""
    document = Document(text, name)
    value = document.parse()
    if value is None:
        raise ConfigurationError(
            f"{name}:1: the file is empty; write at least targets: with one target, see the README"
        )
    if isinstance(value, dict) and value.get("destinations", {}) == {}:
        value = {**value, "destinations": from_env.usual_destinations(environment)}
    return _read(value, document.explain, environment, destination_kinds, resolve=resolve, local_secrets=local_secrets)


def default_settings(
    environment: Mapping[str, str], *, destination_kinds: Kinds, local_secrets: bool = True
) -> Settings:
    """Return the settings for no file at all: one number, by `D360_API_KEY` or the template's parameters. Raises
    ConfigurationError that names the variables."""
    value, variables = from_env.read_parameters(environment)

    def explain(problems: list[Problem]) -> str:
        return "\n".join(
            f"{variables.get(dotted(problem.path), 'environment')}: {problem.text}" for problem in problems
        )

    return _read(value, explain, environment, destination_kinds, resolve=True, local_secrets=local_secrets)


def _read(
    value: object,
    explain: Explain,
    environment: Mapping[str, str],
    kinds: Kinds,
    *,
    resolve: bool,
    local_secrets: bool,
) -> Settings:
    walker = Walker(kinds)
    if targets := read_targets(value):
        walker.ready["targets",] = targets
    settings = walker.read(SettingsFields, value, ())
    if isinstance(value, dict):
        check_references(value, walker)
        check_hosts(value, walker, from_env.api_hosts(environment))
        if resolve or not local_secrets:
            check_secrets(value, walker, environment if local_secrets else None)
    if walker.problems:
        raise ConfigurationError(explain(walker.problems))
    if "deployment" not in value:  # type: ignore[operator]  # anything but a mapping is a problem
        settings = msgspec.structs.replace(settings, deployment=from_env.deployment(environment))
    return cast("Settings", settings)


class _PlainTarget(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A target as msgspec checks it by itself."""

    id: Annotated[str, msgspec.Meta(pattern=scalars.ID)]
    api_key: Annotated[str, msgspec.Meta(pattern=PATTERN)]
    name: Annotated[str, msgspec.Meta(pattern=scalars.LINE)] | None = None
    labels: dict[str, str] = {}
    base_url: str | None = None


def read_targets(value: object) -> tuple[Target, ...] | None:
    """Read a hundred thousand targets at once, by msgspec. None if anything is wrong with any of them."""
    try:
        plain = msgspec.convert(value["targets"], list[_PlainTarget])  # type: ignore[index]  # or TypeError
        for address in {target.base_url for target in plain} - {None}:
            scalars.read_url(address)
        for word in {word for target in plain for label in target.labels.items() for word in label}:
            scalars.read_line(word)
    except (KeyError, TypeError, msgspec.ValidationError, FieldError, UnicodeEncodeError):  # half a character
        return None
    return tuple(
        Target(target.id, target.name or target.id, target.api_key, target.labels, target.base_url) for target in plain
    )


def _select(value: Any, path: Path, *steps: str) -> Iterator[tuple[Path, Any]]:  # noqa: ANN401 - any JSON value
    """Yield (path, value) of what lies that far below, of whatever is written in the right form. `*` is each item of a
    list or mapping; at the end of the steps, a value alone is its own only item."""
    if not steps:
        yield path, value
    elif steps[0] != "*":
        if isinstance(value, dict) and steps[0] in value:
            yield from _select(value[steps[0]], (*path, steps[0]), *steps[1:])
    elif isinstance(value, list | dict):
        for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _select(inner, (*path, step), *steps[1:])
    elif len(steps) == 1:
        yield path, value


def _of_targets(value: dict[str, Any], field: str) -> Iterator[tuple[Path, str]]:
    """Yield (path, text) of a field of every target: as `_select`, ten times as fast for a hundred thousand."""
    targets = value.get("targets")
    for index, target in enumerate(targets if isinstance(targets, list) else ()):
        text = target.get(field) if isinstance(target, dict) else None
        if isinstance(text, str):
            yield ("targets", index, field), text


def check_references(value: dict[str, Any], walker: Walker) -> None:
    """Note ids that are used twice, and rules that name a target or a destination which is not there."""
    seen: dict[str, int] = {}
    for index, (path, own_id) in enumerate(_of_targets(value, "id")):
        if (first := seen.setdefault(own_id, index)) != index:
            walker.note(f"{shown(own_id)} is the id of targets[{first}] already; give each target its own", path)
    names = value.get("destinations")
    destinations = list(names) if isinstance(names, dict) else []
    for path, name in _select(value, (), "routes", "*", "to", "*"):
        if isinstance(name, str) and name not in destinations:
            walker.note(f"{shown(name)} is not one of the destinations{nearest(name, _valid(destinations))}", path)
    for rules in ("routes", "windows", "severities"):
        for path, name in _select(value, (), rules, "*", "match", "target", "*"):
            if isinstance(name, str) and name not in seen:
                walker.note(f"{shown(name)} is not the id of a target{nearest(name, _valid(seen))}", path)


def _valid(names: Iterable[str]) -> list[str]:
    """Return the names that may be shown: an invalid one is noted itself, and may hold anything."""
    return [name for name in names if re.search(scalars.ID, name)]


def check_hosts(value: dict[str, Any], walker: Walker, hosts: frozenset[str]) -> None:
    """Note the URLs whose host is not among those that keys may be sent to; with no hosts, all may be."""
    if not hosts:
        return
    urls = [(("source", "base_url"), BASE_URL), *_select(value, (), "source", "base_url")][-1:]
    for path, url in (*urls, *_of_targets(value, "base_url")):
        if isinstance(url, str) and host_of(url) not in hosts:
            walker.note(f"keys are sent to {', '.join(sorted(hosts))} alone, as {from_env.API_HOSTS} says", path)


def check_secrets(value: dict[str, Any], walker: Walker, environment: Mapping[str, str] | None) -> None:
    """Note references that cannot be resolved on this machine. Secrets in AWS are checked when they are used.

    Without an environment, `env:` and `file:` are refused: the author of a configuration in S3 decides where keys are
    sent, and must not get the environment of a function, which holds its role's credentials."""
    keys = [(path, key) for path, key in _of_targets(value, "api_key") if key.startswith((ENV, FILE))]
    options = _select(value, (), "destinations", "*", "*")
    for path, reference in (*keys, *options, *_select(value, (), "heartbeat", "url")):
        if not isinstance(reference, str) or not reference.startswith((ENV, FILE)) or not is_reference(reference):
            continue
        why = NOT_HERE if environment is None else explain_missing(reference, environment)
        if why is None and environment is not None and path[0] == "targets" and reference.startswith(ENV):
            why = explain_bad_key(environment[reference.partition(":")[2]].strip())
        if why:
            walker.note(why, path)


def explain_missing(reference: str, environment: Mapping[str, str]) -> str | None:
    """Return why a reference cannot be resolved on this machine, or None. Only a name in the usual form is shown: any
    other may be a secret, written after `env:` by mistake."""
    scheme, _, name = reference.partition(":")
    if scheme == ENV and not environment.get(name):
        if _USUAL_NAME.fullmatch(name):
            return f"the environment variable {name} is not set; set it (export {name}=…), or write another reference"
        return "the environment variable it names is not set; set it, or write another reference"
    if scheme == FILE and not FilePath(name).is_file():
        return "the file it names does not exist; create it with the secret in it, or correct the path"
    return None
