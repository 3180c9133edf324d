"""What holds for the DynamoDB store only: what it costs, how it stands trouble, what its items carry."""

from __future__ import annotations

import random
import re
from datetime import timedelta

import msgspec
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from tests.contract.stores.builders import (
    START,
    acknowledgement,
    at,
    change,
    coverage,
    day,
    folded,
    incident,
    key,
    later,
    member_row,
    queued,
    resolved,
    run,
    silence,
)
from tests.contract.stores.strict_client import WRITES, StrictClient, size
from wabawatch.adapters.stores.dynamodb import DynamoDBStore
from wabawatch.adapters.stores.dynamodb.keys import LOG_SPREAD
from wabawatch.application.ports import Change, FoldBatch, Outcome
from wabawatch.domain.detection import detect
from wabawatch.domain.health import AVAILABLE, CALLING, MESSAGING, Entity, Observation, Report
from wabawatch.domain.policy import Thresholds
from wabawatch.domain.sharding import BUCKETS, bucket_of
from wabawatch.domain.snapshot import Snapshot
from wabawatch.errors import SchemaError, StoreError

HISTORY = timedelta(days=400)
MONTH = 31 * 24 * 60
WRITTEN, CONFLICT, REFUSED = Outcome.WRITTEN, Outcome.CONFLICT, Outcome.REFUSED


@pytest.fixture
def client(dynamodb):
    return dynamodb[0]


@pytest.fixture
def dynamo(dynamodb):
    store = DynamoDBStore(*dynamodb, HISTORY)
    store._table._pause = lambda _seconds: None
    yield store
    store.close()


def rows(store, *partitions):
    client = store._table._client
    client = getattr(client, "_client", client) if isinstance(client, Interfering) else client
    return client.rows(store._table.name, *partitions)


def partitions(store, *prefixes):
    return {row["pk"]["S"] for row in rows(store, *prefixes)}


def healthy(target, number, minutes=0):
    """What a number reports that is well: itself, its business, its account, its provider's app."""
    entities = (
        Entity("PHONE_NUMBER", f"1062{number:011}", {MESSAGING: AVAILABLE, CALLING: AVAILABLE}),
        Entity("WABA", f"2062{number:011}", {MESSAGING: AVAILABLE}),
        Entity("BUSINESS", f"3062{number:011}", {MESSAGING: AVAILABLE}),
        Entity("APP", "406260240000000", {MESSAGING: AVAILABLE, CALLING: AVAILABLE}),
    )
    return Observation(target, at(minutes), Report(entities, {MESSAGING: AVAILABLE}))


# What it costs


def test_a_pass_over_1000_healthy_numbers_costs_little_and_writes_nothing(dynamo, client):
    names = [f"customer-number-{number:04}" for number in range(1000)]
    first = [healthy(name, number) for number, name in enumerate(names)]
    seen = [detect(Snapshot(one.target), one, Thresholds()).snapshot for one in first]
    items = [dynamo.commit.__self__._group(Change(one, (), first[0])).actions[0]["Put"]["Item"] for one in seen]
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


def test_every_snapshot_is_read_a_page_at_a_time(dynamo, client):
    dynamo.commit([change("a"), change("b")])
    client.forget()
    next(dynamo.every_snapshot())
    assert client.count("query") < BUCKETS


def test_a_notify_with_nothing_to_do_reads_a_few_units(dynamo, client):
    dynamo.pending(1000)
    dynamo.due_incidents(at(0), 100)
    dynamo.queued()
    dynamo.coverages()
    dynamo.silences()
    dynamo.acknowledgements()
    dynamo.set_aside(at(0))
    assert client.read_units == 8 + 8 + 5
    assert client.count(*WRITES) == 0


def test_what_must_not_lag_is_read_consistently(dynamo, client):
    dynamo.fold(FoldBatch((incident("i"),), (member_row("i", "a"),)))
    client.forget()
    dynamo.pending(10)
    dynamo.due_incidents(at(0))
    dynamo.open_incidents()
    dynamo.queued()
    dynamo.coverages()
    dynamo.latest_incidents([key()])
    dynamo.generations([key()])
    dynamo.members_of([("i", "a")])
    asked = [next(iter(request.get("RequestItems", {"": request}).values())) for _, request in client.calls]
    assert len(asked) == 8 + 8 + 8 + 1 + 1 + 2 + 1 + 1
    assert all(request["ConsistentRead"] for request in asked)


