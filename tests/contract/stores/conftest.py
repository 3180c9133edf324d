"""Every store, each on fresh state. `stores()` opens the same state again, as a second process would; `damage` writes
something else over stored bodies."""

from __future__ import annotations

import os
import sqlite3
import uuid
from contextlib import closing
from datetime import timedelta

import boto3
import pytest
from moto import mock_aws

from tests.contract.stores.strict_client import StrictClient
from tests.moto_speed import copying_tables_once
from tests.template.template import table_shape
from wabawatch.adapters.stores.dynamodb import DynamoDBStore
from wabawatch.adapters.stores.sqlite import SqliteStore

ENDPOINT = "WABAWATCH_TEST_DYNAMODB_ENDPOINT"
"""Where a DynamoDB emulator answers, in the environment: then everything runs against it too, as `make e2e` does."""
DYNAMODB = ["moto", *(["emulator"] if os.environ.get(ENDPOINT) else [])]
HISTORY = timedelta(days=400)


@pytest.fixture(scope="module")
def moto_client():
    with mock_aws(), copying_tables_once():
        yield boto3.client("dynamodb", region_name="eu-central-1")


@pytest.fixture(scope="session")
def emulator_client():
    credentials = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    client = boto3.client("dynamodb", region_name="eu-central-1", endpoint_url=os.environ[ENDPOINT], **credentials)
    yield client
    client.close()


@pytest.fixture(params=DYNAMODB)
def dynamodb(request):
    """A client and the name of an empty table."""
    return _empty_table(request, request.param)


def _empty_table(request, kind):
    client = request.getfixturevalue(f"{kind}_client")
    name = f"state-{uuid.uuid4().hex}"
    client.create_table(TableName=name, **table_shape())
    return StrictClient(client), name


@pytest.fixture(params=["sqlite", *(f"dynamodb-{kind}" for kind in DYNAMODB)])
def state(request, tmp_path):
    """Where a state is kept, empty: the path of a file, or a client and the name of a table."""
    kind, _, emulator = request.param.partition("-")
    return _empty_table(request, emulator) if kind == "dynamodb" else tmp_path / "state.db"


@pytest.fixture
def stores(state):
    """Opens a store on one and the same state, each time it is called."""
    opened = []

    def open_one():
        opened.append(DynamoDBStore(*state, HISTORY) if isinstance(state, tuple) else SqliteStore(state))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(stores):
    return stores()


UNREADABLE = b"\x01\xc1"
"""A body of the present format that no value has."""
ROWS = {
    "snapshot": ("snapshots", "target", "body", ("SNAP#",), "body"),
    "observation": ("log", "target", "observation", ("LOG#",), "seen"),
    "transitions": ("log", "target", "transitions", ("LOG#",), "body"),
    "pending change": ("pending_changes", "target", "body", ("PENDING#",), "body"),
    "run": ("runs", "id", "body", ("RUN#",), "body"),
    "shard coverage": ("shard_coverage", "shard", "body", ("COVERAGE",), "body"),
    "day coverage": ("day_coverage", "shard", "body", ("DAY#",), "body"),
    "incident": ("incidents", "id", "body", ("LIVE#", "DONE#"), "body"),
    "member": ("members", "target", "body", ("MEMBER#",), "body"),
    "queued notification": ("queued_notifications", "id", "body", ("QUEUE",), "body"),
    "silence": ("silences", "id", "body", ("SILENCE",), "body"),
    "acknowledgement": ("acknowledgements", "incident", "body", ("ACK",), "body"),
}
"""Where each kind is: table, column of its name and column of its body in SQLite; the partitions and the attribute of
its body in DynamoDB, where the sort key has the name."""


@pytest.fixture
def damage(state):
    """Overwrites the stored bodies of a kind, of rows with this name."""

    def overwrite(kind, name, body=UNREADABLE):
        table, column, body_column, partitions, attribute = ROWS[kind]
        if not isinstance(state, tuple):
            with closing(sqlite3.connect(state)) as connection, connection:
                statement = f"UPDATE {table} SET {body_column} = ? WHERE {column} = ?"  # noqa: S608  # names of ours
                assert connection.execute(statement, (body, name)).rowcount
            return
        client, table_name = state
        items = [item for item in client.rows(table_name, *partitions) if name in item["sk"]["S"].split("#")]
        assert items
        for item in items:
            client.put_item(TableName=table_name, Item={**item, attribute: {"B": body}})

    return overwrite
