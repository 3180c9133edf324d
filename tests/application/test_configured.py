"""A configuration that changes while it is in use."""

from __future__ import annotations

import pytest

from wabawatch.adapters.documents import Document
from wabawatch.application.configured import GOOD, Configured
from wabawatch.application.errors import ConfigurationError


class Papers:
    """An origin with versions; a version that is None cannot be read."""

    def __init__(self, *bodies):
        self.bodies = list(bodies)

    def read(self, unless=None):
        mark = f"v{len(self.bodies)}"
        if mark == unless:
            return None
        return self.version(mark, mark)

    def version(self, version_id, mark):
        body = self.bodies[int(version_id[1:]) - 1]
        if body is None:
            raise ConfigurationError("cannot be read")
        return Document(body, mark)


class Shelf:
    def __init__(self):
        self.documents = {}

    def document(self, name):
        return self.documents.get(name)

    def save_document(self, name, body):
        self.documents[name] = body


def parse(body):
    if body == b"bad":
        raise ConfigurationError("fleet.yaml:3: bad")
    return body


def test_a_good_one_is_taken_and_remembered():
    shelf, papers = Shelf(), Papers(b"one")
    configured = Configured(papers, parse, lambda: shelf)
    assert configured.refresh() is None
    assert (configured.value, shelf.document(GOOD)) == (b"one", b"v1")


def test_a_new_good_one_replaces_it():
    papers = Papers(b"one")
    configured = Configured(papers, parse, Shelf)
    configured.refresh()
    papers.bodies.append(b"two")
    assert configured.refresh() is None
    assert configured.value == b"two"


@pytest.mark.parametrize("newest", [b"bad", None], ids=["wrong", "unreadable"])
def test_the_last_good_one_goes_on_while_the_newest_is(newest):
    papers = Papers(b"one")
    configured = Configured(papers, parse, Shelf)
    configured.refresh()
    papers.bodies.append(newest)
    for _ in range(2):
        trouble = configured.refresh()
        assert trouble is not None
        assert "bad" in trouble.detail or "cannot be read" in trouble.detail
        assert configured.value == b"one"


def test_trouble_ends_with_the_next_good_one():
    papers = Papers(b"one", b"bad")
    configured = Configured(Papers(b"one"), parse, Shelf)
    configured.refresh()
    configured._origin = papers
    assert configured.refresh() is not None
    papers.bodies.append(b"three")
    assert configured.refresh() is None
    assert configured.value == b"three"


def test_a_fresh_process_goes_back_to_the_last_good_version():
    shelf = Shelf()
    Configured(Papers(b"one"), parse, lambda: shelf).refresh()
    fresh = Configured(Papers(b"one", b"bad"), parse, lambda: shelf)
    trouble = fresh.refresh()
    assert trouble is not None
    assert fresh.value == b"one"
    assert shelf.document(GOOD) == b"v1"


def test_with_nothing_good_to_go_back_to_it_is_an_error():
    with pytest.raises(ConfigurationError, match=r"fleet\.yaml:3"):
        Configured(Papers(b"bad"), parse, Shelf).refresh()