def test_changes_share_transactions(dynamo, client):
    dynamo.commit([change("a")])
    client.forget()
    dynamo.commit([change(f"t{number}", seqs=(1, 2)) for number in range(33)])
    assert client.count(*WRITES) == client.count("transact_write_items") == 1


def test_incidents_that_stay_open_are_replaced_without_a_transaction(dynamo, client):
    first = incident("i", due_at=at(1))
    dynamo.save_incidents([first])
    client.forget()
    dynamo.save_incidents([later(first, due_at=at(2))])
    assert [operation for operation, _ in client.calls] == ["put_item"]
    assert client.write_units == {rows(dynamo, "LIVE#")[0]["pk"]["S"]: 3}


def test_an_incident_of_any_month_is_found_with_two_reads_and_a_list_of_the_months(dynamo, client):
    for month in range(3):
        first = incident(f"i{month}", str(month))
        dynamo.save_incidents([first])
        dynamo.save_incidents([resolved(first, month * MONTH)])
    client.forget()
    assert dynamo.incident("i1").id == "i1"
    assert [operation for operation, _ in client.calls] == ["batch_get_item", "query", "batch_get_item"]


def test_history_reads_no_month_more_than_it_takes(dynamo, client):
    dynamo.commit([change("a", 1, 0, (1,)), change("a", 2, MONTH, (2,)), change("a", 3, 2 * MONTH, (3,))])
    client.forget()
    assert len(dynamo.history("a", limit=1)) == 1
    assert client.count("query") == 1 + 1
    client.forget()
    assert len(dynamo.history(limit=1)) == 1
    assert client.count("query") == 1 + LOG_SPREAD
    client.forget()
    assert [one.seq for one in dynamo.history("a", since=at(MONTH), until=at(MONTH + 1))] == [2]
    assert client.count("query") == 1 + 1


# What a storm costs


class Agreeing:
    """A client whose writes all succeed. moto takes minutes for what is counted here."""

    def __getattr__(self, operation):
        return lambda **_request: {"Items": []} if operation == "query" else {}


STORM = 5000


@pytest.fixture
def storm():
    """A store, and the changes of a storm, each with one transition."""
    store = DynamoDBStore(StrictClient(Agreeing()), "table", HISTORY)
    yield store, [change(f"customer-number-{number:05}", seqs=(1,)) for number in range(STORM)]
    store.close()


def spread(write_units, kinds):
    """The largest share of a partition in the write units of its kind, over the equal share."""
    shares = {}
    for kind in kinds:
        units = [count for name, count in write_units.items() if name.startswith(kind)]
        shares[kind] = max(units) * len(units) / sum(units)
    return shares


def test_a_change_in_a_storm_costs_8_write_units_and_folding_it_into_a_large_incident_4(storm):
    store, changes = storm
    client = store._table._client
    store.snapshots([])
    assert store.commit(changes) == [WRITTEN] * STORM
    units = client.write_units
    assert sum(units.values()) == 8 * STORM + 1
    assert {name.split("#")[0] for name in units} == {"SNAP", "LOG", "PENDING", "PERIOD"}
    assert all(share < 1.35 for share in spread(units, ["SNAP#", "LOG#", "PENDING#"]).values())
    assert max(units.values()) / STORM <= 4 / 8 * 1.15

    client.forget()
    opened = incident("i", members=21)
    for position, start in enumerate(range(0, STORM, 48)):
        some = changes[start : start + 48]
        members = tuple(member_row("i", one.snapshot.target) for one in some)
        batch = FoldBatch(
            (msgspec.structs.replace(opened, version=position + 1),), members, tuple(folded(one) for one in some)
        )
        assert store.fold(batch) is WRITTEN
    units = client.write_units
    assert sum(units.values()) <= 4.1 * STORM
    assert all(share < 1.15 for share in spread(units, ["MEMBER#", "PENDING#"]).values())
    assert max(units.values()) / STORM <= 2 / 8 * 1.15


def test_a_storm_of_as_many_incidents_is_spread_too(storm):
    store, changes = storm
    client = store._table._client
    for start in range(0, STORM, 25):
        some = changes[start : start + 25]
        opened = tuple(
            incident(f"{start + number:012x}", one.snapshot.target, due_at=at(1)) for number, one in enumerate(some)
        )
        assert store.fold(FoldBatch(opened, (), tuple(folded(one) for one in some))) is WRITTEN
    units = client.write_units
    assert sum(units.values()) == 8 * STORM
    assert max(units.values()) / STORM <= 4 / 8 * 1.15
    assert all(share < 1.2 for share in spread(units, ["LIVE#", "LATEST#", "PENDING#"]).values())


