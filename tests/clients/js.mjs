// @aws-sdk/client-dynamodb and lib-dynamodb against torc. `js.mjs ENDPOINT`; see `run`.

import assert from "node:assert/strict";
import {
  ConditionalCheckFailedException, CreateTableCommand, DeleteTableCommand, DescribeTableCommand,
  DescribeTimeToLiveCommand, DynamoDBClient, ListTagsOfResourceCommand, ResourceInUseException,
  ResourceNotFoundException, TagResourceCommand, UpdateTimeToLiveCommand, waitUntilTableExists,
  waitUntilTableNotExists,
} from "@aws-sdk/client-dynamodb";
import {
  BatchGetCommand, BatchWriteCommand, DeleteCommand, DynamoDBDocumentClient, GetCommand, NumberValue,
  PutCommand, ScanCommand, UpdateCommand, paginateQuery,
} from "@aws-sdk/lib-dynamodb";

const client = new DynamoDBClient({ endpoint: process.argv[2], maxAttempts: 1 });
const documents = DynamoDBDocumentClient.from(client, {
  marshallOptions: { removeUndefinedValues: true },
  unmarshallOptions: { wrapNumbers: (text) => (Number.isSafeInteger(+text) ? +text : NumberValue.from(text)) },
});
const TableName = "js-orders";

async function createTable() {
  const table = {
    TableName,
    BillingMode: "PAY_PER_REQUEST",
    AttributeDefinitions: [
      { AttributeName: "customer", AttributeType: "S" },
      { AttributeName: "order", AttributeType: "N" },
    ],
    KeySchema: [
      { AttributeName: "customer", KeyType: "HASH" },
      { AttributeName: "order", KeyType: "RANGE" },
    ],
  };
  await client.send(new CreateTableCommand(table));
  await waitUntilTableExists({ client, maxWaitTime: 20, minDelay: 1 }, { TableName });
  await assert.rejects(client.send(new CreateTableCommand(table)), ResourceInUseException);
}

async function everyType() {
  const Key = { customer: "types", order: 1 };
  const Item = {
    ...Key,
    text: "grüße 🎸 \"quoted\" \\ \n",
    empty: "",
    exact: NumberValue.from("12345678901234567890123456789012345678"),
    bytes: new Uint8Array([0, 1, 254, 255]),
    yes: true,
    nothing: null,
    list: ["a", 1, [false, { deep: null }]],
    map: { inner: { x: 0.5 } },
    strings: new Set(["b", "a"]),
    numbers: new Set([1, -3]),
  };
  await documents.send(new PutCommand({ TableName, Item }));
  const found = (await documents.send(new GetCommand({ TableName, Key, ConsistentRead: true }))).Item;
  assert.equal(found.exact.toString(), "12345678901234567890123456789012345678");
  assert.equal(found.map.inner.x.toString(), "0.5");
  delete found.exact; delete Item.exact; delete found.map; delete Item.map;
  assert.deepEqual(found, Item);
  const { Item: part } = await documents.send(new GetCommand({
    TableName, Key, ProjectionExpression: "#m.#i.x, #l[2][1]",
    ExpressionAttributeNames: { "#m": "map", "#i": "inner", "#l": "list" },
  }));
  assert.deepEqual(part.list, [[{ deep: null }]]);
}

async function updatesAndConditions() {
  const Key = { customer: "ann", order: 7 };
  await documents.send(new PutCommand({
    TableName, Item: { ...Key, total: 10, lines: [] }, ConditionExpression: "attribute_not_exists(customer)",
  }));
  const { Attributes } = await documents.send(new UpdateCommand({
    TableName, Key,
    UpdateExpression: "SET #t = #t + :ten, #l = list_append(#l, :line) ADD #n :one",
    ConditionExpression: "#t < :limit AND size(#l) = :zero",
    ExpressionAttributeNames: { "#t": "total", "#l": "lines", "#n": "changes" },
    ExpressionAttributeValues: { ":ten": 10, ":line": [{ sku: "x" }], ":one": 1, ":limit": 100, ":zero": 0 },
    ReturnValues: "ALL_NEW",
  }));
  assert.deepEqual(Attributes, { ...Key, total: 20, lines: [{ sku: "x" }], changes: 1 });
  await assert.rejects(documents.send(new UpdateCommand({
    TableName, Key, UpdateExpression: "REMOVE #t", ConditionExpression: "#t > :limit",
    ExpressionAttributeNames: { "#t": "total" }, ExpressionAttributeValues: { ":limit": 100 },
    ReturnValuesOnConditionCheckFailure: "ALL_OLD",
  })), (error) => {
    assert.ok(error instanceof ConditionalCheckFailedException);
    assert.deepEqual(error.Item.total, { N: "20" });
    return true;
  });
  const gone = await documents.send(new DeleteCommand({ TableName, Key, ReturnValues: "ALL_OLD" }));
  assert.equal(gone.Attributes.total, 20);
}

