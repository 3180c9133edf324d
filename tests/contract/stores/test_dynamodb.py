"""What holds for the DynamoDB store only: what it costs, how it stands trouble, what its items carry."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from tests.contract.stores.strict_client import WRITES, size
from tests.contract.stores.values import START, acknowledgement, at, change, incident, later, resolved, run, silence
from wabawatch.adapters.stores.dynamodb import DynamoStore
from wabawatch.application.errors import SchemaError, StoreError
from wabawatch.application.ports import Change
from wabawatch.domain.detection import detect
from wabawatch.domain.health import AVAILABLE, CALLING, MESSAGING, Entity, Observation, Report
from wabawatch.domain.policy import Thresholds
from wabawatch.domain.sharding import BUCKETS, bucket_of
from wabawatch.domain.transitions import Snapshot

HISTORY = timedelta(days=400)


@pytest.fixture
def client(dynamodb):
    return dynamodb[0]


@pytest.fixture
def dynamo(dynamodb):
    store = DynamoStore(*dynamodb, HISTORY)
    store._table._pause = lambda _seconds: None
    yield store
    store.close()


def healthy(target, number, minutes=0):
    """What a number reports that is well: itself, its business, its account, its provider's app."""
    entities = (
        Entity("PHONE_NUMBER", f"1062{number:011}", {MESSAGING: AVAILABLE, CALLING: AVAILABLE}),
        Entity("WABA", f"2062{number:011}", {MESSAGING: AVAILABLE}),
        Entity("BUSINESS", f"3062{number:011}", {MESSAGING: AVAILABLE}),
        Entity("APP", "406260240000000", {MESSAGING: AVAILABLE, CALLING: AVAILABLE}),
    )
    return Observation(target, at(minutes), Report(entities, {MESSAGING: AVAILABLE}))


def item_of(client, store, key):
    return client.get_item(TableName=store._table.name, Key=key).get("Item")


def rows(client, store, prefix, buckets):
    """Items of all partitions of a kind."""
    return [
        item
        for bucket in buckets
        for item in client.query(
            TableName=store._table.name,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"{prefix}#{bucket}"}},
        )["Items"]
    ]


def test_a_pass_over_1000_healthy_numbers_costs_little_and_writes_nothing(dynamo, client):
    names = [f"customer-number-{number:04}" for number in range(1000)]
    first = [healthy(name, number) for number, name in enumerate(names)]
    seen = [detect(Snapshot(one.target), one, Thresholds()).snapshot for one in first]
    items = [dynamo._change(Change(one, (), first[0])).actions[0]["Put"]["Item"] for one in seen]
    for start in range(0, len(items), 25):
        puts = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
        client.batch_write_item(RequestItems={dynamo._table.name: puts})
    assert max(size(item) for item in items) <= 250
    client.forget()

    found = dynamo.snapshots(names)
    moved = [
        one.target
        for number, one in enumerate(first)
        if detect(found[one.target], healthy(one.target, number, 5), Thresholds()).snapshot is not found[one.target]
    ]
    assert len(found) == 1000
    assert moved == []
    assert client.read_units / 1000 <= 0.1
    assert {request["ConsistentRead"] for _, request in client.calls} == {False}
    assert client.count(*WRITES) == 0


def test_a_few_snapshots_are_read_by_key_in_one_call(dynamo, client):
    dynamo.commit([change("a"), change("b")])
    client.forget()
    assert set(dynamo.snapshots(["a", "b", "c"])) == {"a", "b"}
    assert [operation for operation, _ in client.calls] == ["batch_get_item"]


def test_a_shard_reads_its_own_buckets_only(dynamo, client):
    names = [name for name in (f"t{number}" for number in range(2000)) if bucket_of(name) < 4][:100]
    dynamo.snapshots(names)
    assert client.count("query") == 4
    assert {request["ExpressionAttributeValues"][":pk"]["S"] for _, request in client.calls} == {
        f"SNAP#{bucket:02}" for bucket in range(4)
    }


def test_a_notify_with_nothing_to_do_reads_a_few_units(dynamo, client):
    dynamo.pending(1000)
    dynamo.due_incidents(at(0))
    dynamo.silences()
    dynamo.acknowledgements()
    assert client.read_units <= 14
    assert client.count(*WRITES) == 0


def test_what_must_not_lag_is_read_consistently(dynamo, client):
    dynamo.pending(10)
    dynamo.due_incidents(at(0))
    dynamo.open_incidents()
    dynamo.latest_incidents([incident("i").key])
    asked = [next(iter(request.get("RequestItems", {"": request}).values())) for _, request in client.calls]
    assert len(asked) == 8 + 4 + 4 + 1
    assert all(request["ConsistentRead"] for request in asked)