def test_the_bodies_of_a_shard_that_reads_nothing_are_spread_too(dynamo, client):
    noise = random.Random(1)  # noqa: S311  # does not squeeze
    unread = {noise.randbytes(20).hex(): at(number) for number in range(100_000)}
    dynamo.save_coverage(coverage(unread=unread))
    assert len(client.write_units) > 4
    assert max(client.write_units.values()) < 1000


# What its items carry


def everything(store):
    """Something of every kind."""
    store.commit([change("a", seqs=(1,)), change("b")])
    store.save_run(run("r"))
    store.save_coverage(coverage())
    store.save_day(day())
    store.save_silence(silence("s", ends=60))
    store.queue([queued("q")])
    store.save_document("d", b"body")
    store.acquire_lease("notify", "me", at(0), timedelta(minutes=1))
    done = incident("done", "2")
    store.fold(FoldBatch((incident("open", due_at=at(9)), done), (member_row("open", "a"),)))
    store.save_incidents([resolved(done, 5)])
    store.save_acknowledgement(acknowledgement("open"))
    store.set_aside_change(store.pending(1)[0], "why")
    store.commit([change("a", 2, 5, seqs=(2,))])


def test_no_partition_grows_for_ever_but_those_of_what_is_kept_for_ever(dynamo):
    """An item collection holds 10 GB: what is added to one has the month in its key, or is bounded by the fleet, or is
    removed when it was worked off. What grows for ever is small: a row for each key ever seen, each day and shard, and
    each month."""
    everything(dynamo)
    kinds = {
        re.sub(r"\d{4}-\d\d$", "MONTH", re.sub(r"#[0-9a-f]{1,2}(#|$)", r"#N\1", name)) for name in partitions(dynamo)
    }
    assert kinds == {
        *("LOG#N#MONTH", "RUN#MONTH", "DONE#N#MONTH", "ASIDE#MONTH"),
        *("SNAP#N", "PENDING#N", "LIVE#N", "MEMBER#open#N", "QUEUE", "COVERAGE", "SILENCE", "ACK", "LEASE", "DOCUMENT"),
        *("LATEST#N", "DAY#2026", "PERIOD"),
    }


def test_only_what_is_live_or_has_the_month_in_its_key_is_in_an_index(dynamo):
    everything(dynamo)
    assert {row["pk"]["S"].split("#")[0] for row in rows(dynamo) if "due" in row} == {"LIVE"}
    assert {row["pk"]["S"].split("#")[0] for row in rows(dynamo) if "when" in row} == {"LOG", "DONE"}


def test_only_a_change_with_transitions_rings_the_doorbell(dynamo, client):
    """The template's filter: an inserted pending change."""
    dynamo.commit([change("quiet"), change("loud", seqs=(1, 2))])
    assert [row["sk"]["S"].split("#")[1] for row in rows(dynamo, "PENDING#")] == ["loud"]
    client.forget()
    loud = change("loud", seqs=(1, 2))
    dynamo.fold(FoldBatch(folded=(folded(loud, 1),)))
    dynamo.fold(FoldBatch(folded=((dynamo.pending(1)[0], 2),)))
    (first,), (second,) = (request["TransactItems"] for _, request in client.calls if "TransactItems" in request)
    assert (set(first), set(second)) == ({"Update"}, {"Delete"})


def seconds(instant):
    return {"N": str(int(instant.timestamp()))}


