"""The self-test event: what a function says that it can do, without doing anything."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import boto3
import moto
import pycurl
import pytest
from botocore.exceptions import ClientError

from tests.functions.conftest import NUMBERS
from tests.template.template import resources
from wabawatch import self_test
from wabawatch.errors import ConfigurationError

ASK = {"wabawatch": "self-test"}
TABLE = {
    name: value
    for name, value in resources("AWS::DynamoDB::Table")["WabawatchTable"].items()
    if name in {"BillingMode", "KeySchema", "AttributeDefinitions", "LocalSecondaryIndexes"}
}


def failed(found):
    return {one["name"]: one["error"] for one in [*found["tried"], *found["delivered"]] if "error" in one}


@pytest.fixture
def table(environment):
    """The state of a deployment, in DynamoDB."""
    with moto.mock_aws():
        client = boto3.client("dynamodb", "eu-central-1")
        client.create_table(TableName="state", **TABLE)
        environment["WABAWATCH_STATE"] = "dynamodb:state"
        yield client


@pytest.mark.parametrize(("name", "secrets"), [("poll", len(NUMBERS)), ("notify", 0)])
def test_a_function_says_its_libraries_and_what_it_can_do_and_reads_no_number(function, simulator, name, secrets):
    found = function(name)(ASK)
    assert failed(found) == {}
    assert (found["function"], found["architecture"]) == (name, platform.machine())
    assert found["versions"].keys() == {"wabawatch", "python", "msgspec", "pycurl", "certifi", "botocore"}
    assert found["versions"]["pycurl"] == pycurl.version
    assert (found["secrets"], found["secrets_in_all"]) == (secrets, secrets)
    assert "read the table" in {one["name"] for one in found["tried"]}
    assert simulator.requests()["total"] == 0


@pytest.mark.usefixtures("table")
def test_a_secret_that_cannot_be_read_is_named_and_stops_nothing(function, environment):
    config = Path(environment["WABAWATCH_CONFIG"])
    plain = json.loads(config.read_text())
    plain["targets"][1]["api_key"] = "secretsmanager:wabawatch/none"
    config.write_text(json.dumps(plain))
    found = function("poll")(ASK)
    assert list(failed(found)) == ["secretsmanager:wabawatch/none"]
    assert NUMBERS[0].key not in json.dumps(found)


def test_a_configuration_that_is_not_good_is_said(function, environment):
    config = Path(environment["WABAWATCH_CONFIG"])
    poll = function("poll")
    poll(ASK)
    config.write_text(config.read_text().replace('"targets"', '"tragets"'))
    assert "tragets" in failed(poll(ASK))["the configuration"]


def test_only_notify_delivers_a_test_and_only_when_asked(function):
    notify = function("notify")
    assert notify(ASK)["delivered"] == []
    assert notify.text == ""
    assert notify(ASK | {"deliver": True})["delivered"] == [{"name": "console"}]
    assert "TEST" in notify.text
    assert notify.module.serverless().application.store.incidents(10) == []


@pytest.mark.parametrize(
    ("name", "event"),
    [
        pytest.param("poll", ASK | {"deliver": True}, id="poll delivers nothing"),
        pytest.param("notify", ASK | {"deliver": "yes"}, id="of a wrong type"),
        pytest.param("notify", ASK | {"more": 1}, id="with something more"),
    ],
)
def test_a_self_test_is_refused(function, name, event):
    started = function(name)
    with pytest.raises(ConfigurationError, match="not an event of this function"):
        started(event)
    assert len(started.errors()) == 1


def test_a_table_that_may_be_written_is_not_written(function, table):
    found = function("poll")(ASK)
    assert "write the table" in {one["name"] for one in found["tried"]}
    assert failed(found) == {}
    assert all(item["pk"]["S"] == "DOCUMENT" for item in table.scan(TableName="state")["Items"])


@pytest.mark.usefixtures("table")
def test_a_right_that_the_role_lacks_is_named_by_the_service_s_code(function, monkeypatch):
    make = self_test.aws_client

    def refusing(service):
        client = make(service)

        def refuse(**_):
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "arn of somebody"}}, "DeleteItem")

        client.delete_item = refuse
        return client

    monkeypatch.setattr(self_test, "aws_client", refusing)
    assert failed(function("poll")(ASK)) == {"write the table": "AccessDeniedException"}
