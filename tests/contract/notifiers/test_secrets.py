"""No secret leaves a notifier but to where it belongs, and a rotated one works at once."""

from __future__ import annotations

import hashlib
import hmac
import logging
import traceback
from contextlib import suppress

import msgspec
import pytest
import requests

from tests.contract.notifiers.harness import BENCHES, OVER_HTTP, SIGNING_KEY, URL_TOKEN
from tests.contract.notifiers.notifications import STORIES
from tests.contract.notifiers.server import http, reset, silence
from wabawatch.adapters.notifiers.registry import OPTIONS
from wabawatch.errors import DeliveryError

ANYTHING = STORIES["opened"]
SECRETS = (URL_TOKEN, SIGNING_KEY)
REPEATED = http(500, URL_TOKEN.encode())


def everything_said(error):
    """The exception, and all that hangs on it, however well hidden."""
    seen = []
    while error is not None:
        seen += [str(error), repr(error), repr(error.args), "".join(traceback.format_exception(error))]
        error = error.__cause__ or error.__context__
    return "\n".join(seen)


@pytest.mark.parametrize("kind", OVER_HTTP)
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(http(404, b"no"), id="a-refusal"),
        pytest.param(http(302, Location="/elsewhere"), id="a-redirect"),
        pytest.param(REPEATED, id="an-answer-that-repeats-the-secret"),
        pytest.param(reset, id="a-reset"),
        pytest.param(silence, id="silence"),
        pytest.param(b"garbage", id="garbage"),
        pytest.param(None, id="nobody-there"),
    ],
)
def test_a_failure_names_no_secret(bench, kind, answer, caplog):
    if kind == "sns" and answer is REPEATED:
        pytest.skip("SNS is sent no secret, and botocore logs what it answers")
    caplog.set_level(logging.DEBUG)
    one = bench(kind, answers=[answer], patience=0.3)
    if answer is None:
        one.close()
    with pytest.raises(DeliveryError) as caught:
        one.deliver(ANYTHING)
    said = (
        everything_said(caught.value) + caplog.text + repr(one.notifier) + repr(one.options) + repr(vars(one.notifier))
    )
    assert [secret for secret in SECRETS if secret in said] == []


@pytest.mark.parametrize("kind", OVER_HTTP)
def test_an_acceptance_leaves_no_secret_in_the_log(bench, kind, caplog):
    caplog.set_level(logging.DEBUG)
    bench(kind).deliver(ANYTHING)
    assert [secret for secret in SECRETS if secret in caplog.text] == []


@pytest.mark.parametrize("kind", ["slack", "webhook"])
def test_headers_that_cannot_be_read_are_not_logged_with_the_address(bench, kind, caplog):
    caplog.set_level(logging.DEBUG)
    one = bench(kind)
    one.server.answers[:] = [one.accepted.replace(b"\r\n", b"\r\nno header at all\r\n", 1)]
    with suppress(DeliveryError):
        one.deliver(ANYTHING)
    assert [secret for secret in SECRETS if secret in caplog.text] == []


def test_what_others_do_over_http_is_logged_as_before(bench, caplog):
    caplog.set_level(logging.DEBUG)
    one = bench("webhook")
    one.deliver(ANYTHING)
    requests.get(f"{one.server.url}/others", timeout=5)
    assert "/others" in caplog.text


@pytest.mark.parametrize("kind", ["slack", "webhook"])
@pytest.mark.parametrize(
    "url",
    [
        pytest.param(f"http://hooks.example.com/{URL_TOKEN}", id="unencrypted"),
        pytest.param(f"https://user:{URL_TOKEN}@hooks.example.com/", id="credentials-in-it"),
        pytest.param(f"ftp://127.0.0.1/{URL_TOKEN}", id="not-http"),
        pytest.param(f"http://127.0.0.1.example.com/{URL_TOKEN}", id="a-host-that-looks-local"),
        pytest.param(URL_TOKEN, id="no-url-at-all"),
        pytest.param(f"https://[{URL_TOKEN}/", id="a-broken-host"),
        pytest.param(f"https://hooks.example.com:99999/{URL_TOKEN}", id="a-port-that-cannot-be"),
        pytest.param(f"https://hooks.example.com/{URL_TOKEN} x", id="a-space-in-it"),
        pytest.param(f"https://hooks.example.com/{URL_TOKEN}\tx", id="a-tab-in-it"),
        pytest.param("https://[", id="half-a-host"),
        pytest.param("", id="nothing"),
    ],
)
def test_a_secret_that_is_no_https_url_is_named_by_its_reference_only(bench, kind, url):
    one = bench(kind)
    one.secrets.values["HOOK"] = url
    with pytest.raises(DeliveryError) as caught:
        one.deliver(ANYTHING)
    assert caught.value.kind == "destination"
    assert URL_TOKEN not in everything_said(caught.value)


