"""A configuration that changes while it is in use."""

from __future__ import annotations

import logging

import pytest

from wabawatch.adapters.documents import Document
from wabawatch.application.config_reload import GOOD, REMOVED, MissingDocumentError, ReloadableConfig, record_removal
from wabawatch.errors import ConfigurationError, StoreError

PARAMETERS = Document(b"parameters of the stack", "parameters")
GONE = object()


class Papers:
    """An origin with versions. One that is None cannot be read, one that is GONE was deleted."""

    name = "s3://bucket/config.json"

    def __init__(self, *bodies):
        self.bodies = list(bodies)
        self.is_down = False

    def read(self, unless=None):
        mark = f"v{len(self.bodies)}"
        if self.is_down:
            raise ConfigurationError("cannot be read")
        if not self.bodies or self.bodies[-1] is GONE:
            raise MissingDocumentError("there is no such object")
        return None if mark == unless else self.version(mark, mark)

    def version(self, version_id, mark):
        body = self.bodies[int(version_id[1:]) - 1]
        if self.is_down or body is None:
            raise ConfigurationError("cannot be read")
        return Document(body, mark)


class Shelf:
    def __init__(self, **documents):
        self.documents = documents

    def document(self, name):
        return self.documents.get(name)

    def save_document(self, name, body):
        self.documents[name] = body


def parse(body):
    if body == b"bad":
        raise ConfigurationError("fleet.yaml:3: bad")
    if body == b"poison":
        raise ValueError("the text, which may hold a secret")
    return body


def process(papers, shelf, **options):
    """A process that follows the papers; others may share its shelf."""
    return ReloadableConfig(papers, parse, lambda: shelf, fallback=PARAMETERS, **options)


def detail(trouble):
    assert trouble is not None
    assert trouble.description == "configuration"
    return trouble.detail


def test_a_good_one_is_taken_and_remembered():
    shelf, papers = Shelf(), Papers(b"one")
    configured = process(papers, shelf)
    assert configured.refresh() is None
    assert (configured.value, shelf.document(GOOD)) == (b"one", b"v1")


def test_who_only_looks_remembers_nothing():
    shelf = Shelf()
    assert process(Papers(b"one"), shelf, remember=False).refresh() is None
    assert shelf.documents == {}


def test_a_new_good_one_replaces_it():
    papers = Papers(b"one")
    configured = process(papers, Shelf())
    configured.refresh()
    papers.bodies.append(b"two")
    assert configured.refresh() is None
    assert configured.value == b"two"


@pytest.mark.parametrize("newest", [b"bad", b"poison"], ids=["wrong", "more than our code can bear"])
def test_a_bad_text_is_told_at_once_and_until_there_is_another_while_the_last_good_one_goes_on(newest):
    papers = Papers(b"one")
    configured = process(papers, Shelf())
    configured.refresh()
    papers.bodies.append(newest)
    for is_down in (False, False, True, True, True, False):
        papers.is_down = is_down
        said = detail(configured.refresh())
        assert "fleet.yaml:3: bad" in said or "unexpected ValueError" in said
        assert configured.value == b"one"
    papers.bodies.append(b"three")
    assert configured.refresh() is None
    assert configured.value == b"three"


def test_a_mistake_in_our_own_code_is_told_and_logged_by_its_place_without_its_text(caplog):
    papers = Papers(b"one")
    configured = process(papers, Shelf())
    configured.refresh()
    papers.bodies.append(b"poison")
    with caplog.at_level(logging.ERROR):
        said = detail(configured.refresh())
    assert said.startswith("s3://bucket/config.json: unexpected ValueError at test_configured.py:")
    assert "test_configured.py" in caplog.text
    assert "secret" not in said + caplog.text


def test_an_origin_that_breaks_is_a_look_that_failed():
    papers = Papers(b"one")
    configured = process(papers, Shelf())
    configured.refresh()
    papers.read = lambda _: "".index("the text, which may hold a secret")
    assert [configured.refresh() for _ in range(2)] == [None, None]
    assert "unexpected ValueError" in detail(configured.refresh())


def test_a_place_that_cannot_be_read_is_told_after_three_looks_and_until_the_next_good_one():
    papers = Papers(b"one")
    configured = process(papers, Shelf())
    configured.refresh()
    papers.is_down = True
    assert [configured.refresh() for _ in range(2)] == [None, None]
    assert detail(configured.refresh()) == "cannot be read"
    papers.is_down = False
    assert configured.refresh() is None
    papers.is_down = True
    assert configured.refresh() is None


def test_two_processes_of_which_one_had_a_bad_moment_say_the_same():
    papers, shelf = Papers(b"one"), Shelf()
    first, second = process(papers, shelf), process(papers, shelf)
    for one in (first, second):
        one.refresh()
    papers.is_down = True
    first.refresh()
    papers.is_down = False
    assert [one.refresh() for one in (first, second, first, second)] == [None] * 4


def test_a_fresh_process_goes_back_to_the_last_good_version():
    shelf = Shelf()
    process(Papers(b"one"), shelf).refresh()
    fresh = process(Papers(b"one", b"bad"), shelf)
    for _ in range(2):
        assert "bad" in detail(fresh.refresh())
        assert fresh.value == b"one"
    assert shelf.document(GOOD) == b"v1"


def test_a_fresh_process_that_cannot_look_goes_on_with_the_last_good_version():
    shelf = Shelf()
    process(Papers(b"one"), shelf).refresh()
    papers = Papers(b"one", None)
    fresh = process(papers, shelf)
    assert [fresh.refresh() for _ in range(2)] == [None, None]
    assert detail(fresh.refresh()) == "cannot be read"
    assert fresh.value == b"one"


