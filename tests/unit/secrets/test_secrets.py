"""References are resolved in few calls, kept for a while, and never shown."""

import json
import logging
import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from wabawatch.adapters.notifiers.registry import NotifyContext
from wabawatch.adapters.secrets import Secrets, parse_reference
from wabawatch.adapters.secrets import backend as backends
from wabawatch.adapters.secrets.backend import UnansweredError
from wabawatch.errors import (
    ConfigurationError,
    DeliveryError,
    DeliveryErrorKind,
    NotFetchedError,
    SecretError,
)

UNREACHABLE = EndpointConnectionError(endpoint_url="https://aws.invalid")


def refusal(code, status=400, operation="Read"):
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, operation)


def trouble_of(secrets, reference):
    with pytest.raises(SecretError) as raised:
        secrets.key(reference)
    return str(raised.value)


# --- references


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("d360-hidden", id="a-literal-key"),
        pytest.param("https://hooks.example/T0/B0/hidden", id="a-literal-url"),
        pytest.param("vault:hidden", id="a-scheme-nobody-knows"),
        pytest.param("ENV:hidden", id="a-scheme-in-capitals"),
        pytest.param("", id="nothing"),
        pytest.param("env:", id="a-scheme-alone"),
        pytest.param("ssm: ", id="a-scheme-and-space"),
        pytest.param("file:hidden\0b", id="a-path-that-is-none"),
    ],
)
def test_what_is_no_reference_is_refused_without_being_repeated(secrets, text):
    trouble = trouble_of(secrets, text)
    assert "write env:NAME, file:PATH, ssm:NAME" in trouble
    assert "hidden" not in trouble


@pytest.mark.parametrize("text", ["secretsmanager:name#", "secretsmanager:#key"])
def test_a_reference_that_is_not_whole_is_refused(secrets, text):
    assert "secretsmanager:NAME#KEY" in trouble_of(secrets, text)


@pytest.mark.parametrize(
    "text",
    ["env:K", "file:/run/secrets/a b", "ssm:/a/b:3", "secretsmanager:a/b", "secretsmanager:arn:aws:x:y:1:secret:a#k.1"],
)
def test_a_reference_prints_as_it_is_written(text):
    assert str(parse_reference(text)) == text


# --- the machine's own


def test_a_variable_is_resolved_without_white_space_around(secrets):
    assert secrets.key("env:K") == "from-env"