def test_changes_share_transactions(dynamo, client):
    dynamo.commit([change(f"t{number}", seqs=(1, 2)) for number in range(50)])
    assert client.count(*WRITES) == client.count("transact_write_items") == 1


def test_small_incidents_are_replaced_without_a_transaction(dynamo, client):
    first = incident("i")
    dynamo.save_incidents([first])
    client.forget()
    dynamo.save_incidents([later(first)])
    assert [operation for operation, _ in client.calls] == ["put_item"]


def test_only_a_new_pending_row_rings_the_doorbell(dynamo, client):
    """The template's filter: an inserted row of the log that has `due`."""
    dynamo.commit([change("quiet"), change("loud", seqs=(1,))])
    found = {row["sk"]["S"].split("#")[0]: row for row in rows(client, dynamo, "LOG", range(8))}
    assert "due" not in found["quiet"]
    assert "when" not in found["quiet"]
    assert found["loud"]["due"] == found["loud"]["when"]
    dynamo.mark_folded(dynamo.pending(10))
    (folded,) = [row for row in rows(client, dynamo, "LOG", range(8)) if row["sk"]["S"].startswith("loud")]
    assert folded == {name: value for name, value in found["loud"].items() if name != "due"}


def test_history_expires_and_state_does_not(dynamo, client):
    dynamo.commit([change("a", seqs=(1,))])
    dynamo.save_run(run("r"))
    dynamo.save_silence(silence("s", ends=60))
    done = incident("done", "2", members=1)
    dynamo.save_incidents([incident("open"), done])
    dynamo.save_incidents([resolved(done, 5)])
    (row,) = rows(client, dynamo, "LOG", range(8))
    name = dynamo._table.name
    assert row["expires_at"] == {"N": str(int((START + HISTORY).timestamp()))}
    (kept,) = client.query(
        TableName=name, KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": {"S": "SILENCE"}}
    )["Items"]
    assert kept["expires_at"] == {"N": str(int((at(60) + timedelta(days=30)).timestamp()))}
    heads = {head["sk"]["S"]: head for head in rows(client, dynamo, "INCIDENT", range(4))}
    assert "expires_at" not in heads["open"]
    assert heads["done"]["expires_at"] == {"N": str(int((at(5) + HISTORY).timestamp()))}
    assert all("expires_at" not in one for one in rows(client, dynamo, "SNAP", [f"{n:02}" for n in range(BUCKETS)]))


def test_an_acknowledgement_expires_some_time_after_its_incident(dynamo, client):
    key = {"pk": {"S": "ACK"}, "sk": {"S": "i"}}
    dynamo.save_incidents([incident("i")])
    dynamo.save_acknowledgement(acknowledgement("i"))
    assert "expires_at" not in item_of(client, dynamo, key)
    dynamo.save_incidents([resolved(incident("i"), 5)])
    assert "expires_at" in item_of(client, dynamo, key)


def test_the_parts_of_a_body_that_shrinks_are_removed(dynamo, client):
    sizes = {}
    for version, members in enumerate((70_000, 5_000, 1), 1):
        dynamo.save_incidents([incident("i", version=version, members=members)])
        sizes[members] = len(rows(client, dynamo, "PART", range(4)))
    assert sizes[70_000] > sizes[5_000] == 1
    assert sizes[1] == 0


def test_a_body_that_no_transaction_holds_is_refused_with_its_size(dynamo):
    with pytest.raises(StoreError, match="document huge needs"):
        dynamo.save_document("huge", random.Random(1).randbytes(5_000_000))  # noqa: S311  # does not squeeze


class Interfering:
    """A client that hands every call on, but for one operation, which a test answers."""

    def __init__(self, client, operation, answer):
        self._client, self._operation, self._answer = client, operation, answer

    def __getattr__(self, operation):
        call = getattr(self._client, operation)
        return (lambda **request: self._answer(call, request)) if operation == self._operation else call


def interfere(store, operation, answer):
    store._table._client = Interfering(store._table._client, operation, answer)


def refusal(code, message="", **more):
    return ClientError({"Error": {"Code": code, "Message": message}, **more}, "Operation")


def raised(error):
    def answer(_call, _request):
        raise error

    return answer


def test_a_put_whose_answer_was_lost_and_that_is_sent_again_has_won(dynamo):
    def twice(call, request):
        call(**request)
        return call(**request)

    first = incident("i")
    dynamo.save_incidents([first])
    interfere(dynamo, "put_item", twice)
    assert dynamo.save_incidents([later(first)]) == [True]
    assert dynamo.acquire_lease("notify", "me", at(0), timedelta(minutes=1))


