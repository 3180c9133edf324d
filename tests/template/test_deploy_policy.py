import json

import pytest

from tests.template import deploy_policy
from tests.template.iam import matches
from tests.template.template import as_list


def test_the_documented_policy_is_the_one_that_the_templates_resource_types_ask_for():
    """If this fails: `.venv/bin/python -m tests.template.deploy_policy` writes the file again; read what changed."""
    assert deploy_policy.PATH.read_text() == deploy_policy.written()


@pytest.mark.parametrize("kind", sorted(deploy_policy.types()))
def test_each_resource_can_be_made_changed_and_deleted(kind):
    allowed = [action for one in deploy_policy.document()["Statement"] for action in as_list(one["Action"])]
    needed = deploy_policy.actions(kind)
    assert needed
    assert [action for action in needed if not any(matches(pattern, action) for pattern in allowed)] == []


def test_it_fits_into_a_managed_policy():
    assert len(json.dumps(deploy_policy.document(), separators=(",", ":"))) <= 6144


def test_roles_are_handed_to_the_two_services_only():
    (statement,) = [one for one in deploy_policy.document()["Statement"] if "iam:PassRole" in one["Action"]]
    assert statement["Condition"]["StringEquals"]["iam:PassedToService"] == [
        "lambda.amazonaws.com",
        "scheduler.amazonaws.com",
    ]
