"""This process's tables, made when first needed and kept while the function is warm."""

import functools

from functions.connections import ConnectionsTable
from functions.dynamodb import dynamodb
from functions.instruments import InstrumentsTable
from functions.keys import KeysTable
from functions.listeners import ListenersTable
from functions.listings import ListingsTable
from functions.newcomers import NewcomersTable
from functions.registrations import RegistrationsTable
from functions.ring import RingTable
from functions.settings import settings
from functions.subscriptions import SubscriptionsTable


@functools.cache
def connections_table() -> ConnectionsTable:
    """Connections."""
    return ConnectionsTable(dynamodb(), _connections())


@functools.cache
def subscriptions_table() -> SubscriptionsTable:
    """Subscriptions, in the table of connections."""
    return SubscriptionsTable(dynamodb(), connections_table())


@functools.cache
def newcomers_table() -> NewcomersTable:
    """What is kept of connections until they are registered, in the same table."""
    return NewcomersTable(dynamodb(), _connections())


@functools.cache
def registrations_table() -> RegistrationsTable:
    """Registrations, in the table of connections."""
    return RegistrationsTable(dynamodb(), _connections())


@functools.cache
def listeners_table() -> ListenersTable:
    """Subscriptions and registrations together, in the same table."""
    return ListenersTable(dynamodb(), _connections())


@functools.cache
def ring_table() -> RingTable:
    """What was pushed lately."""
    return RingTable(dynamodb(), settings().having("ring_table").ring_table)


@functools.cache
def keys_table() -> KeysTable:
    """API keys."""
    return KeysTable(dynamodb(), settings().having("keys_table").keys_table)


@functools.cache
def instruments_table() -> InstrumentsTable:
    """What is captured."""
    return InstrumentsTable(dynamodb(), _instruments())


@functools.cache
def listings_table() -> ListingsTable:
    """What is captured, by the names that clients use."""
    return ListingsTable(dynamodb(), _instruments())


def _connections() -> str:
    return settings().having("connections_table").connections_table


def _instruments() -> str:
    return settings().having("instruments_table").instruments_table
