"""The S3 port on the real store: conditions, and what its errors become."""

import socket

import pytest

from container_worker.object_store import ObjectStore, s3_client
from marketdata.errors import StoreConflict, StoreError, StoreUnavailable

pytestmark = pytest.mark.services

PATH = "data/x.csv"


@pytest.fixture
def store(object_bucket):
    return object_bucket()


def test_the_first_version_is_written_once(store):
    etag = store.put(PATH, b"one", {"rows": "1"}, base=None)
    with pytest.raises(StoreConflict):
        store.put(PATH, b"two", {}, base=None)
    assert store.load(PATH) == (b"one", etag)
    assert store.head(PATH).metadata == {"rows": "1"}


def test_a_version_is_replaced_only_by_who_knows_it(store):
    first = store.put(PATH, b"one", {}, base=None)
    second = store.put(PATH, b"two", {}, base=first)
    with pytest.raises(StoreConflict):
        store.put(PATH, b"three", {}, base=first)
    with pytest.raises(StoreConflict):
        store.read(PATH, 0, 3, etag=first)
    assert store.read(PATH, 1, 3, etag=second) == b"wo"


def test_what_is_not_there_is_none(store):
    assert store.head(PATH) is None
    assert store.load(PATH) is None
    assert list(store.paths("data/")) == []


def test_a_multipart_upload_is_completed_only_on_the_version_that_it_copied(store):
    base = store.put(PATH, b"x" * 6_000_000, {}, base=None)
    upload = store.begin(PATH, {"rows": "2"})
    parts = [store.copy_part(PATH, upload, 1, (0, 6_000_000), etag=base)]
    parts.append(store.upload_part(PATH, upload, 2, b"tail"))
    other = store.put(PATH, b"y" * 6_000_000, {}, base=base)
    with pytest.raises(StoreConflict):
        store.complete(PATH, upload, parts, base=base)
    with pytest.raises(StoreConflict):
        store.copy_part(PATH, upload, 1, (0, 6_000_000), etag=base)
    store.abort(PATH, upload)
    with pytest.raises(StoreConflict):
        store.complete(PATH, upload, parts, base=other)
    assert store.head(PATH).etag == other


def test_a_bucket_that_is_not_there_is_named(s3):
    store = ObjectStore("no-such-bucket", s3_client(s3))
    with pytest.raises(StoreError, match="there is no bucket no-such-bucket"):
        store.check()
    with pytest.raises(StoreError) as caught:
        store.put(PATH, b"", {}, base=None)
    assert not isinstance(caught.value, StoreConflict | StoreUnavailable)


def test_a_store_that_does_not_answer_is_worth_another_try():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}"
        store = ObjectStore("bucket", s3_client(closed))
        with pytest.raises(StoreUnavailable, match="EndpointConnectionError"):
            store.head(PATH)
