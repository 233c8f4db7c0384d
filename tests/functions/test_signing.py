"""Our signatures are the SDK's, for any request."""

import hashlib
from datetime import UTC, datetime
from urllib.parse import quote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SdkCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from functions import signing
from functions.signing import Credentials, Signer

NOW_S = 1_791_000_000.0


def sdk_authorization(url, body, credentials):
    """What botocore signs, at our moment."""
    request = AWSRequest("POST", url, data=body)
    request.context["timestamp"] = f"{datetime.fromtimestamp(NOW_S, UTC):%Y%m%dT%H%M%SZ}"
    signer = SigV4Auth(SdkCredentials(*credentials), "execute-api", "eu-west-1")
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    if credentials[2]:
        request.headers["X-Amz-Security-Token"] = credentials[2]
    text = signer.string_to_sign(request, signer.canonical_request(request))
    signature = signer.signature(text, request)
    names = ";".join(sorted(name.lower() for name in ["host", *request.headers]))
    return (
        f"authorization: AWS4-HMAC-SHA256 Credential={signer.scope(request)}, "
        f"SignedHeaders={names}, Signature={signature}"
    )


@settings(max_examples=60)
@given(
    # The SDK takes these two for folders of the path; API Gateway gives no such id.
    connection_id=st.text(min_size=1, max_size=20).filter(lambda one: one not in {".", ".."}),
    body=st.binary(max_size=200),
    token=st.sampled_from([None, "a/token+with=signs"]),
    prefix=st.sampled_from(["/stream", "", "/_management/stream"]),
)
def test_a_signature_equals_the_sdks(connection_id, body, token, prefix):
    credentials = ("AKID", "secret/key+", token)
    host = "abc.execute-api.eu-west-1.amazonaws.com"
    path = f"{prefix}/@connections/{quote(connection_id.encode('utf-8', 'replace'), safe='')}"
    signer = Signer(Credentials(*credentials), region="eu-west-1", host=host, now_s=NOW_S)
    lines = signer.headers(path, hashlib.sha256(body).hexdigest()).split("\r\n")
    assert lines[-1] == ""
    assert sdk_authorization(f"https://{host}{path}", body, credentials) in lines


def test_a_signer_serves_many_requests():
    signer = Signer(Credentials("A", "S"), region="r", host="h", now_s=NOW_S)
    first = signer.headers("/a", "0" * 64)
    signer.headers("/b", "1" * 64)
    assert signer.headers("/a", "0" * 64) == first
    assert signing.SERVICE == "execute-api"