async function pagesAndBatches() {
  const put = (order) => ({ PutRequest: { Item: { customer: "batch", order, even: order % 2 === 0 } } });
  for (let first = 0; first < 50; first += 25) {
    const requests = Array.from({ length: 25 }, (_, index) => put(first + index));
    const { UnprocessedItems } = await documents.send(new BatchWriteCommand({ RequestItems: { [TableName]: requests } }));
    assert.deepEqual(UnprocessedItems, {});
  }
  const orders = [];
  let pages = 0;
  const query = {
    TableName, KeyConditionExpression: "customer = :c AND #o >= :from", FilterExpression: "even = :yes",
    ExpressionAttributeNames: { "#o": "order" }, ExpressionAttributeValues: { ":c": "batch", ":from": 10, ":yes": true },
  };
  for await (const page of paginateQuery({ client: documents, pageSize: 7 }, query)) {
    pages += 1;
    orders.push(...page.Items.map((item) => item.order));
  }
  assert.deepEqual(orders, Array.from({ length: 20 }, (_, index) => 10 + 2 * index));
  assert.ok(pages >= 6, `${pages} pages`);
  const segments = await Promise.all([0, 1, 2].map((Segment) =>
    documents.send(new ScanCommand({ TableName, Segment, TotalSegments: 3 }))));
  assert.equal(segments.reduce((sum, page) => sum + page.Count, 0), 51);
  const got = await documents.send(new BatchGetCommand({
    RequestItems: { [TableName]: { Keys: [1, 2, 1000].map((order) => ({ customer: "batch", order })) } },
  }));
  assert.equal(got.Responses[TableName].length, 2);
}

async function settings() {
  const { Table } = await client.send(new DescribeTableCommand({ TableName }));
  const ResourceArn = Table.TableArn;
  await client.send(new TagResourceCommand({ ResourceArn, Tags: [{ Key: "stage", Value: "test" }] }));
  const { Tags } = await client.send(new ListTagsOfResourceCommand({ ResourceArn }));
  assert.deepEqual(Tags, [{ Key: "stage", Value: "test" }]);
  const TimeToLiveSpecification = { Enabled: true, AttributeName: "expires" };
  await client.send(new UpdateTimeToLiveCommand({ TableName, TimeToLiveSpecification }));
  const { TimeToLiveDescription } = await client.send(new DescribeTimeToLiveCommand({ TableName }));
  assert.equal(TimeToLiveDescription.AttributeName, "expires");
}

async function errors() {
  await assert.rejects(documents.send(new GetCommand({ TableName: "js-nothing", Key: { id: 1 } })), ResourceNotFoundException);
  await assert.rejects(documents.send(new GetCommand({ TableName, Key: { id: 1 } })), { name: "ValidationException" });
  await assert.rejects(documents.send(new PutCommand({ TableName, Item: { customer: "", order: 1 } })), { name: "ValidationException" });
}

async function dropTable() {
  await client.send(new DeleteTableCommand({ TableName }));
  await waitUntilTableNotExists({ client, maxWaitTime: 20, minDelay: 1 }, { TableName });
  await assert.rejects(client.send(new DescribeTableCommand({ TableName })), ResourceNotFoundException);
}

for (const step of [createTable, everyType, updatesAndConditions, pagesAndBatches, settings, errors, dropTable]) {
  await step();
}
client.destroy();
console.log("@aws-sdk/lib-dynamodb: the document client does what it does with DynamoDB");