def test_history_expires_and_state_does_not(dynamo):
    everything(dynamo)
    dynamo.fold(FoldBatch(members=(member_row("open", "b", status=""),)))
    expiries = {row["pk"]["S"].split("#")[0] + " " + row["sk"]["S"]: row.get("expires_at") for row in rows(dynamo)}
    now = {name: found for name, found in expiries.items() if not name.startswith(("ASIDE", "PERIOD"))}
    a, b = (f"{at(0):%Y-%m-%dT%H:%M:%S.%fZ}", f"{at(5):%Y-%m-%dT%H:%M:%S.%fZ}")
    assert {name: found for name, found in now.items() if found} == {
        f"LOG a#{a}": seconds(START + HISTORY),
        f"LOG b#{a}": seconds(START + HISTORY),
        f"LOG a#{b}": seconds(at(5) + HISTORY),
        f"RUN {a}#r#000": seconds(START + timedelta(days=90)),
        "SILENCE s": seconds(at(60) + timedelta(days=30)),
        "DONE done": seconds(at(5) + HISTORY),
        "MEMBER b": seconds(at(0) + HISTORY),
    }
    assert all(found for name, found in expiries.items() if name.startswith("ASIDE"))
    assert int(expiries["PERIOD LOG#2026-03"]["N"]) > (at(MONTH) + HISTORY).timestamp()
    assert expiries["PERIOD DAY#2026"] is None


def test_an_acknowledgement_expires_some_time_after_its_incident(dynamo):
    dynamo.save_incidents([incident("i")])
    dynamo.save_acknowledgement(acknowledgement("i"))
    dynamo.save_acknowledgement(acknowledgement("other"))
    assert all("expires_at" not in row for row in rows(dynamo, "ACK"))
    dynamo.save_incidents([resolved(incident("i"), 5)])
    assert {row["sk"]["S"]: row.get("expires_at") for row in rows(dynamo, "ACK")} == {
        "i": seconds(at(5) + timedelta(days=30)),
        "other": None,
    }


def test_the_chunks_of_a_body_that_shrinks_or_goes_are_removed(dynamo):
    noise = random.Random(1)  # noqa: S311  # does not squeeze
    counts = []
    for length in (2_000_000, 400_000, 10):
        dynamo.save_document("d", noise.randbytes(length))
        counts.append(len(rows(dynamo, "PART#")))
    assert counts == [6, 2, 0]
    dynamo.queue([queued("q", incidents=20_000)])
    assert rows(dynamo, "PART#")
    dynamo.unqueue(["q"])
    assert rows(dynamo, "PART#", "QUEUE") == []


def test_a_body_that_no_transaction_holds_is_refused_with_its_size(dynamo):
    with pytest.raises(StoreError, match="DOCUMENT huge needs"):
        dynamo.save_document("huge", random.Random(1).randbytes(5_000_000))  # noqa: S311  # does not squeeze


def test_what_can_not_be_decoded_is_kept_aside_with_its_bytes(dynamo, damage_row):
    dynamo.save_silence(silence("s"))
    damage_row("SILENCE", b"\x01\xc1 damaged")
    assert dynamo.silences() == []
    (kept,) = rows(dynamo, "ASIDE#")
    assert kept["body"] == {"B": b"\x01\xc1 damaged"}
    assert rows(dynamo, "SILENCE") == []


@pytest.fixture
def damage_row(dynamo, client):
    def overwrite(partition, body):
        (row,) = rows(dynamo, partition)
        client.put_item(TableName=dynamo._table.name, Item={**row, "body": {"B": body}})

    return overwrite


def test_a_reader_that_may_not_write_reads_around_what_is_damaged(dynamo, damage_row):
    dynamo.save_silence(silence("s"))
    damage_row("SILENCE", b"\x01\xc1")
    interfere(dynamo, "transact_write_items", raised(refusal("AccessDeniedException")))
    assert dynamo.silences() == []
    assert len(rows(dynamo, "SILENCE")) == 1


def test_chunks_that_do_not_belong_together_are_a_damaged_row(dynamo, client):
    dynamo.save_document("d", random.Random(1).randbytes(400_000))  # noqa: S311  # does not squeeze
    first = rows(dynamo, "PART#")[0]
    client.delete_item(TableName=dynamo._table.name, Key={name: first[name] for name in ("pk", "sk")})
    assert dynamo.document("d") is None
    (kept,) = dynamo.set_aside(at(0))
    assert (kept.kind, kept.name) == ("document", "d")


# Incidents that move


def test_an_incident_moves_when_it_is_done_and_back_when_it_opens_again(dynamo):
    first = incident("i", due_at=at(1))
    over = resolved(first, 5)
    again = later(over, resolved_at=None, status="BLOCKED", due_at=at(9))
    for value, place in ((first, "LIVE"), (over, "DONE"), (again, "LIVE"), (resolved(again, 6), "DONE")):
        assert dynamo.fold(FoldBatch((value,))) is WRITTEN
        (row,) = rows(dynamo, "LIVE#", "DONE#")
        (pointer,) = rows(dynamo, "LATEST#")
        assert row["pk"]["S"].startswith(place)
        assert pointer["at"] == row["pk"]
        assert dynamo.latest_incidents([key()]) == {key(): value}


