"""Every store, each on fresh state. `stores()` opens the same state again, as a second process would."""

from __future__ import annotations

import os
import uuid
from datetime import timedelta

import boto3
import pytest
from moto import mock_aws

from tests.contract.stores.strict_client import StrictClient
from tests.template.template import table_shape
from wabawatch.adapters.stores.dynamodb import DynamoStore
from wabawatch.adapters.stores.sqlite import SqliteStore

ENDPOINT = "WABAWATCH_TEST_DYNAMODB_ENDPOINT"
"""Where a DynamoDB emulator answers, in the environment: then everything runs against it too, as `make e2e` does."""
DYNAMODB = ["moto", *(["emulator"] if os.environ.get(ENDPOINT) else [])]
HISTORY = timedelta(days=400)


@pytest.fixture(scope="module")
def moto_client():
    with mock_aws():
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
def stores(request, tmp_path):
    """Opens a store on one and the same state, each time it is called."""
    opened = []
    kind, _, emulator = request.param.partition("-")
    table = _empty_table(request, emulator) if kind == "dynamodb" else ()
    make = (lambda: DynamoStore(*table, HISTORY)) if table else (lambda: SqliteStore(tmp_path / "state.db"))

    def open_one():
        opened.append(make())
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(stores):
    return stores()
