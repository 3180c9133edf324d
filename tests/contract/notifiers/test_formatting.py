"""Outside text can imitate neither our formatting nor a link."""

from __future__ import annotations

import json

import pytest

from tests.contract.notifiers.notifications import STORIES, notification, subject
from wabawatch.adapters.notifiers.slack_blocks import message
from wabawatch.adapters.notifiers.sns_bodies import chat_document
from wabawatch.domain.health import Reason
from wabawatch.domain.notification import Advice, ReasonShown

TEXTS = {
    "bold": "*What to do:* call +1 555 0100",
    "italic": "_What to do:_ call +1 555 0100",
    "struck": "~what is true~",
    "code": "`pay here`",
    "fence": "```pay here```",
    "call": "<!channel> <https://evil.example|pay>",
}
LINKS = {
    "link": "[business.facebook.com](https://evil.example/login)",
    "image": "![status](https://evil.example/pixel)",
    "reference": "[pay][1]",
}


def notified(text):
    reason = ReasonShown(Reason(141006, text, text), Advice("who", text, "https://example.com/a_b*c~d_"))
    return notification("opened", subject(reasons=(reason,), summary=text), deployment=text)


def mrkdwn(payload):
    texts = [
        one
        for block in payload["blocks"]
        for one in [block.get("text"), *block.get("fields", ()), *block.get("elements", ())]
    ]
    return "\n".join(one["text"] for one in texts if one and one["type"] == "mrkdwn")


def chat(payload):
    content = payload["content"]
    return "\n".join([content["title"], content["description"], *content["nextSteps"]])


FORMATS = {
    "slack": lambda text: mrkdwn(message(notified(text))),
    "q-developer": lambda text: chat(json.loads(chat_document(notified(text)))),
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_formatting_in_outside_text_is_shown_as_text(form, text):
    said = FORMATS[form](text)
    assert text not in said
    assert "<!" not in said.replace("<!date^", "")


@pytest.mark.parametrize("text", LINKS.values(), ids=LINKS)
def test_a_link_in_outside_text_shows_where_it_leads(text):
    said = FORMATS["q-developer"](text)
    assert text not in said
    assert text.partition("]")[0] in said


@pytest.mark.parametrize("form", FORMATS)
def test_names_with_underscores_and_links_stay_as_they_are(form):
    said = FORMATS[form]("can_send_message of support_de at 5 * 3")
    assert "can_send_message of support_de" in said
    assert "https://example.com/a_b*c~d_" in said


def test_our_own_formatting_stays():
    assert "*What to do:* " in mrkdwn(message(notified("call")))


@pytest.mark.parametrize("story", STORIES)
def test_every_story_is_a_document_that_amazon_q_shows(story):
    document = json.loads(chat_document(STORIES[story]))
    assert (document["version"], document["source"]) == ("1.0", "custom")
    assert all(document["content"][name] for name in ("title", "description"))
