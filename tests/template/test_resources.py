import json

import pytest

from tests.template.template import ROOT, TEXT, resources, template

RESOURCES = template()["Resources"]
FUNCTIONS = resources("AWS::Serverless::Function")
QUEUES = resources("AWS::SQS::Queue")
SCHEDULES = resources("AWS::Scheduler::Schedule")
TABLE = RESOURCES["WabawatchTable"]
BUCKET = RESOURCES["ConfigBucket"]
DEAD_LETTERS = {"ShardDeadLetterQueue", "ScheduleDeadLetterQueue", "FailedEventQueue"}


@pytest.mark.parametrize("name", ["WabawatchTable", "ConfigBucket"])
def test_what_cannot_be_made_again_outlives_the_stack_but_not_a_creation_that_failed(name):
    assert RESOURCES[name]["DeletionPolicy"] == "RetainExceptOnCreate"
    assert RESOURCES[name]["UpdateReplacePolicy"] == "Retain"


def test_cloudformation_can_delete_the_table_when_a_creation_fails():
    """Its deletion protection is turned on by `make deploy`, afterwards."""
    assert "DeletionProtectionEnabled" not in TABLE["Properties"]


def test_nothing_else_is_left_behind_when_the_stack_is_deleted():
    """Not even the bucket's policy: CloudFormation refuses to make one for a bucket that has one already."""
    retained = {name for name, one in RESOURCES.items() if "DeletionPolicy" in one}
    assert retained == {"WabawatchTable", "ConfigBucket"}
    assert RESOURCES["CoreLayer"]["Properties"]["RetentionPolicy"] == "Delete"


def test_the_table_can_be_restored_forgets_history_rings_and_is_encrypted_by_a_key_that_costs_nothing():
    table = TABLE["Properties"]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert "SSESpecification" not in table, "DynamoDB always encrypts; a KMS key would be billed by use"
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert table["StreamSpecification"] == {"StreamViewType": "NEW_IMAGE"}


def test_a_table_for_a_large_fleet_is_warm_from_the_start_and_others_cost_nothing_more():
    warm = TABLE["Properties"]["WarmThroughput"]["Fn::If"]
    assert warm == ["IsWarm", {"WriteUnitsPerSecond": {"Ref": "WarmWriteUnits"}}, {"Ref": "AWS::NoValue"}]
    assert template()["Conditions"]["IsWarm"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "WarmWriteUnits"}, ""]}]}


def test_what_is_pending_and_due_can_be_read_consistently():
    indexes = TABLE["Properties"]["LocalSecondaryIndexes"]
    assert [[one["IndexName"], *(key["AttributeName"] for key in one["KeySchema"])] for one in indexes] == [
        ["due", "pk", "due"],
        ["when", "pk", "when"],
    ]
    assert "GlobalSecondaryIndexes" not in TABLE["Properties"]


def test_the_bucket_is_versioned_private_and_encrypted():
    bucket = BUCKET["Properties"]
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert "BucketEncryption" in bucket


