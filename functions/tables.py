"""This process's tables, made when first needed and kept while the function is warm."""

import functools

from functions.connections import ConnectionsTable
from functions.dynamodb import dynamodb
from functions.instruments import InstrumentsTable
from functions.keys import KeysTable
from functions.settings import settings


@functools.cache
def connections_table() -> ConnectionsTable:
    """Connections and subscriptions."""
    return ConnectionsTable(
        dynamodb(), settings().having("connections_table").connections_table
    )


@functools.cache
def keys_table() -> KeysTable:
    """API keys."""
    return KeysTable(dynamodb(), settings().having("keys_table").keys_table)


@functools.cache
def instruments_table() -> InstrumentsTable:
    """What is captured."""
    return InstrumentsTable(
        dynamodb(), settings().having("instruments_table").instruments_table
    )