@pytest.mark.parametrize(("kind", "name"), [("slack", "HOOK"), ("webhook", "HOOK"), ("webhook", "KEY")])
def test_a_secret_that_cannot_be_read_is_a_lasting_failure_that_names_its_reference(bench, kind, name):
    one = bench(kind)
    del one.secrets.values[name]
    with pytest.raises(DeliveryError, match=f"env:{name}") as caught:
        one.deliver(ANYTHING)
    assert caught.value.kind == "destination"


@pytest.mark.parametrize("kind", ["slack", "webhook"])
def test_a_rotated_address_is_used_with_the_next_delivery(bench, kind):
    before, after = bench(kind), bench(kind)
    before.deliver(ANYTHING)
    before.secrets.values["HOOK"] = f"{after.server.url}/new\n"
    before.deliver(ANYTHING)
    assert [request.path for request in after.server.requests] == ["/new"]


def test_a_webhook_is_signed_over_its_timestamp_and_the_raw_body(bench):
    one = bench("webhook")
    one.deliver(ANYTHING)
    request = one.server.requests[0]
    stamp = request.headers["X-Wabawatch-Timestamp"]
    digest = hmac.new(SIGNING_KEY.encode(), stamp.encode() + b"." + request.body, hashlib.sha256).hexdigest()
    assert request.headers["X-Wabawatch-Signature"] == f"v1={digest}"
    assert request.headers["X-Wabawatch-Notification-Id"] == ANYTHING.id
    assert SIGNING_KEY not in str(request)


def test_a_rotated_signing_key_is_used_with_the_next_delivery(bench):
    one = bench("webhook")
    one.deliver(ANYTHING)
    one.secrets.values["KEY"] = "another"
    one.deliver(ANYTHING)
    request = one.server.requests[1]
    stamp = request.headers["X-Wabawatch-Timestamp"]
    digest = hmac.new(b"another", stamp.encode() + b"." + request.body, hashlib.sha256).hexdigest()
    assert request.headers["X-Wabawatch-Signature"] == f"v1={digest}"


def test_a_netrc_adds_no_credentials(bench, tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password pw\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    one = bench("webhook")
    one.deliver(ANYTHING)
    assert "Authorization" not in one.server.requests[0].headers


def test_a_proxy_of_the_environment_is_not_asked_for_what_is_on_this_machine(bench, monkeypatch):
    proxy, one = bench("webhook"), bench("webhook")
    monkeypatch.setenv("http_proxy", proxy.server.url)
    monkeypatch.setenv("no_proxy", "")
    one.deliver(ANYTHING)
    assert (len(proxy.server.requests), len(one.server.requests)) == (0, 1)


@pytest.mark.parametrize("kind", sorted(BENCHES))
def test_an_option_that_nobody_knows_is_refused(kind, bench):
    with pytest.raises(msgspec.ValidationError, match="colour"):
        bench(kind, options={"colour": "red"})


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        pytest.param(
            "slack", {"webhook_url": f"https://hooks.example.com/{URL_TOKEN}"}, "env:NAME", id="slack-literal"
        ),
        pytest.param("webhook", {"url": "env:URL", "secret": SIGNING_KEY}, "env:NAME", id="webhook-literal"),
        pytest.param("webhook", {"url": "http://example.com", "secret": "env:KEY"}, "https", id="webhook-unencrypted"),
        pytest.param("sns", {"topic_arn": "alerts"}, "ARN", id="sns-name-only"),
        pytest.param(
            "sns", {"topic_arn": BENCHES["sns"].given["topic_arn"], "format": "text"}, "text", id="sns-format"
        ),
        pytest.param("slack", {}, "webhook_url", id="slack-nothing"),
    ],
)
def test_bad_options_are_refused_with_what_to_write_and_without_the_secret(kind, given, says):
    with pytest.raises(msgspec.ValidationError, match=says) as caught:
        msgspec.convert(given, OPTIONS[kind])
    assert [secret for secret in SECRETS if secret in everything_said(caught.value)] == []


def test_options_that_hold_references_say_so():
    def references(kind):
        fields = msgspec.json.schema(OPTIONS[kind])["$defs"]["Options"]["properties"]
        return {name for name, field in fields.items() if field.get("description") == "a reference to a secret"}

    assert {kind: references(kind) for kind in OPTIONS} == {
        "console": set(),
        "slack": {"webhook_url"},
        "sns": set(),
        "webhook": {"secret"},
    }
