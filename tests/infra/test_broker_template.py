"""Kafka: TLS and sign-in only, and exactly the topics of `marketdata.topics`."""

import base64

from marketdata.topics import TOPICS


def properties_of(text):
    return dict(line.split("=", 1) for line in text.splitlines())


def server_properties(assembly):
    return properties_of(assembly.only("AWS::MSK::Configuration")["ServerProperties"])


def test_clients_and_brokers_speak_tls_only(assembly):
    transit = assembly.only("AWS::MSK::Cluster")["EncryptionInfo"]["EncryptionInTransit"]
    assert transit == {"ClientBroker": "TLS", "InCluster": True}


def test_nobody_gets_in_without_signing_in(small, standard, scram):
    for assembly, password in ((small, False), (standard, False), (scram, True)):
        authentication = assembly.only("AWS::MSK::Cluster")["ClientAuthentication"]
        assert authentication["Unauthenticated"] == {"Enabled": False}
        assert authentication["Sasl"]["Iam"] == {"Enabled": True}
        assert ("Scram" in authentication["Sasl"]) is password
        assert "Tls" not in authentication


def test_the_topics_are_those_of_the_language(assembly):
    topics = {topic["TopicName"]: topic for topic in assembly.properties("AWS::MSK::Topic")}
    assert set(topics) == set(TOPICS)
    replication = {2: 2, 3: 3}[assembly.only("AWS::MSK::Cluster")["NumberOfBrokerNodes"]]
    for name, topic in TOPICS.items():
        assert topics[name]["PartitionCount"] == topic.partitions
        assert topics[name]["ReplicationFactor"] == replication
        configs = properties_of(base64.b64decode(topics[name]["Configs"]).decode())
        assert configs == topic.configs | {"min.insync.replicas": str(replication - 1)}
        assert configs["message.timestamp.type"] == "LogAppendTime"
        assert configs["unclean.leader.election.enable"] == "false"
        assert configs["cleanup.policy"] == "delete"


def test_a_topic_outlives_a_slip_in_a_template(assembly):
    for topic in assembly.all("AWS::MSK::Topic").values():
        assert topic["DeletionPolicy"] == "RetainExceptOnCreate"
        assert topic["UpdateReplacePolicy"] == "Retain"


def test_topics_are_made_one_after_the_other(assembly):
    topics = assembly.all("AWS::MSK::Topic")
    before = {
        name: {other for other in resource["DependsOn"] if other in topics}
        for name, resource in topics.items()
    }
    assert sorted(len(others) for others in before.values()) == [0] + [1] * (len(topics) - 1)
    assert len(set.union(*before.values())) == len(topics) - 1


def test_the_brokers_keep_rules_2_and_4(assembly):
    found = server_properties(assembly)
    assert found["auto.create.topics.enable"] == "false"
    assert found["unclean.leader.election.enable"] == "false"
    assert found["log.message.timestamp.type"] == "LogAppendTime"
    largest = max(topic.max_message_bytes for topic in TOPICS.values())
    assert int(found["message.max.bytes"]) == largest
    assert int(found["replica.fetch.max.bytes"]) >= largest


def test_a_standard_cluster_acknowledges_on_two_brokers(small, standard):
    for assembly, replication, insync in ((small, "2", "1"), (standard, "3", "2")):
        found = server_properties(assembly)
        assert found["default.replication.factor"] == replication
        assert found["min.insync.replicas"] == insync


def test_a_changed_configuration_reaches_the_cluster_as_a_new_revision(assembly):
    used = assembly.only("AWS::MSK::Cluster")["ConfigurationInfo"]
    (name,) = assembly.all("AWS::MSK::Configuration")
    assert used["Arn"] == {"Fn::GetAtt": [name, "Arn"]}
    assert used["Revision"] == {"Fn::GetAtt": [name, "LatestRevision.Revision"]}


def test_the_sizes_have_their_brokers_and_disks(small, standard):
    for assembly, kind, disk in (
        (small, "kafka.t3.small", 50),
        (standard, "kafka.m7g.large", 250),
    ):
        group = assembly.only("AWS::MSK::Cluster")["BrokerNodeGroupInfo"]
        assert group["InstanceType"] == kind
        assert group["StorageInfo"]["EBSStorageInfo"]["VolumeSize"] == disk


def test_broker_logs_are_kept(assembly):
    logs = assembly.only("AWS::MSK::Cluster")["LoggingInfo"]["BrokerLogs"]["CloudWatchLogs"]
    assert logs["Enabled"] is True
    group = assembly.all("AWS::Logs::LogGroup")[logs["LogGroup"]["Ref"]]
    assert group["Properties"]["RetentionInDays"] == 30


def test_a_password_is_made_by_aws_under_a_key_of_our_own(small, scram):
    assert not small.all("AWS::SecretsManager::Secret")
    secret = scram.only("AWS::SecretsManager::Secret")
    assert secret["Name"].startswith("AmazonMSK_")
    assert "SecretString" not in secret
    (key,) = scram.all("AWS::KMS::Key")
    assert secret["KmsKeyId"] == {"Fn::GetAtt": [key, "Arn"]}
    assert scram.only("AWS::KMS::Key")["EnableKeyRotation"] is True
    (name,) = scram.all("AWS::SecretsManager::Secret")
    assert scram.only("AWS::MSK::BatchScramSecret")["SecretArnList"] == [{"Ref": name}]
