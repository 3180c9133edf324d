"""Makes moto's DynamoDB transactions fast enough for tables with thousands of rows."""

from __future__ import annotations

import copy
from collections import defaultdict
from contextlib import contextmanager
from types import SimpleNamespace
from unittest.mock import patch

from moto.dynamodb import models
from moto.dynamodb.models import dynamo_type


@contextmanager
def copying_tables_once():
    """Copy a table once in each transaction, and not all of it.

    moto keeps the state from before a transaction, to go back to it when a condition fails. It makes a deep copy of the
    table for each action; the copies of one transaction are the same."""
    transact = models.DynamoDBBackend.transact_write_items
    kept = {}

    def copied(value):
        if not isinstance(value, models.Table):
            return copy.deepcopy(value)
        if id(value) not in kept:
            kept[id(value)] = _copy(value)
        return kept[id(value)]

    def transact_write_items(self, transact_items):
        kept.clear()
        return transact(self, transact_items)

    namespace = SimpleNamespace(copy=copy.copy, deepcopy=copied)
    with (
        patch.object(models, "copy", namespace),
        patch.object(models.DynamoDBBackend, "transact_write_items", transact_write_items),
    ):
        yield


def _copy(table):
    kept = copy.copy(table)
    kept.items = defaultdict(dict)
    for name, rows in table.items.items():
        kept.items[name] = {key: _copy_item(item) for key, item in rows.items()}
    return kept


def _copy_item(item):
    """Values are never changed in their place; the sizes were checked when they were written."""
    kept = copy.copy(item)
    kept.attrs = dynamo_type.LimitedSizeDict.__new__(dynamo_type.LimitedSizeDict)
    dict.update(kept.attrs, item.attrs)
    return kept
