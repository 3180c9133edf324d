"""Who can fix it, and how: for troubles of the monitor itself, nobody is sent to Meta."""

import pytest

from wabawatch.domain.health import CAUSES, Reason
from wabawatch.domain.notification import Advice
from wabawatch.messages.runbook import OUR_CAUSES, advice, advise, meaning


def test_a_configuration_that_is_wrong_is_for_whoever_deploys():
    said = advise(Reason(description="configuration", detail="fleet.yaml:3: routs: unknown field; write routes"))
    assert said.who == "the monitor's operator"
    assert "`wabawatch config check`" in said.action
    assert said.link == ""


@pytest.mark.parametrize("cause", [*OUR_CAUSES, *CAUSES])
def test_each_cause_has_a_meaning_and_advice_of_its_own(cause):
    reason = Reason(description=cause)
    assert meaning(reason)
    assert advise(reason).action
    assert "Meta" not in advise(reason).action
    assert advise(reason) != advise(Reason(description="Some text of Meta's."))


def test_a_text_without_a_code_is_metas():
    assert "it comes from Meta" in advise(Reason(description="Some text of Meta's.")).action


def test_our_own_words_replace_those_of_the_catalogue_one_by_one():
    own = {"configuration": Advice("the platform team")}
    assert advice(None, "configuration", own) == Advice("the platform team", advice(None, "configuration").action)