def test_a_process_that_slept_through_a_good_version_goes_on_with_that_one_when_the_next_is_bad():
    shelf, papers = Shelf(), Papers(b"one")
    sleeper, other = process(papers, shelf), process(papers, shelf)
    sleeper.refresh()
    papers.bodies.append(b"two")
    other.refresh()
    papers.bodies.append(b"bad")
    assert detail(sleeper.refresh()) == detail(other.refresh())
    assert sleeper.value == other.value == b"two"


def test_with_nothing_good_to_go_back_to_each_look_is_an_error_that_says_why():
    configured = process(Papers(b"bad"), Shelf())
    for _ in range(3):
        with pytest.raises(ConfigurationError, match=r"fleet\.yaml:3"):
            configured.refresh()


def test_what_could_not_be_remembered_is_remembered_with_the_next_look():
    shelf = Shelf()
    configured = process(Papers(b"one"), shelf)
    shelf.save_document = lambda *_: (_ for _ in ()).throw(StoreError("the state is away"))
    with pytest.raises(StoreError):
        configured.refresh()
    assert configured.value == b"one"
    del shelf.save_document
    assert configured.refresh() is None
    assert shelf.document(GOOD) == b"v1"


# --- the parameters, while nothing was uploaded


def test_while_there_is_no_document_the_parameters_apply():
    shelf = Shelf()
    configured = process(Papers(), shelf)
    assert [configured.refresh(), configured.refresh()] == [None, None]
    assert (configured.value, shelf.document(GOOD)) == (PARAMETERS.body, b"parameters")


def test_without_parameters_a_missing_document_is_an_error():
    with pytest.raises(ConfigurationError, match="no such object"):
        ReloadableConfig(Papers(), parse, Shelf).refresh()


def test_a_first_upload_that_is_bad_leaves_the_parameters_in_force_in_old_and_new_processes():
    shelf, papers = Shelf(), Papers()
    warm = process(papers, shelf)
    warm.refresh()
    papers.bodies.append(b"bad")
    for one in (warm, process(papers, shelf)):
        assert "bad" in detail(one.refresh())
        assert one.value == PARAMETERS.body
    assert shelf.document(GOOD) == b"parameters"


# --- a document that was deleted


def test_a_document_that_was_deleted_is_trouble_and_the_last_good_version_goes_on():
    shelf, papers = Shelf(), Papers(b"one")
    warm, slept = process(papers, shelf), process(papers, shelf)
    warm.refresh()
    papers.bodies.append(GONE)
    for one in (warm, process(papers, shelf), warm, slept):
        assert "there is no such object" in detail(one.refresh())
        assert "config push --remove" in detail(one.refresh())
        assert one.value == b"one"
    assert shelf.document(GOOD) == b"v1"
    papers.bodies.append(b"three")
    assert warm.refresh() is None
    assert warm.value == b"three"


def test_a_process_that_still_works_by_the_parameters_takes_the_last_good_version_of_a_deleted_document():
    shelf, papers = Shelf(), Papers()
    sleeper, other = process(papers, shelf), process(papers, shelf)
    sleeper.refresh()
    papers.bodies.append(b"one")
    other.refresh()
    papers.bodies.append(GONE)
    assert "no such object" in detail(sleeper.refresh())
    assert sleeper.value == b"one"


def test_a_process_that_took_the_last_good_version_of_a_deleted_document_leaves_it_when_the_removal_was_meant():
    shelf, papers = Shelf(), Papers()
    sleeper, other = process(papers, shelf), process(papers, shelf)
    sleeper.refresh()
    papers.bodies.append(b"one")
    other.refresh()
    papers.bodies.append(GONE)
    sleeper.refresh()
    record_removal(shelf)
    assert [one.refresh() for one in (sleeper, other)] == [None, None]
    assert sleeper.value == other.value == PARAMETERS.body
    assert shelf.document(GOOD) == b"parameters"


def test_a_bad_text_that_comes_back_after_its_deletion_is_told_again():
    papers = Papers(b"one", b"bad")
    configured = process(papers, Shelf(**{GOOD: b"v1"}))
    configured.refresh()
    papers.bodies.append(GONE)
    assert "no such object" in detail(configured.refresh())
    papers.bodies.pop()
    assert "fleet.yaml:3: bad" in detail(configured.refresh())


def test_where_the_removal_was_meant_the_parameters_apply():
    shelf, papers = Shelf(), Papers(b"one")
    warm = process(papers, shelf)
    warm.refresh()
    record_removal(shelf)
    assert warm.refresh() is None
    assert warm.value == b"one"
    papers.bodies.append(GONE)
    for one in (warm, process(papers, shelf)):
        assert one.refresh() is None
        assert one.value == PARAMETERS.body
    assert shelf.document(GOOD) == b"parameters"


def test_a_removal_that_was_meant_once_does_not_excuse_a_later_one():
    shelf, papers = Shelf(**{REMOVED: b"v1", GOOD: b"v1"}), Papers(b"one", GONE, b"three")
    configured = process(papers, shelf)
    configured.refresh()
    papers.bodies.append(GONE)
    assert "no such object" in detail(configured.refresh())
    assert configured.value == b"three"


def test_parameters_that_are_bad_do_not_replace_what_was_good():
    shelf, papers = Shelf(**{REMOVED: b"v1", GOOD: b"v1"}), Papers(b"one", GONE)
    configured = ReloadableConfig(papers, parse, lambda: shelf, fallback=Document(b"bad", "parameters"))
    assert "bad" in detail(configured.refresh())
    assert configured.value == b"one"