@pytest.mark.parametrize("write", ["fold", "save_incidents"])
def test_an_incident_that_is_not_the_latest_any_more_moves_alone(dynamo, write):
    old, new = incident("old", due_at=at(1)), incident("new", generation=2)
    notified = resolved(old, 5, due_at=at(6))
    dynamo.fold(FoldBatch((old,)))
    dynamo.fold(FoldBatch((notified, new)))
    before = rows(dynamo, "LATEST#")
    done = later(notified, due_at=None)
    outcome = dynamo.fold(FoldBatch((done,))) if write == "fold" else dynamo.save_incidents([done])
    assert outcome in (WRITTEN, [WRITTEN])
    assert rows(dynamo, "LATEST#") == before
    assert [row["sk"]["S"] for row in rows(dynamo, "DONE#")] == ["old"]


def test_new_incidents_of_one_key_are_written_in_their_order(dynamo):
    generations = range(1, 9)
    opened = [incident(f"i{generation}", generation=generation) for generation in generations]
    assert dynamo.save_incidents(opened) == [WRITTEN] * 8
    assert dynamo.latest_incidents([key()])[key()].id == "i8"


def test_two_incidents_of_one_key_are_folded_together(dynamo):
    old = incident("old")
    dynamo.fold(FoldBatch((old,)))
    assert dynamo.fold(FoldBatch((incident("new", generation=2), resolved(old, 5)))) is WRITTEN
    assert dynamo.latest_incidents([key()])[key()].id == "new"
    assert dynamo.incident("old").is_done


def test_an_incident_that_moves_while_it_is_read_is_found(dynamo, dynamodb):
    writer = DynamoDBStore(*dynamodb, HISTORY)
    first = incident("i")
    writer.save_incidents([first])
    moves = [resolved(first, 5)]

    def move_between(call, request):
        ((_, asked),) = request["RequestItems"].items()
        if asked["Keys"][0]["pk"]["S"].startswith("LIVE#") and moves:
            writer.save_incidents([moves.pop()])
        return call(**request)

    interfere(dynamo, "batch_get_item", move_between)
    assert dynamo.latest_incidents([key()])[key()].is_done
    writer.close()


# Trouble


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
    assert dynamo.save_incidents([later(first)]) == [WRITTEN]
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
    assert dynamo.commit([change("a", seqs=(1,)), change("b")]) == [WRITTEN, WRITTEN]
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


def test_a_reader_whose_document_is_written_meanwhile_gets_one_whole_version(dynamo, dynamodb):
    writer = DynamoDBStore(*dynamodb, HISTORY)
    noise = random.Random(1)  # noqa: S311  # does not squeeze
    before, after = noise.randbytes(800_000), noise.randbytes(1_200_000)
    writer.save_document("d", before)
    second = [after]

    def write_between(call, request):
        if second:
            writer.save_document("d", second.pop())
        return call(**request)

    interfere(dynamo, "batch_get_item", write_between)
    assert dynamo.document("d") == after
    writer.close()


FULL = ("ItemCollectionSizeLimitExceeded", "Collection size exceeded.")
GROWN = ("ValidationError", "Item size has exceeded the maximum allowed size")


def cancelling(reason, condition):
    """Cancels transactions with an item that the condition picks, as DynamoDB does, and does the others."""

    def answer(call, request):
        items = [action.get("Put", {}).get("Item", {}) for action in request["TransactItems"]]
        reasons = [{"Code": reason[0], "Message": reason[1]} if condition(item) else {"Code": "None"} for item in items]
        if any(each["Code"] != "None" for each in reasons):
            raise refusal("TransactionCanceledException", CancellationReasons=reasons)
        return call(**request)

    return answer


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        pytest.param(FULL, "split the fleet", id="a partition that is full"),
        pytest.param(GROWN, "400 KB", id="an item that is too large"),
    ],
)
def test_a_change_that_dynamodb_refuses_leaves_the_others(dynamo, caplog, reason, advice):
    interfere(
        dynamo,
        "transact_write_items",
        cancelling(reason, lambda item: item.get("sk", {}).get("S", "").startswith("b#")),
    )
    assert dynamo.commit([change(name, seqs=(1,)) for name in "abc"]) == [WRITTEN, REFUSED, WRITTEN]
    assert set(dynamo.snapshots(["a", "b", "c"])) == {"a", "c"}
    assert [one.target for one in dynamo.pending(10)] == ["a", "c"]
    assert advice in caplog.text


