"""boto3 against torc: the client and the resource. `python.py ENDPOINT`; see `run`."""

import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import boto3
from boto3.dynamodb.conditions import Attr, Key
from boto3.dynamodb.types import Binary
from botocore.config import Config

CONFIG = Config(connect_timeout=10, read_timeout=30, retries={"max_attempts": 1})
ENDPOINT = sys.argv[1]
client = boto3.client("dynamodb", endpoint_url=ENDPOINT, config=CONFIG)
resource = boto3.resource("dynamodb", endpoint_url=ENDPOINT, config=CONFIG)


def expect(exception, call, says=None):
    """The exception of this class that `call` must raise."""
    try:
        call()
    except exception as error:
        assert says is None or says in str(error), error
        return error
    raise AssertionError(f"{exception.__name__} was expected")


def create_tables():
    client.create_table(
        TableName="py-events",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "device", "AttributeType": "S"},
            {"AttributeName": "at", "AttributeType": "N"},
        ],
        KeySchema=[
            {"AttributeName": "device", "KeyType": "HASH"},
            {"AttributeName": "at", "KeyType": "RANGE"},
        ],
        Tags=[{"Key": "team", "Value": "sensors"}],
    )
    client.get_waiter("table_exists").wait(TableName="py-events", WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    users = resource.create_table(
        TableName="py-users",
        ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    users.wait_until_exists()
    users.reload()
    assert users.table_status == "ACTIVE" and users.provisioned_throughput["ReadCapacityUnits"] == 5
    described = client.describe_table(TableName="py-events")["Table"]
    assert described["TableArn"].endswith(":table/py-events") and described["ItemCount"] == 0
    expect(
        client.exceptions.ResourceInUseException,
        lambda: resource.create_table(
            TableName="py-users",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        ),
    )
    names = [name for page in client.get_paginator("list_tables").paginate(PaginationConfig={"PageSize": 1})
             for name in page["TableNames"]]
    assert {"py-events", "py-users"} <= set(names), names
    return users


def every_type(users):
    item = {
        "id": "all types",
        "text": "grüße 🎸 \"quoted\" \\ \n",
        "empty": "",
        "integer": 42,
        "exact": Decimal("0.1") + Decimal("0.2"),
        "large": Decimal("12345678901234567890123456789012345678"),
        "small": Decimal("-1E-130"),
        "round": Decimal("9.99E+35"),
        "bytes": Binary(bytes(range(256))),
        "no bytes": Binary(b""),
        "yes": True,
        "nothing": None,
        "list": ["a", 1, [False, {"deep": None}], Binary(b"x")],
        "map": {"": "empty name", "name with. [dots]": {"x": Decimal("1.50")}},
        "strings": {"b", "a"},
        "numbers": {1, Decimal("2.5"), -3},
        "binaries": {Binary(b"1"), Binary(b"2")},
    }
    users.put_item(Item=item)
    found = users.get_item(Key={"id": "all types"}, ConsistentRead=True)["Item"]
    assert found == item, found
    assert found["exact"] == Decimal("0.3")
    # The wire says it as DynamoDB does: no exponent, no trailing zeros.
    wire = client.get_item(TableName="py-users", Key={"id": {"S": "all types"}},
                           ProjectionExpression="#m.#x.x", ConsistentRead=True,
                           ExpressionAttributeNames={"#m": "map", "#x": "name with. [dots]"})["Item"]
    assert wire == {"map": {"M": {"name with. [dots]": {"M": {"x": {"N": "1.5"}}}}}}, wire
    assert "Item" not in users.get_item(Key={"id": "nobody"})


def updates_and_conditions(users):
    failed = client.exceptions.ConditionalCheckFailedException
    old = users.put_item(Item={"id": "ann", "age": 30, "tags": {"new"}}, ReturnValues="ALL_OLD")
    assert "Attributes" not in old
    expect(failed, lambda: users.put_item(Item={"id": "ann"}, ConditionExpression=Attr("id").not_exists()))
    users.update_item(Key={"id": "ann"}, UpdateExpression="SET address = :a", ExpressionAttributeValues={":a": {}})
    changed = users.update_item(
        Key={"id": "ann"},
        UpdateExpression="SET age = age + :one, address.city = if_not_exists(address.city, :city) ADD tags :more",
        ConditionExpression=Attr("age").between(18, 99) & Attr("tags").contains("new"),
        ExpressionAttributeValues={":one": 1, ":city": "Bern", ":more": {"old"}},
        ReturnValues="UPDATED_NEW",
    )
    assert changed["Attributes"] == {"age": 31, "address": {"city": "Bern"}, "tags": {"new", "old"}}, changed
    error = expect(failed, lambda: client.update_item(
        TableName="py-users",
        Key={"id": {"S": "ann"}},
        UpdateExpression="REMOVE age",
        ConditionExpression="age < :limit",
        ExpressionAttributeValues={":limit": {"N": "18"}},
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    ), "The conditional request failed")
    assert error.response["Item"]["age"] == {"N": "31"}, error.response
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    gone = users.delete_item(Key={"id": "ann"}, ReturnValues="ALL_OLD", ReturnConsumedCapacity="TOTAL")
    assert gone["Attributes"]["age"] == 31 and gone["ConsumedCapacity"]["CapacityUnits"] == 1.0, gone
    # A counter that many use at once counts each of them.
    with ThreadPoolExecutor(8) as pool:
        add = lambda _: client.update_item(
            TableName="py-users", Key={"id": {"S": "counter"}}, UpdateExpression="ADD n :one",
            ExpressionAttributeValues={":one": {"N": "1"}})
        list(pool.map(add, range(64)))
    assert users.get_item(Key={"id": "counter"}, ConsistentRead=True)["Item"]["n"] == 64


def pages_and_batches():
    events = resource.Table("py-events")
    with events.batch_writer() as batch:
        for device in range(4):
            for at in range(60):
                batch.put_item(Item={"device": f"d{device}", "at": at, "load": at % 7, "pad": "x" * 200})
    pages = list(client.get_paginator("query").paginate(
        TableName="py-events",
        KeyConditionExpression="device = :d AND #at BETWEEN :from AND :to",
        FilterExpression="#load <> :skip",
        ExpressionAttributeNames={"#at": "at", "#load": "load"},
        ExpressionAttributeValues={":d": {"S": "d1"}, ":from": {"N": "5"}, ":to": {"N": "54"}, ":skip": {"N": "3"}},
        PaginationConfig={"PageSize": 9},
    ))
    times = [int(item["at"]["N"]) for page in pages for item in page["Items"]]
    assert times == [at for at in range(5, 55) if at % 7 != 3], times
    assert len(pages) >= 6 and sum(page["ScannedCount"] for page in pages) == 50
    last = events.query(KeyConditionExpression=Key("device").eq("d2"), ScanIndexForward=False, Limit=2)
    assert [item["at"] for item in last["Items"]] == [59, 58] and last["LastEvaluatedKey"] == {"device": "d2", "at": 58}
    assert events.query(KeyConditionExpression=Key("device").eq("d3") & Key("at").lt(10), Select="COUNT")["Count"] == 10

    def segment(index):
        found, start = [], {}
        while start is not None:
            page = events.scan(Segment=index, TotalSegments=5, Limit=17, **start)
            found += [(item["device"], int(item["at"])) for item in page["Items"]]
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]} if "LastEvaluatedKey" in page else None
        return found

    with ThreadPoolExecutor(5) as pool:
        found = [key for part in pool.map(segment, range(5)) for key in part]
    assert len(found) == 240 and len(set(found)) == 240, len(found)
    got = resource.batch_get_item(RequestItems={
        "py-events": {"Keys": [{"device": "d0", "at": at} for at in (1, 2, 1000)], "ConsistentRead": True},
        "py-users": {"Keys": [{"id": "all types"}], "ProjectionExpression": "id"},
    })
    assert sorted(item["at"] for item in got["Responses"]["py-events"]) == [1, 2] and not got["UnprocessedKeys"]
    assert got["Responses"]["py-users"] == [{"id": "all types"}]


