"""What is kept and what may go, and how it is shut."""

import pytest


def bucket(assembly):
    ((name, found),) = assembly.all("AWS::S3::Bucket").items()
    return name, found


def table(assembly, word):
    (found,) = [
        resource
        for name, resource in assembly.all("AWS::DynamoDB::Table").items()
        if word in name
    ]
    return found


def test_the_bucket_is_shut_to_the_public_and_encrypted(assembly):
    _, found = bucket(assembly)
    assert set(found["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    (rule,) = found["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    (ownership,) = found["Properties"]["OwnershipControls"]["Rules"]
    assert ownership["ObjectOwnership"] == "BucketOwnerEnforced"


def test_the_bucket_refuses_plain_http_and_old_tls(assembly):
    policy = assembly.only("AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
    conditions = [one["Condition"] for one in policy if one["Effect"] == "Deny"]
    assert {"Bool": {"aws:SecureTransport": "false"}} in conditions
    assert {"NumericLessThan": {"s3:TlsVersion": 1.2}} in conditions
    assert all(one["Effect"] == "Deny" for one in policy)


def test_unfinished_uploads_go_after_a_day_and_nothing_else_ever_goes(assembly):
    _, found = bucket(assembly)
    (rule,) = found["Properties"]["LifecycleConfiguration"]["Rules"]
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert not [key for key in rule if "Expiration" in key or "Transition" in key]


def test_growing_objects_are_not_kept_in_versions(assembly):
    _, found = bucket(assembly)
    assert "VersioningConfiguration" not in found["Properties"]


def test_the_archive_outlives_its_stack_unless_told_otherwise(small, standard):
    assert bucket(small)[1]["DeletionPolicy"] == "Retain"
    assert bucket(small)[1]["UpdateReplacePolicy"] == "Retain"
    assert bucket(standard)[1]["DeletionPolicy"] == "Delete"


@pytest.mark.parametrize("word", ["Keys", "Candles"])
def test_keys_and_candles_are_kept_and_can_be_brought_back_to_any_second(small, standard, word):
    for assembly, kept in ((small, True), (standard, False)):
        found = table(assembly, word)
        assert found["DeletionPolicy"] == ("Retain" if kept else "Delete")
        assert found["Properties"]["DeletionProtectionEnabled"] is kept
        recovery = found["Properties"]["PointInTimeRecoverySpecification"]
        assert recovery["PointInTimeRecoveryEnabled"] is True


def test_tables_that_fill_themselves_again_go_with_their_stack(assembly):
    for word in ("Connections", "Instruments", "Limits", "Ring"):
        assert table(assembly, word)["DeletionPolicy"] == "Delete"


def test_every_table_has_the_shape_that_the_functions_use(assembly):
    tables = assembly.properties("AWS::DynamoDB::Table")
    assert len(tables) == 6
    for properties in tables:
        assert properties["KeySchema"] == [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ]
        assert {one["AttributeType"] for one in properties["AttributeDefinitions"]} == {"S"}
        assert properties["TimeToLiveSpecification"] == {
            "AttributeName": "exp",
            "Enabled": True,
        }
        assert properties["BillingMode"] == "PAY_PER_REQUEST"


def test_every_log_group_forgets_after_a_month(assembly):
    groups = assembly.all("AWS::Logs::LogGroup")
    assert len(groups) >= 12
    for group in groups.values():
        assert group["Properties"]["RetentionInDays"] == 30
        assert group["DeletionPolicy"] == "Delete"


def test_stacks_that_hold_data_are_protected_unless_told_otherwise(small, standard):
    import json  # noqa: PLC0415

    for assembly, protected in ((small, True), (standard, False)):
        manifest = json.loads((assembly.folder / "manifest.json").read_text())["artifacts"]
        for stack in ("TapedeckNetwork", "TapedeckStorage"):
            found = manifest[stack]["properties"].get("terminationProtection", False)
            assert found is protected