def test_a_refusal_of_the_whole_call_is_traced_to_the_change_at_fault(dynamo):
    def answer(call, request):
        if any(action["Put"]["Item"]["sk"]["S"].startswith("b#") for action in request["TransactItems"]):
            raise refusal("ValidationException", "Item size has exceeded the maximum allowed size")
        return call(**request)

    interfere(dynamo, "transact_write_items", answer)
    assert dynamo.commit([change(name, seqs=(1,)) for name in "abc"]) == [WRITTEN, REFUSED, WRITTEN]


def large(target, length):
    """A change with an observation that does not squeeze below this length."""
    made = change(target)
    noise = random.Random(1).randbytes(length).hex()  # noqa: S311  # does not squeeze
    return Change(made.snapshot, (), Observation(target, at(0), Report((Entity("WABA", noise, {}),))))


def test_an_answer_that_no_item_holds_is_refused_before_it_is_sent(dynamo, client):
    assert dynamo.commit([change("a"), large("b", 600_000), change("c")]) == [WRITTEN, REFUSED, WRITTEN]
    assert client.count("transact_write_items") == 1


def test_answers_that_one_transaction_does_not_hold_go_in_several(dynamo, client):
    assert dynamo.commit([large(f"t{number}", 300_000) for number in range(20)]) == [WRITTEN] * 20
    assert client.count("transact_write_items") > 1


def test_a_full_partition_is_an_error_with_advice_where_nothing_else_can_go_on(dynamo):
    interfere(dynamo, "put_item", raised(refusal("ItemCollectionSizeLimitExceededException")))
    with pytest.raises(StoreError, match="split the fleet"):
        dynamo.save_run(run("r"))


def test_an_incident_that_is_too_large_is_refused(dynamo):
    first = incident("i")
    dynamo.save_incidents([first, incident("j", "2")])
    noise = random.Random(1).randbytes(600_000).hex()  # noqa: S311  # does not squeeze
    grown = later(first, earlier=noise)
    assert dynamo.save_incidents([grown, later(incident("j", "2"))]) == [REFUSED, WRITTEN]
    assert dynamo.fold(FoldBatch((grown,))) is REFUSED


def test_a_fold_that_one_transaction_does_not_hold_is_refused(dynamo, client):
    some = [change(f"t{number}", seqs=(1,)) for number in range(dynamo.fold_limit + 1)]
    dynamo.commit(some)
    client.forget()
    assert dynamo.fold(FoldBatch(folded=tuple(folded(one) for one in some))) is REFUSED
    assert client.calls == []
    assert dynamo.fold(FoldBatch(folded=tuple(folded(one) for one in some[:-1]))) is WRITTEN
    assert client.count("transact_write_items") == 1


def test_a_fold_of_as_many_rows_as_the_limit_says_is_one_transaction(dynamo, client):
    first = [incident(f"i{number}", str(number), due_at=at(1)) for number in range(dynamo.fold_limit // 3)]
    for values in (first, [resolved(one, 5) for one in first]):
        client.forget()
        assert dynamo.fold(FoldBatch(tuple(values), (member_row("i0", "a"),))) is WRITTEN
        assert client.count("transact_write_items") == 1
    assert len(rows(dynamo, "DONE#")) == len(first)


def test_a_fold_that_met_another_transaction_is_tried_again(dynamo):
    met = iter(["TransactionConflict", "ThrottlingError"])

    def conflicting(call, request):
        if code := next(met, None):
            raise refusal("TransactionCanceledException", CancellationReasons=[{"Code": code}])
        return call(**request)

    interfere(dynamo, "transact_write_items", conflicting)
    assert dynamo.fold(FoldBatch((incident("i"),))) is WRITTEN


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


def test_what_a_later_version_wrote_is_refused(dynamo, damage_row):
    dynamo.commit([change("a")])
    damage_row("SNAP#", b"\x02")
    with pytest.raises(SchemaError, match="upgrade"):
        dynamo.snapshots(["a"])
    assert rows(dynamo, "ASIDE#") == []
