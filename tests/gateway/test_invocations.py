"""Lambda's Invoke on the local gateway, asked by boto3 as a function would."""

import json

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError


@pytest.fixture
def lambdas(gateway):
    return boto3.client(
        "lambda",
        endpoint_url=f"{gateway.api}/_lambda",
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )


def test_only_what_is_there_can_be_invoked(lambdas):
    with pytest.raises(ClientError) as refused:
        lambdas.invoke(FunctionName="push", Payload=b"{}")
    assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_an_event_is_accepted_at_once_whatever_becomes_of_it(lambdas):
    answer = lambdas.invoke(FunctionName="welcome", InvocationType="Event", Payload=b"{}")
    assert answer["StatusCode"] == 202


def test_a_function_that_fails_says_so_in_lambdas_way(lambdas):
    answer = lambdas.invoke(FunctionName="welcome", Payload=b'{"not":"what it wants"}')
    assert answer["FunctionError"] == "Unhandled"
    assert json.loads(answer["Payload"].read())["errorType"]