@pytest.mark.parametrize(
    ("reference", "advice"),
    [
        pytest.param("env:NONE", "no such variable", id="a-variable-that-is-not-set"),
        pytest.param("env:EMPTY", "is empty", id="a-variable-that-is-empty"),
        pytest.param("file:{folder}/none", "No such file", id="a-file-that-is-not-there"),
        pytest.param("file:{folder}", "Is a directory", id="a-folder"),
        pytest.param("file:{folder}/blank", "is empty", id="a-blank-file"),
        pytest.param("file:{folder}/binary", "is no text", id="a-binary-file"),
        pytest.param("file:{folder}/large", "too large", id="a-large-file"),
    ],
)
def test_a_missing_value_names_its_reference_and_what_to_do(secrets, tmp_path, reference, advice):
    (tmp_path / "blank").write_text(" \n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "large").write_text("x" * 100_000)
    reference = reference.format(folder=tmp_path)
    trouble = trouble_of(secrets, reference)
    assert trouble.startswith(f"{reference}: ")
    assert advice in trouble


def test_a_file_is_resolved_and_seen_to_change(secrets, clock, tmp_path):
    path = tmp_path / "key"
    path.write_text("one\n")
    assert secrets.key(f"file:{path}") == "one"
    path.write_text("two\n")
    assert secrets.key(f"file:{path}") == "one"
    clock.passes(minutes=5)
    assert secrets.key(f"file:{path}") == "two"


def test_secrets_of_the_machine_need_no_aws():
    program = (
        "import sys; from datetime import datetime; from wabawatch.adapters.secrets import Secrets\n"
        "print(Secrets({'K': 'v'}, None, datetime).key('env:K'), 'boto3' in sys.modules, 'botocore' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["v", "False", "False"]


def test_a_variable_that_holds_aws_credentials_is_not_resolved(clock):
    secrets = Secrets({"AWS_SECRET_ACCESS_KEY": "unseen"}, None, clock)
    assert "never sent" in trouble_of(secrets, "env:AWS_SECRET_ACCESS_KEY")


def test_variables_and_files_are_not_resolved_where_they_are_not_the_configurations(clock, tmp_path):
    (tmp_path / "key").write_text("unseen")
    secrets = Secrets({"K": "unseen"}, None, clock, local=False)
    for reference in ("env:K", f"file:{tmp_path / 'key'}"):
        assert "not read for a configuration in S3" in trouble_of(secrets, reference)


# --- Secrets Manager


def test_a_secret_is_resolved_by_name_and_by_arn(aws, secrets):
    arn = aws.secret("plain", " value\n")
    assert secrets.key("secretsmanager:plain") == "value"
    assert secrets.key(f"secretsmanager:{arn}") == "value"


def test_many_keys_of_one_secret_cost_one_call_and_no_batch(aws, secrets):
    aws.secret("keys", json.dumps({f"n{number}": f"value-{number}" for number in range(1000)}))
    references = [f"secretsmanager:keys#n{number}" for number in range(1000)]
    secrets.prefetch(references)
    assert [secrets.key(reference) for reference in references] == [f"value-{number}" for number in range(1000)]
    assert aws.calls == ["get_secret_value"]


def test_many_secrets_cost_one_call_for_twenty(aws, secrets):
    arns = [aws.secret(f"s{number}", f"value-{number}") for number in range(45)]
    references = [f"secretsmanager:s{number}" for number in range(44)] + [f"secretsmanager:{arns[44]}"]
    secrets.prefetch(references)
    assert [secrets.key(reference) for reference in references] == [f"value-{number}" for number in range(45)]
    assert aws.calls == ["batch_get_secret_value"] * 3


class Paging:
    """A client whose answers hold a few secrets each, and say whether there are more; an `endless` one always does."""

    def __init__(self, size, *, endless=False):
        self.size, self.endless = size, endless
        self.calls = []

    def batch_get_secret_value(self, *, SecretIdList, NextToken="0"):  # noqa: N803 - AWS's own names
        self.calls.append(NextToken)
        begin = int(NextToken)
        names = SecretIdList[begin : begin + self.size]
        found = [{"Name": name, "ARN": f"arn:x:{name}-abcdef", "SecretString": f"value of {name}"} for name in names]
        more = self.endless or begin + self.size < len(SecretIdList)
        return {"SecretValues": found, **({"NextToken": str(begin + self.size)} if more else {})}


@pytest.mark.parametrize("size", [1, 3, 10])
def test_secrets_on_all_pages_of_an_answer_are_read(clock, size):
    client = Paging(size)
    secrets = Secrets({}, lambda _: client, clock)
    references = [f"secretsmanager:s{number}" for number in range(10)]
    secrets.prefetch(references)
    assert [secrets.key(one) for one in references] == [f"value of s{number}" for number in range(10)]
    assert len(client.calls) == -(-10 // size)


def test_pages_without_end_are_not_followed_for_ever(clock):
    client = Paging(4, endless=True)
    secrets = Secrets({}, lambda _: client, clock)
    secrets.prefetch(["secretsmanager:a", "secretsmanager:b"])
    assert secrets.key("secretsmanager:b") == "value of b"
    assert len(client.calls) == 2


class Parameters:
    """SSM with one parameter for each number; calls of these turns are throttled."""

    def __init__(self, throttles=()):
        self.calls = []
        self.throttles = set(throttles)
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.meanwhile = lambda _: None

    def get_parameters(self, *, Names, WithDecryption):  # noqa: N803 - the service's own
        with self.lock:
            self.calls.append(Names)
            turn = len(self.calls)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.meanwhile(turn)
        with self.lock:
            self.at_once -= 1
        if turn in self.throttles:
            raise refusal("ThrottlingException")
        return {"Parameters": [{"Name": name, "ARN": "", "Value": f"{name} {WithDecryption}"} for name in Names]}


REFERENCES = [f"ssm:p{number}" for number in range(200)]


def not_fetched(secrets, references):
    """Those of which nothing is known because the time was over."""
    found = []
    for reference in references:
        try:
            secrets.held_key(reference)
        except NotFetchedError:
            found.append(reference)
    return found


def test_parameters_are_read_in_packs_a_few_calls_side_by_side(clock):
    client = Parameters()
    barrier = threading.Barrier(4)
    client.meanwhile = lambda turn: barrier.wait(10) if 1 < turn <= 17 else None
    secrets = Secrets({}, lambda _: client, clock)
    secrets.prefetch(REFERENCES)
    assert [len(names) for names in client.calls] == [10] * 20
    assert client.most_at_once == 4
    assert secrets.held_key("ssm:p199") == "p199 True"


def test_a_throttled_pack_is_asked_for_again(clock, monkeypatch):
    pauses = []
    monkeypatch.setattr(backends.time, "sleep", pauses.append)
    secrets = Secrets({}, lambda _: Parameters(throttles=[1, 2, 7]), clock)
    secrets.prefetch(REFERENCES)
    assert not_fetched(secrets, REFERENCES) == []
    assert sorted(pauses) == [0.5, 0.5, 1.0]


def test_throttling_without_end_is_given_up(clock, monkeypatch):
    monkeypatch.setattr(backends.time, "sleep", lambda _: None)
    client = Parameters(throttles=range(1000))
    secrets = Secrets({}, lambda _: client, clock)
    secrets.prefetch(REFERENCES)
    assert len(client.calls) == 9
    with pytest.raises(UnansweredError, match="ThrottlingException"):
        secrets.held_key("ssm:p199")


def test_what_was_not_fetched_in_time_is_told_as_that_and_read_by_the_next_pass(clock):
    client = Parameters()
    secrets = Secrets({}, lambda _: client, clock)
    secrets.prefetch(REFERENCES, lambda: len(client.calls) >= 8)
    late = not_fetched(secrets, REFERENCES)
    assert 0 < len(late) <= 120
    assert "ssm:p199: not read in time" in trouble_of(secrets, "ssm:p199")
    clock.passes(minutes=1)
    client.calls.clear()
    secrets.prefetch(REFERENCES)
    assert sorted(name for names in client.calls for name in names) == sorted(one.removeprefix("ssm:") for one in late)
    assert not_fetched(secrets, REFERENCES) == []


def test_a_known_key_that_is_not_read_again_in_time_stays_in_use_and_unknown_ones_go_first(clock):
    client = Parameters()
    secrets = Secrets({}, lambda _: client, clock)
    secrets.prefetch(REFERENCES[:100])
    clock.passes(minutes=6)
    client.calls.clear()
    secrets.prefetch(REFERENCES, lambda: len(client.calls) >= 10)
    assert {name for names in client.calls for name in names} >= {f"p{number}" for number in range(100, 200)}
    assert not_fetched(secrets, REFERENCES) == []


def test_a_held_key_is_never_read(aws, secrets, clock):
    aws.secret("s", "one")
    with pytest.raises(NotFetchedError, match="secretsmanager:s: it has not been read"):
        secrets.held_key("secretsmanager:s")
    secrets.prefetch(["secretsmanager:s"])
    clock.passes(hours=1)
    assert secrets.held_key("secretsmanager:s") == "one"
    assert aws.calls == ["get_secret_value"]


def test_one_missing_secret_does_not_hide_the_others(aws, secrets):
    aws.secret("there", "value")
    secrets.prefetch(["secretsmanager:there", "secretsmanager:gone"])
    assert secrets.key("secretsmanager:there") == "value"
    trouble = trouble_of(secrets, "secretsmanager:gone")
    assert "secretsmanager:gone: there is none of this name" in trouble
    assert "region" in trouble


def test_a_role_that_may_not_batch_reads_one_by_one(aws, secrets):
    aws.refused["batch_get_secret_value"] = refusal("AccessDeniedException")
    for name in "abc":
        aws.secret(name, f"value-{name}")
    secrets.prefetch([f"secretsmanager:{name}" for name in "abc"])
    assert [secrets.key(f"secretsmanager:{name}") for name in "abc"] == ["value-a", "value-b", "value-c"]
    assert aws.calls == ["batch_get_secret_value", *["get_secret_value"] * 3]


@pytest.mark.parametrize(
    ("reference", "text", "advice"),
    [
        pytest.param("secretsmanager:s#k", "plain", "does not hold a JSON object", id="no-json"),
        pytest.param("secretsmanager:s#k", "[1]", "does not hold a JSON object", id="a-json-list"),
        pytest.param("secretsmanager:s#k", '{"other": "hidden"}', "'k' is not there", id="no-such-key"),
        pytest.param("secretsmanager:s#k", '{"k": {"hidden": 1}}', "'k' is not text", id="a-key-that-holds-no-text"),
        pytest.param("secretsmanager:s#k", '{"k": null}', "'k' is not text", id="a-key-that-holds-null"),
        pytest.param("secretsmanager:s#k", '{"k": " "}', "is empty", id="a-key-that-holds-nothing"),
        pytest.param(
            "secretsmanager:s", '{"k": "hidden"}', "secretsmanager:s#json-key", id="json-without-saying-which"
        ),
        pytest.param("secretsmanager:s", " ", "is empty", id="nothing"),
    ],
)
def test_a_secret_of_another_form_is_told_without_its_content(aws, secrets, reference, text, advice):
    aws.secret("s", text)
    trouble = trouble_of(secrets, reference)
    assert trouble.startswith(f"{reference}: ")
    assert advice in trouble
    assert "hidden" not in trouble
    assert "plain" not in trouble


def test_a_binary_secret_is_text_or_refused(aws, secrets):
    aws.secrets.create_secret(Name="text", SecretBinary=b"value")
    aws.secrets.create_secret(Name="bytes", SecretBinary=b"\xff\xfe")
    assert secrets.key("secretsmanager:text") == "value"
    assert "is binary" in trouble_of(secrets, "secretsmanager:bytes")


# --- Parameter Store


def test_parameters_are_decrypted_ten_at_a_time(aws, secrets):
    for number in range(25):
        aws.parameter(f"/keys/{number}", f"value-{number}")
    references = [f"ssm:/keys/{number}" for number in range(25)]
    secrets.prefetch(references)
    assert [secrets.key(reference) for reference in references] == [f"value-{number}" for number in range(25)]
    assert aws.calls == ["get_parameters"] * 3


def test_a_parameter_can_be_named_with_its_version_or_arn(aws, secrets):
    aws.parameter("key", "one")
    aws.parameter("key", "two")
    arn = aws.parameters.get_parameter(Name="key")["Parameter"]["ARN"]
    assert secrets.key("ssm:key") == "two"
    assert secrets.key("ssm:key:1") == "one"
    assert secrets.key(f"ssm:{arn}") == "two"


def test_one_missing_parameter_does_not_hide_the_others(aws, secrets):
    aws.parameter("there", "value")
    secrets.prefetch(["ssm:there", "ssm:gone"])
    assert secrets.key("ssm:there") == "value"
    assert "ssm:gone: there is none of this name" in trouble_of(secrets, "ssm:gone")


def test_one_denied_parameter_does_not_hide_the_others(aws, clock):
    aws.parameter("mine", "value")

    class Client:
        def get_parameters(self, Names, WithDecryption):  # noqa: N803 - AWS's own names
            if "theirs" in Names:
                raise refusal("AccessDeniedException")
            return aws.parameters.get_parameters(Names=Names, WithDecryption=WithDecryption)

    secrets = Secrets({}, lambda _: Client(), clock, elapsed=clock.elapsed)
    secrets.prefetch(["ssm:mine", "ssm:theirs"])
    assert secrets.key("ssm:mine") == "value"
    trouble = trouble_of(secrets, "ssm:theirs")
    assert "access is denied" in trouble
    assert "ssm:GetParameters" in trouble


# --- how long a value is kept


def test_a_rotated_value_is_seen_after_five_minutes(aws, secrets, clock):
    aws.secret("s", "one")
    assert secrets.key("secretsmanager:s") == "one"
    aws.secrets.put_secret_value(SecretId="s", SecretString="two")
    clock.passes(minutes=4, seconds=59)
    assert secrets.key("secretsmanager:s") == "one"
    clock.passes(seconds=1)
    assert secrets.key("secretsmanager:s") == "two"
    assert aws.calls == ["get_secret_value"] * 2


def test_a_rotated_value_is_seen_at_once_when_asked_for_anew(aws, secrets):
    aws.secret("s", '{"a": "one", "b": "one"}')
    assert secrets.key("secretsmanager:s#a") == "one"
    aws.secrets.put_secret_value(SecretId="s", SecretString='{"a": "two", "b": "two"}')
    secrets.refresh(["secretsmanager:s#a", "secretsmanager:s#b", "not a reference"])
    assert [secrets.key("secretsmanager:s#a"), secrets.key("secretsmanager:s#b")] == ["two", "two"]
    assert aws.calls == ["get_secret_value"] * 2


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(UNREACHABLE, id="no-network"),
        pytest.param(refusal("ThrottlingException"), id="throttled"),
        pytest.param(refusal("InternalServiceError", 500), id="an-error-of-aws"),
        pytest.param(refusal("ExpiredTokenException"), id="credentials-that-ran-out"),
        pytest.param(refusal("", 503), id="an-error-without-a-code"),
        pytest.param(ConfigurationError("AWS is not set up"), id="no-region"),
    ],
)
@pytest.mark.parametrize("reference", ["secretsmanager:s", "ssm:s"])
def test_the_last_value_is_used_while_aws_cannot_be_asked(aws, secrets, clock, caplog, trouble, reference):
    aws.secret("s", "one")
    aws.parameter("s", "one")
    secrets.prefetch([reference])
    aws.trouble = trouble
    clock.passes(minutes=5)
    assert secrets.key(reference) == "one"
    assert "the last values of 1 secrets stay in use" in caplog.text
    clock.passes(hours=11)
    assert secrets.key(reference) == "one"
    aws.trouble = None
    aws.secrets.put_secret_value(SecretId="s", SecretString="two")
    aws.parameter("s", "two")
    clock.passes(seconds=30)
    assert secrets.key(reference) == "two"


def test_the_last_value_is_not_used_for_ever(aws, secrets, clock):
    aws.secret("s", "one")
    secrets.prefetch(["secretsmanager:s"])
    aws.trouble = UNREACHABLE
    clock.passes(hours=12, minutes=6)
    assert "AWS cannot be asked for it at the moment: EndpointConnectionError" in trouble_of(
        secrets, "secretsmanager:s"
    )


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "AccessDeniedException", "InvalidRequestException"])
def test_the_last_value_is_not_used_when_aws_says_no(aws, secrets, clock, code):
    aws.secret("s", "one")
    secrets.prefetch(["secretsmanager:s"])
    aws.trouble = refusal(code)
    clock.passes(minutes=5)
    assert f"({code})" in trouble_of(secrets, "secretsmanager:s")


