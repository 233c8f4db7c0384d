"""The network: nothing comes in, nothing costs a NAT, the event source can reach Lambda."""


def test_no_rule_lets_anything_in_but_from_a_group_of_our_own(assembly):
    groups = assembly.all("AWS::EC2::SecurityGroup")
    assert len(groups) in (2, 3)
    for group in groups.values():
        assert "SecurityGroupIngress" not in group["Properties"]
    for rule in assembly.properties("AWS::EC2::SecurityGroupIngress"):
        assert "CidrIp" not in rule
        assert "CidrIpv6" not in rule
        assert rule["SourceSecurityGroupId"]["Fn::GetAtt"][0] in groups


def worker_group(assembly):
    (found,) = [
        name
        for name, group in assembly.all("AWS::EC2::SecurityGroup").items()
        if group["Properties"]["GroupDescription"].startswith("Workers")
    ]
    return found


def test_no_rule_at_all_lets_anything_into_the_workers(assembly):
    group = {"Fn::GetAtt": [worker_group(assembly), "GroupId"]}
    for rule in assembly.properties("AWS::EC2::SecurityGroupIngress"):
        assert rule["GroupId"] != group


def test_the_workers_reach_only_the_exchanges_ports(small, standard):
    for assembly, ports in ((small, {443, 9443}), (standard, {443, 7443, 9443})):
        group = assembly.all("AWS::EC2::SecurityGroup")[worker_group(assembly)]["Properties"]
        rules = group["SecurityGroupEgress"]
        assert {(rule["FromPort"], rule["ToPort"]) for rule in rules} == {
            (port, port) for port in ports
        }
        assert {rule["IpProtocol"] for rule in rules} == {"tcp"}


def test_the_brokers_let_in_workers_and_themselves_on_the_sign_in_ports_only(small, scram):
    for assembly, ports in ((small, {9098}), (scram, {9096, 9098})):
        rules = assembly.properties("AWS::EC2::SecurityGroupIngress")
        kafka = [rule for rule in rules if "Kafka" in rule["Description"]]
        assert {rule["FromPort"] for rule in kafka} == ports
        (own,) = [rule for rule in kafka if rule["GroupId"] == rule["SourceSecurityGroupId"]]
        assert (own["FromPort"], own["ToPort"]) == (9098, 9098)


def test_there_is_no_nat_and_the_brokers_subnets_have_no_way_out(assembly):
    assert not assembly.all("AWS::EC2::NatGateway")
    assert not assembly.all("AWS::EC2::EIP")
    routed = {
        route["RouteTableId"]["Ref"]
        for route in assembly.properties("AWS::EC2::Route")
        if route["DestinationCidrBlock"] == "0.0.0.0/0"
    }
    tables = {
        link["SubnetId"]["Ref"]: link["RouteTableId"]["Ref"]
        for link in assembly.properties("AWS::EC2::SubnetRouteTableAssociation")
    }
    brokers = assembly.only("AWS::MSK::Cluster")["BrokerNodeGroupInfo"]["ClientSubnets"]
    for subnet in brokers:
        assert tables[subnet["Ref"]] not in routed


def test_s3_and_dynamodb_are_reached_inside_the_vpc_from_every_subnet(assembly, flat):
    tables = {f"${{{name}}}" for name in assembly.all("AWS::EC2::RouteTable")}
    gateways = {
        flat(endpoint["ServiceName"]).rsplit(".", 1)[1]: {
            flat(table) for table in endpoint["RouteTableIds"]
        }
        for endpoint in assembly.properties("AWS::EC2::VPCEndpoint")
        if endpoint["VpcEndpointType"] == "Gateway"
    }
    assert gateways == {"s3": tables, "dynamodb": tables}


def interface_endpoints(assembly, flat):
    return {
        flat(endpoint["ServiceName"]).rsplit(".", 1)[1]: endpoint
        for endpoint in assembly.properties("AWS::EC2::VPCEndpoint")
        if endpoint["VpcEndpointType"] == "Interface"
    }


def test_an_on_demand_event_source_finds_lambda_and_sts_in_the_brokers_subnets(small, flat):
    endpoints = interface_endpoints(small, flat)
    assert set(endpoints) == {"lambda", "sts"}
    subnets = small.only("AWS::MSK::Cluster")["BrokerNodeGroupInfo"]["ClientSubnets"]
    (brokers,) = small.only("AWS::MSK::Cluster")["BrokerNodeGroupInfo"]["SecurityGroups"]
    for endpoint in endpoints.values():
        assert endpoint["SubnetIds"] == subnets
        assert endpoint["PrivateDnsEnabled"] is True
        (group,) = endpoint["SecurityGroupIds"]
        (rule,) = [
            rule
            for rule in small.properties("AWS::EC2::SecurityGroupIngress")
            if rule["GroupId"] == group
        ]
        assert rule["SourceSecurityGroupId"] == brokers
        assert (rule["FromPort"], rule["ToPort"]) == (443, 443)


def test_a_provisioned_event_source_needs_no_interface_endpoint(standard, flat):
    assert interface_endpoints(standard, flat) == {}


def test_an_execute_api_endpoint_never_hijacks_the_public_api_names(assembly, flat):
    assert "execute-api" not in interface_endpoints(assembly, flat)


def test_refused_traffic_is_logged(assembly):
    log = assembly.only("AWS::EC2::FlowLog")
    assert log["TrafficType"] == "REJECT"
    assert log["ResourceType"] == "VPC"


def test_the_brokers_stand_in_as_many_zones_as_there_are(small, standard):
    for assembly, zones in ((small, 2), (standard, 3)):
        cluster = assembly.only("AWS::MSK::Cluster")
        assert cluster["NumberOfBrokerNodes"] == zones
        subnets = assembly.all("AWS::EC2::Subnet")
        chosen = {
            str(subnets[subnet["Ref"]]["Properties"]["AvailabilityZone"])
            for subnet in cluster["BrokerNodeGroupInfo"]["ClientSubnets"]
        }
        assert len(chosen) == zones
