"""What is sent is what was reviewed: `python -m tests.contract.notifiers.write_golden` writes it anew, for a person to
read."""

from __future__ import annotations

import pytest

from tests.contract.notifiers.harness import FORMATS
from tests.contract.notifiers.notifications import STORIES
from tests.contract.notifiers.write_golden import path, rendered
from wabawatch.domain.notification import KINDS


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_every_story_is_told_as_it_was_reviewed(kind):
    assert rendered(kind) == path(kind).read_text(encoding="utf-8")


@pytest.mark.parametrize("story", STORIES)
def test_sns_carries_the_same_document_as_a_webhook(bench, story):
    topic, webhook = bench("sns-document"), bench("webhook")
    for one in (topic, webhook):
        one.deliver(STORIES[story])
    assert topic.sent["Message"] == webhook.sent


def test_every_kind_of_news_has_its_story():
    assert {name.partition("-")[0] for name in STORIES} == set(KINDS)
