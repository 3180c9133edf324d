"""Whatever the API writes: it arrives, harmless, within the limits, and the message says where it was cut."""

from __future__ import annotations

import json
import re

import msgspec
import pytest

from tests.contract.notifiers.harness import FORMATS
from tests.contract.notifiers.hostile import TEXTS, enormous, hostile
from tests.contract.notifiers.notifications import STORIES
from wabawatch.adapters.notifiers import document
from wabawatch.domain.notification import KINDS

GSM = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
TWENTY_NUMBERS = 20


def console_is_fine(bench):
    assert re.search(r"[^\n\x20-\x7e\xa1-\U0010ffff]", bench.sent) is None
    assert not re.search("[\u200b\u202a-\u202e\u2066-\u2069\ud800-\udfff]", bench.sent)
    assert len(bench.sent) < 200_000


def slack_is_fine(bench):
    payload = bench.sent
    blocks = payload["blocks"]
    texts = [one["text"] for block in blocks for one in _texts(block)]
    assert 2 <= len(blocks) <= 50
    assert len(json.dumps(blocks, ensure_ascii=False)) < 10_000
    assert blocks[0]["type"] == "header"
    assert len(blocks[0]["text"]["text"].encode("utf-16-le")) <= 2 * 150
    assert all(0 < len(text.encode("utf-16-le")) <= 2 * 3_000 for text in texts)
    for block in blocks:
        assert len(block.get("fields", [])) <= 10
        assert len(block.get("elements", [])) <= 10
        assert all(len(field["text"].encode("utf-16-le")) <= 2 * 2_000 for field in block.get("fields", []))
    assert 0 < len(payload["text"]) < 4_000
    for text in [payload["text"], *texts]:
        escaped_well(text)


def _texts(block):
    return [one for one in [block.get("text"), *block.get("fields", []), *block.get("elements", [])] if one]


def escaped_well(text):
    """Every `<` begins markup of our own, every `>` ends it, every `&` begins one of three entities, whole."""
    own = r"<!date\^\d+\^\{date_short_pretty\} \{time\}\|[-\d: ]+ UTC>|<https?://[^<>|\s]*\|Read on>"
    rest = re.sub(own, "", text)
    assert not re.search("[<>]", rest)
    assert re.fullmatch(r"(?:[^&]|&(?:amp|lt|gt);)*", rest, re.DOTALL)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x09\x0b-\x1f\x7f]", text)


def sns_is_fine(bench):
    sent = bench.sent
    subject, bodies = sent["Subject"], sent["Message"]
    assert sent["Attributes"] == {}
    assert re.fullmatch(r"[!-~][ -~]{0,98}", subject)
    assert len(json.dumps(bodies, ensure_ascii=False).encode()) <= 262_144
    assert set(bodies) >= {"default", "email", "sms", "sqs", "lambda", "http", "https"}
    assert all(isinstance(body, str) and body for body in bodies.values())
    assert len(bodies["sms"]) <= 160
    assert set(bodies["sms"]) <= GSM - {"\n", "\r"}
    for machine in ("sqs", "lambda", "http", "https"):
        assert json.loads(bodies[machine])["version"] == 1
    assert re.search(r"[^\n\x20-\x7e\xa1-\U0010ffff]", bodies["email"]) is None


def sns_document_is_fine(bench):
    sent = bench.sent
    assert sent.keys() == {"TopicArn", "Message", "Attributes"}
    document_text, attributes = json.dumps(sent["Message"], ensure_ascii=False), sent["Attributes"]
    msgspec.json.decode(document_text, type=document.Document, strict=True)
    size = len(json.dumps(document_text).encode())  # as one text in the JSON that SNS wraps it in
    size += sum(len(name.encode()) + len(value.encode()) + 12 for name, value in attributes.items())
    assert size <= 262_144
    assert 1 <= len(attributes) <= 10
    assert all(attributes.values())


def webhook_is_fine(bench):
    body = bench.server.requests[-1].body
    assert len(body) <= 200_000
    msgspec.json.decode(body, type=document.Document, strict=True)


def post_is_fine(bench):
    assert not re.search("[\u200b\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f\x7f]", bench.sent)
    assert len(bench.sent.encode()) <= 256_000


OWN = {
    "console": console_is_fine,
    "slack": slack_is_fine,
    "sns": sns_is_fine,
    "sns-document": sns_document_is_fine,
    "webhook": webhook_is_fine,
}
DOCUMENTS = {"sns-document": lambda bench: bench.sent["Message"], "webhook": lambda bench: bench.sent}
FINE = {kind: OWN.get(kind, post_is_fine) for kind in FORMATS}
every_notifier = pytest.mark.parametrize("kind", sorted(FORMATS))


@every_notifier
@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in TEXTS.items()])
def test_any_text_arrives_harmless_and_within_the_limits(bench, kind, text):
    one = bench(kind)
    one.deliver(hostile(text))
    FINE[kind](one)


@every_notifier
@pytest.mark.parametrize("news", [kind for kind in KINDS if kind != "opened"])
def test_any_kind_of_news_arrives_harmless_and_within_the_limits(bench, kind, news):
    one = bench(kind)
    one.deliver(hostile(TEXTS["a-call-to-everybody"] * 50, news, subjects=3 if news == "digest" else 1))
    FINE[kind](one)


@every_notifier
@pytest.mark.parametrize("news", ["opened", "digest"])
def test_the_biggest_message_arrives_and_says_that_it_was_cut(bench, kind, news):
    one = bench(kind)
    one.deliver(enormous(news))
    FINE[kind](one)
    if kind in DOCUMENTS:
        assert DOCUMENTS[kind](one)["cut"]
    else:
        assert "This message was cut" in one.people_read()
    if kind == "sns":
        assert json.loads(one.sent["Message"]["sqs"])["cut"]


@every_notifier
@pytest.mark.parametrize("story", STORIES)
def test_an_ordinary_message_is_within_the_limits_and_not_cut(bench, kind, story):
    one = bench(kind)
    one.deliver(STORIES[story])
    FINE[kind](one)
    if STORIES[story].total == len(STORIES[story].subjects):
        assert "was cut" not in one.people_read()


@every_notifier
def test_ten_thousand_numbers_are_counted_and_few_are_named(bench, kind):
    one = bench(kind)
    one.deliver(hostile("Berlin", affected=10_000))
    if kind in DOCUMENTS:
        affected = DOCUMENTS[kind](one)["incidents"][0]["affected"]
        assert affected["total"] == 10_000
        assert len(affected["named"]) == TWENTY_NUMBERS
    else:
        assert re.search(r"10000 numbers.*Berlin.* \+99\d\d more", one.people_read())


@every_notifier
def test_a_digest_without_a_single_incident_arrives(bench, kind):
    one = bench(kind)
    one.deliver(msgspec.structs.replace(STORIES["digest"], subjects=(), total=0))
    FINE[kind](one)
