"""A URL behind a reference is checked like one that is written out, wherever one may stand."""

import pytest
import yaml

from tests.contract.notifiers.notifications import STORIES
from wabawatch.adapters.http import HttpHeartbeatSender
from wabawatch.adapters.notifiers import registry
from wabawatch.config import load
from wabawatch.domain.heartbeat import HeartbeatPing
from wabawatch.errors import ConfigurationError, DeliveryError

BAD = {
    "plain http": "http://hooks.example/T0",
    "the address of credentials": "http://169.254.169.254/latest/api/token",
    "a host that begins like loopback": "http://127.0.0.1.example/T0",
    "this machine in another form": "http://2130706433/T0",
    "another scheme": "gopher://hooks.example/T0",
    "no scheme": "hooks.example/T0",
    "a user": "https://hooks.example@evil.example/T0",
    "a backslash": "https://evil.example\\@hooks.example/T0",
    "a line break": "https://hooks.example/T0\r\nHost: evil.example",
    "a space": "https://hooks.example/T 0",
    "no host": "https:///T0",
    "port zero": "https://hooks.example:0/T0",
    "half an address": "https://[",
}
bad = pytest.mark.parametrize("url", BAD.values(), ids=BAD)


@pytest.fixture(autouse=True)
def _nothing_is_sent(monkeypatch):
    def post(*_):
        raise AssertionError("it was sent")

    monkeypatch.setattr("wabawatch.adapters.http.HttpClient.post", post)


@bad
@pytest.mark.parametrize(
    "sections",
    [
        lambda url: {"heartbeat": {"url": url}},
        lambda url: {"destinations": {"hook": {"kind": "webhook", "url": url, "secret": "ssm:secret"}}},
        lambda url: {"source": {"base_url": url}},
        lambda url: {"targets": [{"id": "a", "api_key": "ssm:key", "base_url": url}]},
    ],
    ids=["heartbeat", "webhook", "source", "target"],
)
def test_written_out(url, sections):
    document = {"targets": [{"id": "a", "api_key": "ssm:key"}], **sections(url)}
    with pytest.raises(ConfigurationError) as refused:
        load(yaml.safe_dump(document), "f", environment={}, destination_kinds=registry.OPTIONS, resolve=False)
    assert "url" in str(refused.value)


@bad
@pytest.mark.parametrize(
    ("kind", "options"),
    [("webhook", {"url": "ssm:url", "secret": "ssm:secret"}), ("slack", {"webhook_url": "ssm:url"})],
)
def test_of_a_destination(url, kind, options):
    world = registry.NotifyContext({"ssm:url": url, "ssm:secret": "a-signing-key"}.__getitem__, client=None)
    notifier = registry.build("there", kind, registry.OPTIONS[kind](**options), world)
    with pytest.raises(DeliveryError) as refused:
        notifier.deliver(next(iter(STORIES.values())), {})
    assert url not in str(refused.value)


@bad
def test_of_the_heartbeat(url):
    with pytest.raises(DeliveryError) as refused:
        HttpHeartbeatSender(lambda: url, 1.0).send(HeartbeatPing("run", "success", "all is well"))
    assert url not in str(refused.value)