def test_an_unreachable_aws_is_not_asked_for_every_target(aws, secrets, clock):
    aws.trouble = UNREACHABLE
    references = [f"secretsmanager:s{number}" for number in range(100)] + [f"ssm:p{number}" for number in range(100)]
    secrets.prefetch(references)
    for reference in references:
        trouble_of(secrets, reference)
    assert aws.calls == ["batch_get_secret_value", "get_parameters"]
    clock.passes(seconds=30)
    secrets.prefetch(references)
    assert len(aws.calls) == 4


def test_a_missing_secret_is_looked_for_again_after_half_a_minute(aws, secrets, clock):
    trouble_of(secrets, "secretsmanager:s")
    aws.secret("s", "one")
    trouble_of(secrets, "secretsmanager:s")
    clock.passes(seconds=30)
    assert secrets.key("secretsmanager:s") == "one"


def test_a_clock_that_was_set_back_keeps_neither_an_error_nor_an_old_value(aws, secrets, clock, tmp_path):
    aws.secret("wabawatch/key", "old")
    assert secrets.key("secretsmanager:wabawatch/key") == "old"
    assert "No such file" in trouble_of(secrets, f"file:{tmp_path}/key")
    aws.secrets.put_secret_value(SecretId="wabawatch/key", SecretString="new")
    (tmp_path / "key").write_text("there")
    clock.is_set(hours=-2)
    clock.passes(minutes=5)
    assert secrets.key("secretsmanager:wabawatch/key") == "new"
    assert secrets.key(f"file:{tmp_path}/key") == "there"


