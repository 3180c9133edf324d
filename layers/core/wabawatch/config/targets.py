"""The targets: a hundred thousand of them by msgspec, and one by one where something is wrong with any."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec

from wabawatch.application.credentials import explain_bad_key, host_of
from wabawatch.application.ports import Target
from wabawatch.application.secret_reference import USABLE, Explain, missing, reference
from wabawatch.config.parameters import API_HOSTS
from wabawatch.config.scalars import ID, NAME, identifier, labels, line, url
from wabawatch.config.section import Path, Problem, Section, WrongError, list_of_anything, read, shown


class _Written(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A target as it stands in the file."""

    id: Annotated[str, msgspec.Meta(pattern=ID)]
    api_key: Annotated[str, msgspec.Meta(pattern=USABLE)]
    name: Annotated[str, msgspec.Meta(pattern=NAME)] | None = None
    labels: dict[str, str] = {}
    base_url: str | None = None


def targets(top: Section) -> tuple[Target, ...]:
    """All targets, with unique ids. Without any there is nothing to watch, and that is a problem."""
    example = "[{id: support-de, api_key: env:D360_API_KEY}]"
    nothing: list[Any] = []
    items = top.need("targets", list_of_anything, nothing, example)
    if not items and isinstance(top.fields.get("targets"), list):
        top.wrong(f"no target at all; write for example targets: {example}", "targets")
    found = _all_right(items)
    if found is None:
        found = tuple(_one_by_one(items, (*top.path, "targets"), top.problems))
    _refuse_repeated(items, found, top)
    return found


def _all_right(items: list[Any]) -> tuple[Target, ...] | None:
    try:
        written = msgspec.convert(items, list[_Written])
        for address in {one.base_url for one in written} - {None}:
            url(address)
        for word in {word for one in written for label in one.labels.items() for word in label}:
            line(word)
    except (msgspec.ValidationError, WrongError, UnicodeEncodeError):  # half a character has no UTF-8 form
        return None
    return tuple(Target(one.id, one.name or one.id, one.api_key, one.labels, one.base_url) for one in written)


def _one_by_one(items: list[Any], path: Path, problems: list[Problem]) -> Iterable[Target]:
    for index, item in enumerate(items):
        target = read(item, (*path, index), problems, _target, None)
        if target is not None:
            yield target


def _target(section: Section) -> Target:
    own_id = section.need("id", identifier, "", "support-de")
    return Target(
        own_id,
        section.take("name", line, None) or own_id,
        section.need("api_key", reference, "", "env:D360_API_KEY"),
        section.inner("labels", labels, {}),
        section.take("base_url", url, None),
    )


def _refuse_repeated(items: list[Any], found: tuple[Target, ...], top: Section) -> None:
    if len({target.id for target in found}) == len(items):
        return
    seen: dict[str, int] = {}
    for index, item in enumerate(items):
        own_id = item.get("id") if isinstance(item, dict) else None
        if isinstance(own_id, str) and seen.setdefault(own_id, index) != index:
            first = f"targets[{seen[own_id]}]"
            top.wrong(f"{shown(own_id)} is the id of {first} already; give each target its own", "targets", index, "id")


def refuse_unusable(found: Iterable[Target], top: Section, explain: Explain) -> None:
    """Note the API keys whose reference cannot be used here."""
    for index, target in enumerate(found):
        if target.api_key.startswith(("env:", "file:")) and (why := explain(target.api_key)):
            top.wrong(why, "targets", index, "api_key")


def refuse_other_hosts(found: Iterable[Target], base_url: str, top: Section, hosts: frozenset[str]) -> None:
    """Note the URLs whose host is not among those that keys may be sent to; with no hosts, all may be."""
    if not hosts:
        return
    why = f"keys are sent to {', '.join(sorted(hosts))} alone, as {API_HOSTS} says"
    other = {url for url in {base_url, *(one.base_url for one in found)} if url and host_of(url) not in hosts}
    if base_url in other:
        top.wrong(why, "source", "base_url")
    for index, target in enumerate(found):
        if target.base_url in other:
            top.wrong(why, "targets", index, "base_url")


def missing_key(value: str, environment: Mapping[str, str]) -> str | None:
    """As `missing`; also why what the environment holds cannot be an API key."""
    why = missing(value, environment)
    kind, _, name = value.partition(":")
    return explain_bad_key(environment[name].strip()) if why is None and kind == "env" else why