def settings():
    arn = client.describe_table(TableName="py-events")["Table"]["TableArn"]
    assert client.list_tags_of_resource(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "sensors"}]
    client.tag_resource(ResourceArn=arn, Tags=[{"Key": "stage", "Value": "test"}])
    client.untag_resource(ResourceArn=arn, TagKeys=["team"])
    assert client.list_tags_of_resource(ResourceArn=arn)["Tags"] == [{"Key": "stage", "Value": "test"}]
    client.update_time_to_live(TableName="py-events",
                               TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"})
    ttl = client.describe_time_to_live(TableName="py-events")["TimeToLiveDescription"]
    assert ttl["AttributeName"] == "expires" and ttl["TimeToLiveStatus"] in ("ENABLING", "ENABLED"), ttl


def errors(users):
    expect(client.exceptions.ResourceNotFoundException,
           lambda: client.get_item(TableName="py-nothing", Key={"id": {"S": "x"}}))
    wrong = expect(client.exceptions.ClientError, lambda: users.get_item(Key={"wrong": "x"}),
                   "The provided key element does not match the schema")
    assert wrong.response["Error"]["Code"] == "ValidationException"
    expect(client.exceptions.ClientError, lambda: users.put_item(Item={"id": ""}), "empty string value")
    expect(client.exceptions.ClientError,
           lambda: users.put_item(Item={"id": "x" * 10, "big": "x" * 400_000 + "y" * 9600}),
           "Item size has exceeded the maximum allowed size")
    expect(client.exceptions.ClientError,
           lambda: users.update_item(Key={"id": "x"}, UpdateExpression="SET ="), "Syntax error")


def drop_tables(users):
    users.delete()
    users.wait_until_not_exists()
    client.delete_table(TableName="py-events")
    client.get_waiter("table_not_exists").wait(TableName="py-events", WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    expect(client.exceptions.ResourceNotFoundException, lambda: client.describe_table(TableName="py-users"))


users = create_tables()
every_type(users)
updates_and_conditions(users)
pages_and_batches()
settings()
errors(users)
drop_tables(users)
print(f"boto3 {boto3.__version__}: the client and the resource do what they do with DynamoDB")