def test_a_process_that_was_frozen_for_a_while_reads_anew(aws, secrets, clock):
    aws.secret("wabawatch/key", "old")
    assert secrets.key("secretsmanager:wabawatch/key") == "old"
    aws.secrets.put_secret_value(SecretId="wabawatch/key", SecretString="new")
    clock.is_set(minutes=5)
    assert secrets.key("secretsmanager:wabawatch/key") == "new"


def test_without_a_ttl_every_key_is_read(aws, clock):
    secrets = Secrets({}, aws.client, clock, elapsed=clock.elapsed, ttl=timedelta())
    aws.secret("s", "one")
    secrets.key("secretsmanager:s")
    secrets.key("secretsmanager:s")
    assert len(aws.calls) == 2


def test_no_value_is_printed_or_logged(aws, secrets, clock, caplog):
    caplog.set_level(logging.DEBUG, logger="wabawatch")
    aws.secret("s", '{"k": "hidden-value"}')
    aws.parameter("p", "hidden-value")
    references = ["secretsmanager:s#k", "ssm:p"]
    held = [secrets.key(reference) for reference in references]
    assert [str(secret) for secret in held] == ["hidden-value"] * 2
    for trouble in (None, UNREACHABLE, refusal("AccessDeniedException")):
        aws.trouble = trouble
        secrets.refresh(references)
        clock.passes(minutes=6)
    shown = (
        caplog.text
        + repr(held)
        + f"{held[0]!r}"
        + repr(secrets)
        + repr(vars(secrets))
        + repr(list(vars(secrets).values()))
    )
    assert "hidden-value" not in shown + trouble_of(secrets, "ssm:p") + trouble_of(secrets, "secretsmanager:s#k")


def test_a_vault_that_cannot_be_asked_is_a_passing_failure_of_a_delivery_and_a_missing_secret_a_lasting_one():
    def resolve(reference):
        raise UnansweredError(f"{reference}: not now") if reference == "ssm:/busy" else SecretError("there is none")

    world = NotifyContext(resolve, lambda *_: None)
    kinds = []
    for reference in ("ssm:/busy", "ssm:/none"):
        with pytest.raises(DeliveryError) as raised:
            world.secret(reference)
        kinds.append(raised.value.kind)
    assert kinds == [DeliveryErrorKind.PASSING, DeliveryErrorKind.DESTINATION]
