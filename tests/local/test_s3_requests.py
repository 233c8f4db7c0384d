"""What the lock makes of a request, and how it judges a condition."""

import pytest

from local.s3_lock import TORN_WRITE
from local.s3_requests import FAILED, NO_SUCH_KEY, Condition, refusal, understand


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "locks"),
    [
        ("GET", "/b/k", "", {}, {"b/k": False}),
        ("HEAD", "/b/k%20x", "", {}, {"b/k x": False}),
        ("GET", "/b", "list-type=2&prefix=k", {}, {}),
        ("GET", "/", "", {}, {}),
        ("PUT", "/b", "", {}, {}),
        ("PUT", "/b/k", "", {}, {"b/k": True}),
        ("DELETE", "/b/k", "", {}, {"b/k": True}),
        ("DELETE", "/b/k", "uploadId=u", {}, {"b/k": True}),
        ("POST", "/b/k", "uploads", {}, {}),
        ("POST", "/b/k", "uploadId=u", {}, {"b/k": True}),
        ("PUT", "/b/k", "partNumber=1&uploadId=u", {}, {}),
        (
            "PUT",
            "/b/k",
            "partNumber=1&uploadId=u",
            {"x-amz-copy-source": "b/k"},
            {"b/k": False},
        ),
        ("PUT", "/b/k", "", {"x-amz-copy-source": "/b/o%2Fx"}, {"b/k": True, "b/o/x": False}),
        ("PUT", "/b/k", "", {"x-amz-copy-source": "b/k?versionId=1"}, {"b/k": True}),
    ],
)
def test_keys_that_a_request_holds(method, path, query, headers, locks):
    assert understand(method, path, query, headers).locks == locks


def test_only_writes_of_whole_bodies_are_taken_from_the_client_first():
    assert understand("PUT", "/b/k", "", {}).spooled
    assert understand("POST", "/b/k", "uploadId=u", {}).spooled
    assert not understand("PUT", "/b/k", "partNumber=1&uploadId=u", {}).spooled
    assert not understand("GET", "/b/k", "", {}).spooled


@pytest.mark.parametrize(
    ("match", "none_match", "etag", "refused"),
    [
        ('"1"', None, '"1"', None),
        ("1", None, '"1"', None),
        ("*", None, '"1"', None),
        ('"1"', None, '"2"', FAILED),
        ('"1"', None, None, NO_SUCH_KEY),
        ("*", None, None, NO_SUCH_KEY),
        (None, "*", None, None),
        (None, "*", '"1"', FAILED),
        (None, '"1"', '"1"', FAILED),
        (None, '"1"', '"2"', None),
        ('"1", "2"', None, '"2"', None),
        ('"1-3"', None, '"1"', FAILED),
    ],
)
def test_conditions_are_judged_as_s3_judges_them(match, none_match, etag, refused):
    assert refusal(Condition("/b/k", match, none_match), etag) == refused


def test_what_is_being_written_is_taken_out_of_a_list():
    kept = b"<Contents><Key>data/a.csv</Key><Size>1</Size></Contents>"
    torn = kept.replace(b"a.csv", b"a.csv-9d15703a-0975-4b22-ab81-b365c488a740")
    assert TORN_WRITE.sub(b"", b"<R>" + torn + kept + torn + b"</R>") == b"<R>" + kept + b"</R>"
