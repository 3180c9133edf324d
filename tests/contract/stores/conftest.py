"""Every store, each on fresh state. `stores()` opens the same state again, as a second process would."""

from __future__ import annotations

import os
import uuid
from datetime import timedelta
from pathlib import Path

import boto3
import pytest
import yaml
from moto import mock_aws

from tests.contract.stores.strict_client import StrictClient
from wabawatch.adapters.stores.dynamodb import DynamoStore
from wabawatch.adapters.stores.sqlite import SqliteStore

ENDPOINT = "WABAWATCH_TEST_DYNAMODB_ENDPOINT"
HISTORY = timedelta(days=400)
ROOT = Path(__file__).parents[3]


class TemplateLoader(yaml.SafeLoader):
    """Reads a template without resolving its functions."""


TemplateLoader.add_multi_constructor("!", lambda _loader, tag, _node: tag)


@pytest.fixture(scope="session")
def table_shape():
    """The table as the template makes it, so that the store is tested on no other."""
    template = yaml.load((ROOT / "template.yaml").read_text(), TemplateLoader)  # noqa: S506  # a safe loader's child
    properties = template["Resources"]["WabawatchTable"]["Properties"]
    names = ("BillingMode", "KeySchema", "AttributeDefinitions", "LocalSecondaryIndexes")
    return {name: properties[name] for name in names}


@pytest.fixture(scope="module")
def moto_client():
    with mock_aws():
        yield boto3.client("dynamodb", region_name="eu-central-1")


@pytest.fixture(scope="session")
def emulator_client():
    credentials = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client(
        "dynamodb", region_name="eu-central-1", endpoint_url=os.environ[ENDPOINT], verify=False, **credentials
    )


@pytest.fixture
def dynamodb(moto_client, table_shape):
    """A client and the name of an empty table."""
    return StrictClient(moto_client), _new_table(moto_client, table_shape)


def _new_table(client, shape):
    name = f"state-{uuid.uuid4().hex}"
    client.create_table(TableName=name, **shape)
    return name


@pytest.fixture(params=["sqlite", "dynamodb", *(["dynamodb-emulator"] if os.environ.get(ENDPOINT) else [])])
def stores(request, tmp_path):
    """Opens a store on one and the same state, each time it is called."""
    opened = []
    if request.param == "sqlite":
        make = lambda: SqliteStore(tmp_path / "state.db")  # noqa: E731  # the shortest way to say it
    elif request.param == "dynamodb":
        client, name = request.getfixturevalue("dynamodb")
        make = lambda: DynamoStore(client, name, HISTORY)  # noqa: E731
    else:
        real = request.getfixturevalue("emulator_client")
        name = _new_table(real, request.getfixturevalue("table_shape"))
        make = lambda: DynamoStore(StrictClient(real), name, HISTORY)  # noqa: E731

    def open_one():
        opened.append(make())
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(stores):
    return stores()
