"""Rights that the end-to-end run does not see used, each with its reason: by role or policy, statement and action."""

_ESM = "Lambda's event source mapping does it"
_LOG = "Lambda writes the function's log"
_LIST = "no call: without it S3 answers 403, and not 404, for a configuration that was never uploaded"
_FAILED = "Lambda keeps an event that the function failed on"

UNRECORDED = {
    ("SchedulerRole", "Start", "lambda:InvokeFunction"): "EventBridge Scheduler starts the functions",
    ("SchedulerRole", "KeepWhatCouldNotBeHandedOver", "sqs:SendMessage"): "EventBridge Scheduler's dead letters",
    ("PollRole", "Log", "logs:CreateLogStream"): _LOG,
    ("PollRole", "Log", "logs:PutLogEvents"): _LOG,
    ("NotifyRole", "Log", "logs:CreateLogStream"): _LOG,
    ("NotifyRole", "Log", "logs:PutLogEvents"): _LOG,
    ("PollRole", "State", "dynamodb:UpdateItem"): "marks a snapshot that cannot be decoded",
    ("PollRole", "State", "dynamodb:DeleteItem"): "removes what was stored for shards that are gone",
    ("PollRole", "Shards", "sqs:SendMessage"): "only a fleet of more than 2,000 numbers is cut into shards",
    ("PollRole", "TellMissingFromForbidden", "s3:ListBucket"): _LIST,
    ("NotifyRole", "TellMissingFromForbidden", "s3:ListBucket"): _LIST,
    ("OnCallPolicy", "TellMissingFromForbidden", "s3:ListBucket"): _LIST,
    ("PollRole", "Shards", "sqs:ReceiveMessage"): _ESM,
    ("PollRole", "Shards", "sqs:DeleteMessage"): _ESM,
    ("PollRole", "Shards", "sqs:GetQueueAttributes"): _ESM,
    ("PollRole", "KeepFailedEvents", "sqs:SendMessage"): _FAILED,
    ("NotifyRole", "KeepFailedEvents", "sqs:SendMessage"): _FAILED,
    ("NotifyRole", "Doorbell", "dynamodb:DescribeStream"): _ESM,
    ("NotifyRole", "Doorbell", "dynamodb:GetRecords"): _ESM,
    ("NotifyRole", "Doorbell", "dynamodb:GetShardIterator"): _ESM,
    ("NotifyRole", "Doorbell", "dynamodb:ListStreams"): _ESM,
    ("NotifyRole", "Subscribers", "sns:GetTopicAttributes"): "asked for the first time an hour after the first round",
    ("OnCallPolicy", "LookAtDeadLetters", "sqs:ReceiveMessage"): "asked only where a queue holds something",
    ("OperatorPolicy", "PurgeDeadLetters", "sqs:PurgeQueue"): "`doctor --purge` has tests of its own",
}