@pytest.mark.parametrize("name", ["ConfigBucketPolicy", "QueuePolicy", "AlertsTopicPolicy", "MonitorTopicPolicy"])
def test_plain_http_is_refused(name):
    statements = RESOURCES[name]["Properties"]["PolicyDocument"]["Statement"]
    (refusal,) = [one for one in statements if one["Effect"] == "Deny"]
    assert refusal["Principal"] == "*"
    assert refusal["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_every_topic_has_a_policy():
    policies = resources("AWS::SNS::TopicPolicy").values()
    assert {one["Ref"] for policy in policies for one in policy["Topics"]} == set(resources("AWS::SNS::Topic"))


def test_every_queue_is_under_the_queue_policy_and_encrypted():
    (policy,) = resources("AWS::SQS::QueuePolicy").values()
    assert {one["Ref"] for one in policy["Queues"]} == set(QUEUES)
    assert all(queue["SqsManagedSseEnabled"] for queue in QUEUES.values())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_writes_to_a_log_group_of_the_stack_that_forgets(name):
    group = FUNCTIONS[name]["LoggingConfig"]["LogGroup"]["Ref"]
    assert RESOURCES[group]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    assert RESOURCES[group]["Properties"]["LogGroupName"]["Fn::Sub"] == (
        "/aws/lambda/" + FUNCTIONS[name]["FunctionName"]["Fn::Sub"]
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_function_reserves_concurrency_that_a_new_account_does_not_have(name):
    assert "ReservedConcurrentExecutions" not in FUNCTIONS[name]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_event_that_a_function_fails_on_is_kept(name):
    destination = FUNCTIONS[name]["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]
    assert destination["Destination"] == {"Fn::GetAtt": "FailedEventQueue.Arn"}


def test_the_functions_get_their_whole_environment():
    common = template()["Globals"]["Function"]["Environment"]["Variables"]
    assert set(common) == {
        "WABAWATCH_STATE",
        "WABAWATCH_CONFIG",
        "WABAWATCH_SHARD_QUEUE_URL",
        "WABAWATCH_ALERTS_TOPIC_ARN",
        "WABAWATCH_API_KEY_SECRET",
        "WABAWATCH_SLACK_WEBHOOK_SECRET",
        "WABAWATCH_HEARTBEAT_SECRET",
        "WABAWATCH_HISTORY_DAYS",
        "WABAWATCH_POLL_INTERVAL",
        "WABAWATCH_DEPLOYMENT",
        "WABAWATCH_BASE_URL",
        "WABAWATCH_API_HOSTS",
        "POWERTOOLS_METRICS_NAMESPACE",
        "POWERTOOLS_LOG_LEVEL",
    }
    assert common["POWERTOOLS_METRICS_NAMESPACE"] == "Wabawatch"
    names = {name: one["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] for name, one in FUNCTIONS.items()}
    assert names == {"PollFunction": "poll", "NotifyFunction": "notify"}


def test_a_shard_that_fails_goes_back_alone_and_ends_in_its_own_queue():
    shards = FUNCTIONS["PollFunction"]["Events"]["Shards"]["Properties"]
    assert shards["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert QUEUES["ShardQueue"]["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": "ShardDeadLetterQueue.Arn"}


def test_a_shard_is_not_handed_out_twice_while_it_is_worked_on():
    assert QUEUES["ShardQueue"]["VisibilityTimeout"] > FUNCTIONS["PollFunction"]["Timeout"]


def test_only_new_transitions_that_wait_to_be_folded_ring_the_doorbell():
    doorbell = FUNCTIONS["NotifyFunction"]["Events"]["Doorbell"]["Properties"]
    (filter_,) = doorbell["FilterCriteria"]["Filters"]
    assert json.loads(filter_["Pattern"]) == {
        "eventName": ["INSERT"],
        "dynamodb": {"Keys": {"pk": {"S": [{"prefix": "PENDING#"}]}}},
    }
    assert doorbell["MaximumBatchingWindowInSeconds"] == 10
    assert doorbell["BisectBatchOnFunctionError"] is False
    assert (
        doorbell["MaximumRetryAttempts"]
        == 0
        == FUNCTIONS["NotifyFunction"]["EventInvokeConfig"]["MaximumRetryAttempts"]
    )
    assert doorbell["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": "FailedEventQueue.Arn"}


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_is_punctual_retries_and_keeps_what_it_could_not_hand_over(name):
    schedule = SCHEDULES[name]
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert schedule["Target"]["RetryPolicy"]["MaximumRetryAttempts"] >= 1
    assert schedule["Target"]["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": "ScheduleDeadLetterQueue.Arn"}}


@pytest.mark.parametrize(
    ("name", "function", "kind"),
    [
        pytest.param("PollSchedule", "PollFunction", "poll", id="the poll schedule says poll"),
        pytest.param("NotifySchedule", "NotifyFunction", "notify", id="the notify schedule says notify"),
    ],
)
def test_what_a_schedule_says_and_to_whom(name, function, kind):
    target = SCHEDULES[name]["Target"]
    assert target["Arn"] == {"Fn::GetAtt": f"{function}.Arn"}
    assert json.loads(target["Input"]) == {"wabawatch": kind, "scheduled_at": "<aws.scheduler.scheduled-time>"}


def test_one_line_says_which_python_the_functions_and_the_layer_are_for():
    runtime = template()["Globals"]["Function"]["Runtime"]
    layer = RESOURCES["CoreLayer"]
    assert (layer["Metadata"]["BuildMethod"], layer["Properties"]["CompatibleRuntimes"]) == (runtime, [runtime])
    assert TEXT.count("python3.") == 1
    assert f"PYTHON{runtime.removeprefix('python').replace('.', '')} ?=" in (ROOT / "aws.mk").read_text()


@pytest.mark.parametrize(
    ("partition", "host"),
    [
        pytest.param("aws", "${AWS::Region}.console.aws.amazon.com", id="commercial regions"),
        pytest.param("aws-us-gov", "console.amazonaws-us-gov.com", id="GovCloud"),
        pytest.param("aws-cn", "console.amazonaws.cn", id="China"),
        pytest.param("aws-eusc", "${AWS::Region}.console.aws.amazon.com", id="one that the template does not know"),
    ],
)
def test_the_dashboard_is_at_the_console_of_the_partition(partition, host):
    url, given = template()["Outputs"]["DashboardUrl"]["Value"]["Fn::Sub"]
    assert url.startswith("https://${Console}/cloudwatch/home?region=${AWS::Region}#dashboards/dashboard/")
    console = given["Console"]
    while "Fn::If" in console:
        condition, yes, no = console["Fn::If"]
        assert template()["Conditions"][condition]["Fn::Equals"][0] == {"Ref": "AWS::Partition"}
        console = yes if template()["Conditions"][condition]["Fn::Equals"][1] == partition else no
    assert (console["Fn::Sub"] if isinstance(console, dict) else console) == host


def test_a_person_is_told_what_to_look_at_next():
    outputs = template()["Outputs"]
    assert set(outputs) == {
        "TableName",
        "ConfigBucket",
        "ConfigLocation",
        "AlertsTopicArn",
        "MonitorTopicArn",
        "AlarmTopicArns",
        "PollFunctionName",
        "NotifyFunctionName",
        "ScheduleName",
        "OnCallPolicyArn",
        "OperatorPolicyArn",
        "DashboardUrl",
        "Region",
    }
    assert all(one["Description"] for one in outputs.values())
