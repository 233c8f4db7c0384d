"""The lock before S3Proxy: conditions hold exactly, whoever races (rule 19)."""

import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local import embedded
from local.ports import free_ports
from local.processes import Command

pytestmark = pytest.mark.services

BUCKET = "tapedeck"
MEBIBYTE = 1024 * 1024
WRITERS = 8
ROUNDS = 60


@pytest.fixture(scope="module")
def client(s3):
    return s3_client(s3)


def s3_client(endpoint, **options):
    config = Config(retries={"total_max_attempts": 1}, max_pool_connections=20, **options)
    return boto3.client("s3", endpoint_url=endpoint, config=config)


def refused(call, **arguments):
    """The code and HTTP status with which S3 refuses a call, or None."""
    try:
        call(Bucket=BUCKET, **arguments)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return code, error.response["ResponseMetadata"]["HTTPStatusCode"]
    return None


FAILED = ("PreconditionFailed", 412)


def put(client, key, body, **arguments):
    return client.put_object(Bucket=BUCKET, Key=key, Body=body, **arguments)["ETag"]


def read(client, key):
    return client.get_object(Bucket=BUCKET, Key=key)["Body"].read()


def begin(client, key, **arguments):
    return client.create_multipart_upload(Bucket=BUCKET, Key=key, **arguments)["UploadId"]


def part(client, key, upload, number, body):
    answer = client.upload_part(
        Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=number, Body=body
    )
    return {"PartNumber": number, "ETag": answer["ETag"]}


def copied_part(client, key, upload, number, **arguments):
    answer = client.upload_part_copy(
        Bucket=BUCKET,
        Key=key,
        UploadId=upload,
        PartNumber=number,
        CopySource={"Bucket": BUCKET, "Key": key},
        **arguments,
    )
    return {"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]}


def race(contenders):
    """Run all at the same moment; the results in order, None for a refusal with 412."""
    gate = threading.Barrier(len(contenders))

    def run(contender):
        gate.wait()
        try:
            return contender()
        except ClientError as error:
            if error.response["Error"]["Code"] != "PreconditionFailed":
                raise
            return None

    with ThreadPoolExecutor(len(contenders)) as pool:
        return list(pool.map(run, contenders))


def test_of_eight_writers_that_create_exactly_one_wins_each_round(client):
    for round_ in range(ROUNDS):
        key = f"race/create-{round_}"
        results = race(
            [
                lambda n=n, key=key: put(client, key, b"writer %d" % n, IfNoneMatch="*")
                for n in range(WRITERS)
            ]
        )
        winners = [n for n, etag in enumerate(results) if etag]
        assert len(winners) == 1
        assert read(client, key) == b"writer %d" % winners[0]


def test_of_eight_writers_that_replace_exactly_one_wins_each_round(client):
    key = "race/replace"
    etag = put(client, key, b"start")
    for round_ in range(ROUNDS):
        results = race(
            [
                lambda n=n, etag=etag, round_=round_: put(
                    client, key, b"%d by %d" % (round_, n), IfMatch=etag
                )
                for n in range(WRITERS)
            ]
        )
        winners = [n for n, result in enumerate(results) if result]
        assert len(winners) == 1
        assert read(client, key) == b"%d by %d" % (round_, winners[0])
        etag = results[winners[0]]


def test_of_eight_multipart_uploads_that_replace_exactly_one_wins_each_round(client):
    key = "race/multipart"
    etag = put(client, key, b"start")
    for round_ in range(15):
        uploads = []
        for n in range(WRITERS):
            upload = begin(client, key, Metadata={"writer": str(n)})
            uploads.append((upload, part(client, key, upload, 1, b"%d by %d" % (round_, n))))
        results = race(
            [
                lambda upload=upload, one=one, etag=etag: client.complete_multipart_upload(
                    Bucket=BUCKET,
                    Key=key,
                    UploadId=upload,
                    MultipartUpload={"Parts": [one]},
                    IfMatch=etag,
                )["ETag"]
                for upload, one in uploads
            ]
        )
        winners = [n for n, result in enumerate(results) if result]
        assert len(winners) == 1
        head = client.head_object(Bucket=BUCKET, Key=key)
        assert head["Metadata"] == {"writer": str(winners[0])}
        assert head["ETag"] == results[winners[0]]
        assert read(client, key) == b"%d by %d" % (round_, winners[0])
        etag = head["ETag"]


def test_put_and_complete_race_with_one_winner(client):
    for round_ in range(20):
        key = f"race/mixed-{round_}"
        etag = put(client, key, b"start")
        upload = begin(client, key)
        one = part(client, key, upload, 1, b"multipart")
        results = race(
            [
                lambda key=key, etag=etag: put(client, key, b"put", IfMatch=etag),
                lambda key=key, etag=etag, upload=upload, one=one: (
                    client.complete_multipart_upload(
                        Bucket=BUCKET,
                        Key=key,
                        UploadId=upload,
                        MultipartUpload={"Parts": [one]},
                        IfMatch=etag,
                    )
                ),
            ]
        )
        assert sum(result is not None for result in results) == 1
        assert read(client, key) == (b"put" if results[0] else b"multipart")


def test_a_reader_never_sees_metadata_and_bytes_of_two_versions(client):
    key = "race/read"
    put(client, key, b"0", Metadata={"version": "0"})
    stop = threading.Event()
    torn = []

    def look():
        while not stop.is_set():
            answer = client.get_object(Bucket=BUCKET, Key=key)
            body = answer["Body"].read()
            if body[:1].decode() != answer["Metadata"]["version"] or len(set(body)) != 1:
                torn.append((answer["Metadata"], body[:10]))
            head = client.head_object(Bucket=BUCKET, Key=key)
            if head["ContentLength"] != 1 + 1000 * int(head["Metadata"]["version"]):
                torn.append(head)

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(look) for _ in range(3)]
        for n in range(200):
            version = str(n % 10)
            body = version.encode() * (1 + 1000 * int(version))
            put(client, key, body, Metadata={"version": version})
        stop.set()
        for one in readers:
            one.result()
    assert torn == []