def test_keys_that_a_batch_left_over_are_asked_for_again(dynamo, client):
    names = [f"t{number}" for number in range(20)]
    dynamo.commit([change(name) for name in names])

    def half(call, request):
        ((table, asked),) = request["RequestItems"].items()
        middle = -(-len(asked["Keys"]) // 2)
        now, rest = asked["Keys"][:middle], asked["Keys"][middle:]
        answer = call(RequestItems={table: {**asked, "Keys": now}})
        return {**answer, "UnprocessedKeys": {table: {**asked, "Keys": rest}} if rest else {}}

    interfere(dynamo, "batch_get_item", half)
    assert set(dynamo.snapshots(names)) == set(names)
    assert client.count("batch_get_item") == 5


def test_a_transaction_that_met_another_one_is_tried_again(dynamo):
    met = iter(["TransactionConflict", "ThrottlingError"])

    def conflicting(call, request):
        if code := next(met, None):
            reasons = [{"Code": code}, *({"Code": "None"} for _ in request["TransactItems"][1:])]
            raise refusal("TransactionCanceledException", CancellationReasons=reasons)
        return call(**request)

    interfere(dynamo, "transact_write_items", conflicting)
    assert dynamo.commit([change("a", seqs=(1,)), change("b")]) == [True, True]
    assert len(dynamo.pending(10)) == 1


def test_a_transaction_that_never_gets_through_is_an_error(dynamo):
    conflict = refusal("TransactionCanceledException", CancellationReasons=[{"Code": "TransactionConflict"}] * 2)
    interfere(dynamo, "transact_write_items", raised(conflict))
    with pytest.raises(StoreError, match="throttled for too long"):
        dynamo.commit([change("a")])


def test_a_transaction_that_is_wrong_is_an_error_at_once(dynamo):
    wrong = refusal("TransactionCanceledException", CancellationReasons=[{"Code": "ValidationError"}, {"Code": "None"}])
    interfere(dynamo, "transact_write_items", raised(wrong))
    with pytest.raises(StoreError, match="ValidationError"):
        dynamo.commit([change("a")])


def test_a_reader_whose_incident_is_written_meanwhile_gets_one_whole_version(dynamo, dynamodb):
    writer = DynamoStore(*dynamodb, HISTORY)
    first = incident("i", members=20_000)
    writer.save_incidents([first])
    second = [later(first, members=incident("x", members=30_000).members)]

    def write_between(call, request):
        if request["ExpressionAttributeValues"][":pk"]["S"].startswith("PART#") and second:
            assert writer.save_incidents([second.pop()]) == [True]
        return call(**request)

    interfere(dynamo, "query", write_between)
    found = dynamo.incident("i")
    assert (found.version, len(found.members)) == (2, 30_000)
    writer.close()


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        pytest.param(refusal("ResourceNotFoundException"), "no such table", id="a table that is not there"),
        pytest.param(refusal("AccessDeniedException"), "IAM policy", id="an action that is not allowed"),
        pytest.param(refusal("ExpiredTokenException"), "log in again", id="credentials that expired"),
        pytest.param(refusal("ThrottlingException"), "throttled", id="throttled"),
        pytest.param(refusal("ProvisionedThroughputExceededException"), "throttled", id="too much at once"),
        pytest.param(refusal("ValidationException", "no index"), "Wabawatch's template", id="a table of another shape"),
        pytest.param(refusal("InternalServerError"), "try again later", id="trouble at AWS"),
        pytest.param(NoCredentialsError(), "set up AWS", id="no credentials at all"),
        pytest.param(EndpointConnectionError(endpoint_url="https://x"), "check the network", id="no network"),
    ],
)
def test_errors_name_the_operation_and_the_table_and_what_to_do(dynamo, error, advice):
    interfere(dynamo, "query", raised(error))
    with pytest.raises(StoreError) as trouble:
        dynamo.pending(1)
    assert advice in str(trouble.value)
    assert dynamo._table.name in str(trouble.value)
    assert "query" in str(trouble.value)


def test_a_wrong_signatures_message_is_not_repeated(dynamo):
    interfere(dynamo, "query", raised(refusal("InvalidSignatureException", "x-amz-security-token:SECRET")))
    with pytest.raises(StoreError) as trouble:
        dynamo.pending(1)
    assert "SECRET" not in str(trouble.value)


def test_what_a_later_version_wrote_is_refused(dynamo, client):
    dynamo.commit([change("a")])
    (item,) = rows(client, dynamo, "SNAP", [f"{bucket_of('a'):02}"])
    client.put_item(TableName=dynamo._table.name, Item={**item, "body": {"B": b"\x02" + item["body"]["B"][1:]}})
    with pytest.raises(SchemaError, match="upgrade"):
        dynamo.snapshots(["a"])
