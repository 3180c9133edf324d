"""From the text of a configuration to settings, or to one error that says everything there is to correct."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wabawatch.application.secret_reference import Explain, explain_local, is_reference, missing, reference_or_url
from wabawatch.config import destinations as places
from wabawatch.config import targets as fleet
from wabawatch.config.destinations import Kinds
from wabawatch.config.document import Document
from wabawatch.config.model import MONDAY_MORNING, Heartbeat, Settings, Source
from wabawatch.config.parameters import Parameters, api_hosts, deployment, usual_destinations
from wabawatch.config.policy import policy
from wabawatch.config.rules import digest, routes, runbook, severities, windows
from wabawatch.config.scalars import line, positive, rate, share, url, whole
from wabawatch.config.section import Problem, Section, read
from wabawatch.domain.policy import Policy
from wabawatch.domain.schedule import Weekly
from wabawatch.errors import ConfigurationError

Refuse = Callable[[list[Problem]], ConfigurationError]


def load(
    text: str | bytes,
    name: str,
    *,
    environment: Mapping[str, str],
    destination_kinds: Kinds,
    resolve: bool = True,
    local_secrets: bool = True,
) -> Settings:
    """The settings that a text (YAML or JSON) holds; `name` is how messages call it.

    `destination_kinds` gives, for each kind, the struct of its options. A text without destinations gets the stack's
    topic (`WABAWATCH_ALERTS_TOPIC_ARN` in the environment), or else the console. `resolve` False leaves out whether
    `env:` and `file:` references lead anywhere on this machine; `local_secrets` False refuses them.

    Raises ConfigurationError with every problem, a line for each: `NAME:LINE: field: what is wrong; what to write`. No
    message holds a secret written into the text."""
    document = Document(text, name)
    value = document.value
    if value is None:
        raise ConfigurationError(
            f"{name}:1: the file is empty; write at least targets: with one target, see the README"
        )
    if isinstance(value, dict) and value.get("destinations", {}) == {}:
        value = {**value, "destinations": usual_destinations(environment)}
    return _read(value, document.refuse, environment, destination_kinds, resolve=resolve, local_secrets=local_secrets)


def default_settings(
    environment: Mapping[str, str], *, destination_kinds: Kinds, local_secrets: bool = True
) -> Settings:
    """The settings for no file at all: one number, by `D360_API_KEY` or the template's parameters. Raises
    ConfigurationError that names the variables."""
    parameters = Parameters(environment)
    return _read(
        parameters.value,
        parameters.refuse,
        environment,
        destination_kinds,
        resolve=True,
        local_secrets=local_secrets,
    )


def _read(
    value: object,
    refuse: Refuse,
    environment: Mapping[str, str],
    kinds: Kinds,
    *,
    resolve: bool,
    local_secrets: bool,
) -> Settings:
    problems: list[Problem] = []

    def settings_of(top: Section) -> Settings:
        settings = _settings(top, environment, kinds)
        fleet.refuse_other_hosts(settings.targets, settings.source.base_url, top, api_hosts(environment))
        if not local_secrets:
            _refuse_unusable(settings, top, explain_local, explain_local)
        elif resolve:
            _refuse_unusable(
                settings, top, lambda one: missing(one, environment), lambda one: fleet.missing_key(one, environment)
            )
        return settings

    settings = read(value, (), problems, settings_of, None)
    if problems or settings is None:
        raise refuse(problems)
    return settings


def _settings(top: Section, environment: Mapping[str, str], kinds: Kinds) -> Settings:
    targets = fleet.targets(top)
    ids = {target.id for target in targets}
    return Settings(
        targets,
        places.destinations(top, kinds),
        top.inner("source", _source, Source()),
        routes(top, ids, _names(top)),
        top.inner("policy", policy, Policy()),
        windows(top, ids),
        severities(top, ids),
        runbook(top),
        top.inner("heartbeat", _heartbeat, None),
        _digest(top),
        top.take("deployment", line, deployment(environment)),
        top.take("history_days", whole(1, 36_500), None),
    )


def _names(top: Section) -> tuple[str, ...]:
    """The destinations as written: one that is wrong is told of once, and not again by every route to it."""
    written = top.fields.get("destinations")
    return tuple(written) if isinstance(written, dict) else ()


def _source(section: Section) -> Source:
    usual = Source()
    return Source(
        section.take("base_url", url, usual.base_url),
        section.take("timeout", positive, usual.timeout),
        section.take("concurrency", whole(1, 10_000), usual.concurrency),
        section.take("requests_per_second", rate, None),
    )


def _heartbeat(section: Section) -> Heartbeat:
    usual = Heartbeat("")
    return Heartbeat(
        section.need("url", reference_or_url, "", "env:HEARTBEAT_URL"),
        section.take("min_coverage", share, usual.min_coverage),
        section.take("max_delivery_age", positive, usual.max_delivery_age),
    )


def _refuse_unusable(settings: Settings, top: Section, explain: Explain, explain_key: Explain) -> None:
    """Note every reference that cannot be used here."""
    fleet.refuse_unusable(settings.targets, top, explain_key)
    places.refuse_unusable(top, explain)
    heartbeat = settings.heartbeat
    if heartbeat and is_reference(heartbeat.url) and (why := explain(heartbeat.url)):
        top.wrong(why, "heartbeat", "url")


def _digest(top: Section) -> Weekly | None:
    """`digest: null` turns the weekly digest off."""
    off = "digest" in top.fields and top.fields["digest"] is None
    usual: Weekly | None = None if off else MONDAY_MORNING
    return top.inner("digest", digest, usual)