def test_put_conditions_are_answered_as_s3_answers_them(client):
    key = "conditions/put"
    missing = "conditions/missing"
    etag = put(client, key, b"one", IfNoneMatch="*")
    assert refused(client.put_object, Key=key, Body=b"x", IfNoneMatch="*") == FAILED
    assert refused(client.put_object, Key=key, Body=b"x", IfMatch='"0"') == FAILED
    assert refused(client.put_object, Key=missing, Body=b"x", IfMatch=etag) == (
        "NoSuchKey",
        404,
    )
    assert read(client, key) == b"one"
    second = put(client, key, b"two", IfMatch=etag)
    assert second != etag
    assert read(client, key) == b"two"


def test_complete_conditions_leave_the_upload_for_another_try(client):
    key = "conditions/complete"
    etag = put(client, key, b"one")
    upload = begin(client, key)
    parts = {"Parts": [part(client, key, upload, 1, b"two")]}
    arguments = {"Key": key, "UploadId": upload, "MultipartUpload": parts}
    assert refused(client.complete_multipart_upload, **arguments, IfMatch='"0"') == FAILED
    assert refused(client.complete_multipart_upload, **arguments, IfNoneMatch="*") == FAILED
    assert read(client, key) == b"one"
    client.complete_multipart_upload(Bucket=BUCKET, **arguments, IfMatch=etag)
    assert read(client, key) == b"two"


def test_complete_creates_only_what_is_not_there(client):
    key = "conditions/created"
    upload = begin(client, key)
    parts = {"Parts": [part(client, key, upload, 1, b"created")]}
    client.complete_multipart_upload(
        Bucket=BUCKET, Key=key, UploadId=upload, MultipartUpload=parts, IfNoneMatch="*"
    )
    assert read(client, key) == b"created"


def test_own_success_that_is_repeated_is_answered_412(client):
    key = "conditions/repeated"
    etag = put(client, key, b"one")
    upload = begin(client, key)
    parts = {"Parts": [part(client, key, upload, 1, b"two")]}
    arguments = {"Key": key, "UploadId": upload, "MultipartUpload": parts, "IfMatch": etag}
    client.complete_multipart_upload(Bucket=BUCKET, **arguments)
    assert refused(client.complete_multipart_upload, **arguments) == FAILED


