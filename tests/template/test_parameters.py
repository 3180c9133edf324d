import re
import tomllib

import pytest

from tests.template.template import ROOT, template
from wabawatch.adapters.cloudformation import Stack

PARAMETERS = template()["Parameters"]


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_says_what_it_is_for(name):
    assert len(PARAMETERS[name]["Description"]) > 20


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_has_a_default_so_that_none_must_be_known(name):
    assert "Default" in PARAMETERS[name]


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_refuses_nonsense(name):
    parameter = PARAMETERS[name]
    if parameter["Type"] == "Number":
        assert "AllowedValues" in parameter or {"MinValue", "MaxValue"} <= parameter.keys()
    else:
        assert "AllowedPattern" in parameter


@pytest.mark.parametrize("name", [name for name in PARAMETERS if "AllowedPattern" in PARAMETERS[name]])
def test_every_default_passes_its_own_pattern(name):
    assert re.search(PARAMETERS[name]["AllowedPattern"], PARAMETERS[name]["Default"])


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        pytest.param("ApiKeySecret", "wabawatch/key", True, id="a name is taken"),
        pytest.param("ApiKeySecret", "wabawatch/keys#support-de", True, id="one key of a JSON secret is taken"),
        pytest.param("ApiKeySecret", "arn:aws:secretsmanager:eu-central-1:1:secret:x", False, id="an ARN is refused"),
        pytest.param("ApiKeySecret", "two words", False, id="a space is refused"),
        pytest.param("SlackWebhookSecret", "https://hooks.slack.com/services/T/B/x", False, id="a URL is refused"),
        pytest.param("HeartbeatSecret", "wabawatch/heartbeat", True, id="a heartbeat's name is taken"),
        pytest.param("HeartbeatSecret", "https://hc-ping.com/uuid", False, id="a heartbeat's URL is refused"),
        pytest.param("MonitorTopicArn", "arn:aws:sns:eu-central-1:123456789012:pager", True, id="a topic is taken"),
        pytest.param(
            "MonitorTopicArn", "arn:aws:sns:eu-central-1:123456789012:p.fifo", False, id="a FIFO topic is refused"
        ),
        pytest.param("AlertEmail", "ops@example.com", True, id="an address is taken"),
        pytest.param("AlertEmail", "ops@example", False, id="an address without a domain is refused"),
        pytest.param("AlertEmail", "a@b.c,d@e.f", False, id="two addresses are refused"),
        pytest.param("BaseUrl", "https://waba-sandbox.360dialog.io", True, id="the sandbox is taken"),
        pytest.param("BaseUrl", "http://127.0.0.1:8360", True, id="a simulator on loopback is taken"),
        pytest.param("BaseUrl", "http://waba-v2.360dialog.io", False, id="plain HTTP is refused"),
        pytest.param(
            "BaseUrl", "http://127.0.0.1.example.com", False, id="a host that only begins like loopback is refused"
        ),
        pytest.param("BaseUrl", "https://user:pass@example.com", False, id="credentials in the URL are refused"),
        pytest.param("ApiHosts", "waba-v2.360dialog.io,gateway.example", True, id="two hosts are taken"),
        pytest.param("ApiHosts", "https://waba-v2.360dialog.io", False, id="a URL is no host"),
        pytest.param("SecretPrefix", "/wabawatch/", False, id="a leading slash is refused"),
        pytest.param("SecretPrefix", "*", False, id="everything is refused"),
        pytest.param("SecretPrefix", "", False, id="an empty prefix, which is everything too, is refused"),
        pytest.param("WarmWriteUnits", "24000", True, id="more than a new table takes anyway is taken"),
        pytest.param("WarmWriteUnits", "40000", True, id="as much as an account may ask for is taken"),
        pytest.param("WarmWriteUnits", "4000", False, id="what a new table takes anyway is refused"),
        pytest.param("WarmWriteUnits", "40001", False, id="more than an account may ask for is refused"),
    ],
)
def test_what_a_parameter_accepts(name, value, accepted):
    pattern = PARAMETERS[name]["AllowedPattern"]
    assert bool(re.search(pattern, value)) is accepted


def test_somebody_must_hear_of_the_monitors_own_trouble():
    (rule,) = template()["Rules"].values()
    (assertion,) = rule["Assertions"]
    given = [one["Fn::Not"][0]["Fn::Equals"] for one in assertion["Assert"]["Fn::Or"]]
    assert given == [[{"Ref": name}, ""] for name in ("AlertEmail", "MonitorEmail", "MonitorTopicArn")]
    assert "make deploy EMAIL=" in assertion["AssertDescription"]


def test_what_follows_from_the_interval_is_written_out_for_each():
    seconds = {"minute": 60, "minutes": 60, "hour": 3600, "hours": 3600}
    mapping = template()["Mappings"]["Poll"]
    assert list(mapping) == PARAMETERS["PollEvery"]["AllowedValues"]
    for name, row in mapping.items():
        count, unit = re.fullmatch(r"rate\((\d+) (\w+)\)", row["Rate"]).groups()
        assert (count == "1") is not unit.endswith("s"), "EventBridge wants the singular for one"
        assert int(count) * seconds[unit] == row["Seconds"]
        assert name == f"{count}{unit[0]}"


def test_shards_are_read_as_many_side_by_side_as_the_parameter_says_and_by_default_half_of_a_new_account():
    events = template()["Resources"]["PollFunction"]["Properties"]["Events"]
    assert events["Shards"]["Properties"]["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "PollConcurrency"}}
    parameter = PARAMETERS["PollConcurrency"]
    assert (parameter["MinValue"], parameter["MaxValue"], parameter["Default"]) == (2, 100, 5)
    assert Stack("", "", {}, {}).poll_concurrency == parameter["Default"]


def test_the_console_shows_every_parameter_in_a_group():
    groups = template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(PARAMETERS)


def test_samconfig_has_an_everyday_and_a_production_environment_and_knows_the_parameters():
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    assert (
        config["default"]["global"]["parameters"]["stack_name"] != config["prod"]["global"]["parameters"]["stack_name"]
    )
    for environment in ("default", "prod"):
        deploy = config[environment]["deploy"]["parameters"]
        assert deploy["capabilities"] == "CAPABILITY_IAM"
        assert {one.partition("=")[0] for one in deploy.get("parameter_overrides", [])} <= PARAMETERS.keys()