def test_an_object_grows_by_copied_ranges_and_keeps_metadata_and_etag(client):
    key = "grow/day.csv"
    old = os.urandom(11 * MEBIBYTE)
    etag = put(client, key, old, Metadata={"next": "10"}, ContentType="text/csv")
    upload = begin(client, key, Metadata={"next": "20"}, ContentType="text/csv")
    cut = 5 * MEBIBYTE
    ranges = [(0, cut - 1), (cut, len(old) - 1)]
    parts = [
        copied_part(
            client,
            key,
            upload,
            number,
            CopySourceIfMatch=etag,
            CopySourceRange=f"bytes={first}-{last}",
        )
        for number, (first, last) in enumerate(ranges, 1)
    ]
    parts.append(part(client, key, upload, 3, b"new rows\n"))
    done = client.complete_multipart_upload(
        Bucket=BUCKET,
        Key=key,
        UploadId=upload,
        MultipartUpload={"Parts": parts},
        IfMatch=etag,
    )
    head = client.head_object(Bucket=BUCKET, Key=key)
    answer = client.get_object(Bucket=BUCKET, Key=key)
    [listed] = client.list_objects_v2(Bucket=BUCKET, Prefix=key)["Contents"]
    assert answer["Body"].read() == old + b"new rows\n"
    assert head["Metadata"] == answer["Metadata"] == {"next": "20"}
    assert head["ContentType"] == "text/csv"
    assert done["ETag"] == head["ETag"] == answer["ETag"] == listed["ETag"]


def test_a_copied_part_of_another_version_is_refused(client):
    key = "grow/changed"
    etag = put(client, key, b"x" * 100)
    upload = begin(client, key)
    put(client, key, b"y" * 100)
    arguments = {
        "Key": key,
        "UploadId": upload,
        "PartNumber": 1,
        "CopySource": {"Bucket": BUCKET, "Key": key},
    }
    assert refused(client.upload_part_copy, **arguments, CopySourceIfMatch=etag) == FAILED
    missing = arguments | {"CopySource": {"Bucket": BUCKET, "Key": "grow/missing"}}
    assert refused(client.upload_part_copy, **missing, CopySourceIfMatch=etag) == (
        "NoSuchKey",
        404,
    )


@pytest.mark.parametrize("end", ["complete", "abort", "never begun"])
def test_parts_of_an_upload_that_is_not_in_progress_are_refused(client, end):
    key = f"ended/{end}"
    put(client, key, b"x" * 100)
    upload = begin(client, key)
    parts = {"Parts": [part(client, key, upload, 1, b"x")]}
    if end == "complete":
        client.complete_multipart_upload(
            Bucket=BUCKET, Key=key, UploadId=upload, MultipartUpload=parts
        )
    elif end == "abort":
        client.abort_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload)
    else:
        upload = "never"
    arguments = {"Key": key, "UploadId": upload, "PartNumber": 2}
    source = {"Bucket": BUCKET, "Key": key}
    unknown = ("NoSuchUpload", 404)
    assert refused(client.upload_part, **arguments, Body=b"y") == unknown
    assert refused(client.upload_part_copy, **arguments, CopySource=source) == unknown


def test_read_conditions_and_ranges_pass_through(client):
    key = "read/ranges"
    etag = put(client, key, b"0123456789")
    answer = client.get_object(Bucket=BUCKET, Key=key, Range="bytes=2-4", IfMatch=etag)
    assert answer["Body"].read() == b"234"
    assert answer["ContentRange"] == "bytes 2-4/10"
    assert refused(client.get_object, Key=key, IfMatch='"0"') == FAILED
    assert refused(client.get_object, Key="read/missing") == ("NoSuchKey", 404)
    assert refused(client.head_object, Key="read/missing") == ("404", 404)


def test_keys_with_odd_characters_are_locked_and_kept(client):
    for key in ("odd/a b+c.csv", "odd/ü%25&=?.csv", "odd/sym|$*!'().csv"):
        put(client, key, key.encode(), IfNoneMatch="*")
        assert refused(client.put_object, Key=key, Body=b"x", IfNoneMatch="*") == FAILED
        assert read(client, key) == key.encode()


def test_many_keys_are_deleted_in_one_request(client):
    keys = [f"many/{n} & co" for n in range(5)]
    for key in keys:
        put(client, key, b"x")
    client.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in keys]})
    assert client.list_objects_v2(Bucket=BUCKET, Prefix="many/")["KeyCount"] == 0


def test_signatures_of_every_payload_form_pass(s3):
    for signed in (True, False):
        client = s3_client(s3, s3={"payload_signing_enabled": signed})
        key = f"signed/{signed}"
        put(client, key, b"body", ChecksumAlgorithm="SHA256")
        assert read(client, key) == b"body"


def open_request(endpoint, text):
    host, port = endpoint.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=10)
    connection.sendall(text.replace("\n", "\r\n").encode())
    return connection


def test_a_client_that_stalls_in_its_body_holds_no_key_and_is_not_listed(s3, client):
    with open_request(
        s3,
        f"PUT /{BUCKET}/stalled/key HTTP/1.1\nHost: 127.0.0.1\nContent-Length: 1000\n\nhalf",
    ):
        put(client, "stalled/key", b"another", IfNoneMatch="*")
        assert read(client, "stalled/key") == b"another"
        listed = client.list_objects_v2(Bucket=BUCKET, Prefix="stalled/")["Contents"]
        assert [one["Key"] for one in listed] == ["stalled/key"]
    assert read(client, "stalled/key") == b"another"


def test_a_reader_that_stalls_holds_no_key(s3, client):
    put(client, "stall/read", b"x" * 30 * MEBIBYTE)
    with open_request(s3, f"GET /{BUCKET}/stall/read HTTP/1.1\nHost: 127.0.0.1\n\n") as slow:
        assert slow.recv(12) == b"HTTP/1.1 200"
        put(client, "stall/read", b"new")
        assert read(client, "stall/read") == b"new"


@pytest.mark.parametrize(
    "header", ["Host: evil.example", "Host: 127.0.0.1\nOrigin: http://evil.example"]
)
def test_another_sites_requests_are_refused(s3, header):
    with open_request(s3, f"GET /{BUCKET}/any HTTP/1.1\n{header}\n\n") as connection:
        assert connection.recv(12) == b"HTTP/1.1 403"


def test_etag_and_metadata_survive_a_restart_and_a_dead_store_is_503(tmp_path):
    port, private = free_ports(2)
    settings = embedded.s3_server.write_settings(tmp_path, tmp_path / "objects", port=private)
    server = Command("s3", embedded.s3_server.start_command(settings))
    lock = Command("s3-lock", embedded.s3_lock_command(port, private))
    with ExitStack() as stack:
        stack.enter_context(embedded.running(lock, tmp_path / "lock.log", port))
        client = s3_client(f"http://127.0.0.1:{port}")
        with embedded.running(server, tmp_path / "one.log", private):
            client.create_bucket(Bucket=BUCKET)
            etag = put(client, "kept", b"x" * 100, Metadata={"next": "7"})
            upload = begin(client, "kept-parts", Metadata={"next": "8"})
            first = part(client, "kept-parts", upload, 1, b"x" * 5 * MEBIBYTE)
        code, status = refused(client.put_object, Key="kept", Body=b"lost", IfMatch=etag)
        assert (code, status) == ("ServiceUnavailable", 503)
        with embedded.running(server, tmp_path / "two.log", private):
            head = client.head_object(Bucket=BUCKET, Key="kept")
            assert (head["ETag"], head["Metadata"]) == (etag, {"next": "7"})
            second = part(client, "kept-parts", upload, 2, b"end")
            client.complete_multipart_upload(
                Bucket=BUCKET,
                Key="kept-parts",
                UploadId=upload,
                MultipartUpload={"Parts": [first, second]},
                IfNoneMatch="*",
            )
            assert client.head_object(Bucket=BUCKET, Key="kept-parts")["Metadata"] == {
                "next": "8"
            }


def test_sigterm_ends_the_lock_cleanly(tmp_path, wait_until):
    port, upstream = free_ports(2)
    command = Command("s3-lock", embedded.s3_lock_command(port, upstream))
    with embedded.running(command, tmp_path / "log", port) as child:
        child.identity.signal(signal.SIGTERM)
        wait_until(lambda: child.exit_code() is not None, 10, "the end")
        assert child.exit_code() == 0
        assert (tmp_path / "log").read_text() == ""
