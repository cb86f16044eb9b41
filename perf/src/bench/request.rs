//! Requests, ready to send: HTTP heads prepared once, bodies put together by copying.
//!
//! The client shares its computer with the server that it measures, so a request should cost it next to nothing:
//! no JSON tree, no formatting, no allocation. A request is assembled in a buffer that its lane keeps:
//!
//! ```text
//! head of the operation | content-length, patched at the end | body: constant pieces, key, version, filler
//! ```
//!
//! What is written can be checked when it is read: an item is its key, a version, and a filler that follows from both.
//!
//! ```text
//! {"pk":{"S":"k0000000000000042"},"v":{"N":"7"},"d":{"S":"<letters cut from a seeded pool>"}}
//! ```

use super::keys::{Chance, mix};
use super::options::{ITEM_BYTES_MAX, ITEM_BYTES_MIN, Plan};
use super::sizes::SizeTable;

/// Bytes of `k0000000000000042`.
const KEY_BYTES: usize = 17;
/// Bytes of the attribute names `pk`, `v` and `d`.
const NAME_BYTES: usize = 4;
/// Bytes of the sort key's name, `sk`, and of its value, `s00000042`.
const SORT_BYTES: usize = 2 + SORT_KEY_BYTES;
const SORT_KEY_BYTES: usize = 9;
/// How far fillers start from each other at most: the pool is this much longer than one filler.
const POOL_SPREAD_BYTES: usize = 1 << 18;
/// Digits of the largest content length.
const LENGTH_DIGITS: usize = 9;
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Where a header may be put into a finished request: after its first line.
const HEADERS_AT: usize = b"POST / HTTP/1.1\r\n".len();

/// Writes the requests of one run. The same plan and seed write the same bytes.
#[derive(Debug)]
pub struct Requests {
    table: String,
    consistent: bool,
    heads: Heads,
    host: String,
    signs: bool,
    contents: Contents,
}

#[derive(Debug)]
struct Heads {
    put: Head,
    get: Head,
    batch: Head,
    update: Head,
    delete: Head,
    query: Head,
    batch_get: Head,
}

/// The head of one operation's requests, up to its content length.
#[derive(Debug)]
struct Head {
    bytes: Vec<u8>,
}

/// What a PutItem demands of the item that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Nothing.
    Nothing,
    /// That it is there.
    Exists,
    /// That it is not.
    Absent,
}

impl Requests {
    /// For the table and items of `plan`.
    pub fn new(plan: &Plan, seed: u64) -> Requests {
        let (host, signs) = (&plan.target.host, plan.target.signer.is_some());
        let head = |operation| Head::new(host, operation, signs);
        let heads = Heads {
            put: head("PutItem"),
            get: head("GetItem"),
            batch: head("BatchWriteItem"),
            update: head("UpdateItem"),
            delete: head("DeleteItem"),
            query: head("Query"),
            batch_get: head("BatchGetItem"),
        };
        let contents = Contents::new(plan.sizes.lay_out(), plan.group_items, seed);
        Requests {
            table: plan.table.clone(),
            consistent: plan.consistent,
            heads,
            host: host.clone(),
            signs,
            contents,
        }
    }

    /// What items hold.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// PutItem of version `version` of item `key`, of `size` bytes, or of its own size where that is 0.
    pub fn put(&self, into: &mut Vec<u8>, key: u64, version: u64, demand: Demand, size: u32) {
        let body = self.begin(into, &self.heads.put);
        into.extend_from_slice(b",\"Item\":");
        self.contents.write_item(into, key, version, size);
        into.extend_from_slice(match demand {
            Demand::Nothing => b"",
            Demand::Exists => b",\"ConditionExpression\":\"attribute_exists(pk)\"",
            Demand::Absent => b",\"ConditionExpression\":\"attribute_not_exists(pk)\"",
        });
        into.push(b'}');
        finish(into, body);
    }

    /// UpdateItem that makes version `version` out of item `key`; sizes as in [`Requests::put`].
    pub fn update(&self, into: &mut Vec<u8>, key: u64, version: u64, size: u32) {
        let body = self.begin(into, &self.heads.update);
        into.extend_from_slice(b",\"Key\":");
        self.contents.write_key(into, key);
        into.extend_from_slice(
            b",\"UpdateExpression\":\"SET v = :v, d = :d\",\"ExpressionAttributeValues\":{\":v\":{\"N\":\"",
        );
        write_number(into, version);
        into.extend_from_slice(b"\"},\":d\":{\"S\":\"");
        into.extend_from_slice(self.contents.filler_of(key, version, size));
        into.extend_from_slice(b"\"}}}");
        finish(into, body);
    }

    /// GetItem of item `key`.
    pub fn get(&self, into: &mut Vec<u8>, key: u64) {
        self.of_key(into, &self.heads.get, key, self.consistent);
    }

    /// DeleteItem of item `key`.
    pub fn delete(&self, into: &mut Vec<u8>, key: u64) {
        self.of_key(into, &self.heads.delete, key, false);
    }

    /// Query of up to `count` items of one partition, from item `key` on.
    pub fn query(&self, into: &mut Vec<u8>, key: u64, count: u64) {
        let (group, place) = self.contents.place(key);
        let body = self.begin(into, &self.heads.query);
        into.extend_from_slice(
            b",\"KeyConditionExpression\":\"pk = :p AND sk >= :s\",\"ExpressionAttributeValues\":{\":p\":{\"S\":\"",
        );
        write_digits::<KEY_BYTES>(into, b'k', group);
        into.extend_from_slice(b"\"},\":s\":{\"S\":\"");
        write_digits::<SORT_KEY_BYTES>(into, b's', place.expect("only tables with a sort key are queried"));
        into.extend_from_slice(b"\"}},\"Limit\":");
        write_number(into, count);
        self.finish_read(into, body);
    }

    /// BatchGetItem of `keys`.
    pub fn batch_get(&self, into: &mut Vec<u8>, keys: impl Iterator<Item = u64>) {
        let body = self.begin_batch(into, &self.heads.batch_get, b"{\"Keys\":[");
        for (index, key) in keys.enumerate() {
            into.extend_from_slice(if index == 0 { b"" } else { b"," });
            self.contents.write_key(into, key);
        }
        into.extend_from_slice(if self.consistent { b"],\"ConsistentRead\":true}}}" } else { b"]}}}" });
        finish(into, body);
    }

    /// BatchWriteItem of so many versions of so many keys.
    pub fn batch(&self, into: &mut Vec<u8>, writes: impl Iterator<Item = (u64, u64)>) {
        let body = self.begin_batch(into, &self.heads.batch, b"[");
        for (index, (key, version)) in writes.enumerate() {
            into.extend_from_slice(if index == 0 {
                b"{\"PutRequest\":{\"Item\":"
            } else {
                b",{\"PutRequest\":{\"Item\":"
            });
            self.contents.write_item(into, key, version, 0);
            into.extend_from_slice(b"}}");
        }
        into.extend_from_slice(b"]}}");
        finish(into, body);
    }

    /// Asks, in a request that is finished, for where its time went.
    pub fn ask_for_stages(request: &mut Vec<u8>) {
        insert_headers(request, b"x-torc-trace: 1\r\n");
    }

    /// CreateTable: a string key, and a sort key where the run wants one; paid by request.
    pub fn create_table(&self) -> Vec<u8> {
        let attribute = |name: &str| format!("{{\"AttributeName\":\"{name}\",\"AttributeType\":\"S\"}}");
        let key = |name: &str, kind: &str| format!("{{\"AttributeName\":\"{name}\",\"KeyType\":\"{kind}\"}}");
        let (mut attributes, mut keys) = (attribute("pk"), key("pk", "HASH"));
        if self.contents.group_items.is_some() {
            attributes = format!("{attributes},{}", attribute("sk"));
            keys = format!("{keys},{}", key("sk", "RANGE"));
        }
        let table = &self.table;
        self.administer(
            "CreateTable",
            &format!(
                "{{\"TableName\":\"{table}\",\"AttributeDefinitions\":[{attributes}],\"KeySchema\":[{keys}],\
                 \"BillingMode\":\"PAY_PER_REQUEST\"}}"
            ),
        )
    }

    /// DescribeTable.
    pub fn describe_table(&self) -> Vec<u8> {
        self.administer("DescribeTable", &format!("{{\"TableName\":\"{}\"}}", self.table))
    }

    /// DeleteTable.
    pub fn delete_table(&self) -> Vec<u8> {
        self.administer("DeleteTable", &format!("{{\"TableName\":\"{}\"}}", self.table))
    }

    fn administer(&self, operation: &str, body: &str) -> Vec<u8> {
        let mut request = Vec::new();
        Head::new(&self.host, operation, self.signs).begin(&mut request);
        let body_at = request.len();
        request.extend_from_slice(body.as_bytes());
        finish(&mut request, body_at);
        request
    }

    /// Head and table's name; where the body begins.
    fn begin(&self, into: &mut Vec<u8>, head: &Head) -> usize {
        head.begin(into);
        let body = into.len();
        into.extend_from_slice(b"{\"TableName\":\"");
        into.extend_from_slice(self.table.as_bytes());
        into.push(b'"');
        body
    }

    fn begin_batch(&self, into: &mut Vec<u8>, head: &Head, opening: &[u8]) -> usize {
        head.begin(into);
        let body = into.len();
        into.extend_from_slice(b"{\"RequestItems\":{\"");
        into.extend_from_slice(self.table.as_bytes());
        into.extend_from_slice(b"\":");
        into.extend_from_slice(opening);
        body
    }

    fn of_key(&self, into: &mut Vec<u8>, head: &Head, key: u64, consistent: bool) {
        let body = self.begin(into, head);
        into.extend_from_slice(b",\"Key\":");
        self.contents.write_key(into, key);
        into.extend_from_slice(if consistent { b",\"ConsistentRead\":true}" } else { b"}" });
        finish(into, body);
    }

    fn finish_read(&self, into: &mut Vec<u8>, body: usize) {
        into.extend_from_slice(if self.consistent { b",\"ConsistentRead\":true}" } else { b"}" });
        finish(into, body);
    }
}

/// Puts headers into a finished request.
pub fn insert_headers(request: &mut Vec<u8>, lines: &[u8]) {
    request.splice(HEADERS_AT..HEADERS_AT, lines.iter().copied());
}

impl Head {
    /// Everything before the body but the content length. Where nobody signs, the signature has the shape of AWS's version 4 and
    /// proves nothing: for servers that take any credentials.
    fn new(host: &str, operation: &str, signs: bool) -> Head {
        let mut head = format!(
            "POST / HTTP/1.1\r\nhost: {host}\r\n\
             x-amz-target: DynamoDB_20120810.{operation}\r\n\
             content-type: application/x-amz-json-1.0\r\n"
        );
        if !signs {
            head.push_str(&format!(
                "x-amz-date: 20250101T000000Z\r\n\
                 authorization: AWS4-HMAC-SHA256 Credential=bench/20250101/us-east-1/dynamodb/aws4_request, \
                 SignedHeaders=host;x-amz-date;x-amz-target, Signature={:064}\r\n",
                0
            ));
        }
        head.push_str("content-length: ");
        Head { bytes: head.into_bytes() }
    }

    /// Starts a request; [`finish`] patches its content length.
    fn begin(&self, into: &mut Vec<u8>) {
        into.clear();
        into.extend_from_slice(&self.bytes);
        into.extend_from_slice(&[b' '; LENGTH_DIGITS]);
        into.extend_from_slice(b"\r\n\r\n");
    }
}

/// Writes the length of the body that starts at `body` before the blank line, right-aligned: leading spaces are
/// optional whitespace of a header.
fn finish(request: &mut [u8], body: usize) {
    let mut length = request.len() - body;
    let mut place = body - 4;
    while length > 0 {
        place -= 1;
        assert_eq!(request[place], b' ', "a body longer than {LENGTH_DIGITS} digits can say");
        request[place] = b'0' + (length % 10) as u8;
        length /= 10;
    }
}

/// What items hold: made from key and version, so that it can be made again and compared.
#[derive(Debug)]
pub struct Contents {
    sizes: SizeTable,
    /// Items of one partition, where there is a sort key.
    group_items: Option<u64>,
    pool: Vec<u8>,
    seed: u64,
}

impl Contents {
    /// Items of these sizes, as DynamoDB charges them, so many in a partition if there is a sort key.
    pub fn new(sizes: SizeTable, group_items: Option<u64>, seed: u64) -> Contents {
        assert!((ITEM_BYTES_MIN..=ITEM_BYTES_MAX).contains(&sizes.largest()));
        let mut chance = Chance::new(seed, u64::from_be_bytes(*b"contents"));
        let letters = std::iter::repeat_with(|| chance.draw().to_le_bytes()).flatten();
        let pool = letters
            .take(ITEM_BYTES_MAX + POOL_SPREAD_BYTES)
            .map(|byte| LETTERS[usize::from(byte % 64)])
            .collect();
        Contents { sizes, group_items, pool, seed }
    }

    /// The attribute `d` of one version of one item. Letters of chance: an item compresses like base64, not like zeros.
    pub fn filler(&self, key: u64, version: u64) -> &[u8] {
        self.filler_of(key, version, 0)
    }

    /// The same in an item of `size` bytes, or of its own size where that is 0.
    pub fn filler_of(&self, key: u64, version: u64, size: u32) -> &[u8] {
        let size = if size == 0 { self.sizes.of(key, version) } else { size as usize };
        let rest =
            NAME_BYTES + KEY_BYTES + number_bytes(version) + self.group_items.map_or(0, |_| SORT_BYTES);
        let start = mix(mix(self.seed ^ key).wrapping_add(version)) % POOL_SPREAD_BYTES as u64;
        &self.pool[start as usize..][..size - rest]
    }

    /// The partition of item `key`, and its place in it where there is a sort key.
    pub fn place(&self, key: u64) -> (u64, Option<u64>) {
        self.group_items.map_or((key, None), |items| (key / items, Some(key % items)))
    }

    /// The key attributes of item `key`.
    pub fn key_texts(&self, key: u64) -> (String, Option<String>) {
        let text = |letter, digits: usize, number| format!("{letter}{number:0digits$}");
        let (group, place) = self.place(key);
        let sort = place.map(|place| text('s', SORT_KEY_BYTES - 1, place));
        (text('k', KEY_BYTES - 1, group), sort)
    }

    /// The last key of the partition of item `key`.
    pub fn group_end(&self, key: u64) -> u64 {
        self.group_items.map_or(key, |items| key - key % items + items - 1)
    }

    /// The key of the item with these key attributes, if it is one of ours.
    pub fn key_of(&self, partition: &str, sort: Option<&str>) -> Option<u64> {
        let number = |text: &str, letter: char| text.strip_prefix(letter)?.parse::<u64>().ok();
        let group = number(partition, 'k')?;
        match (self.group_items, sort) {
            (None, None) => Some(group),
            (Some(items), Some(sort)) => Some(group * items + number(sort, 's')?),
            _ => None,
        }
    }

    fn write_item(&self, into: &mut Vec<u8>, key: u64, version: u64, size: u32) {
        self.write_key(into, key);
        into.pop();
        into.extend_from_slice(b",\"v\":{\"N\":\"");
        write_number(into, version);
        into.extend_from_slice(b"\"},\"d\":{\"S\":\"");
        into.extend_from_slice(self.filler_of(key, version, size));
        into.extend_from_slice(b"\"}}");
    }

    /// `{"pk":{"S":"k0000000000000042"}}`, with `sk` where there is a sort key.
    fn write_key(&self, into: &mut Vec<u8>, key: u64) {
        let (group, place) = self.place(key);
        into.extend_from_slice(b"{\"pk\":{\"S\":\"");
        write_digits::<KEY_BYTES>(into, b'k', group);
        if let Some(place) = place {
            into.extend_from_slice(b"\"},\"sk\":{\"S\":\"");
            write_digits::<SORT_KEY_BYTES>(into, b's', place);
        }
        into.extend_from_slice(b"\"}}");
    }
}

/// A letter and a number in all the digits that there is room for: `k0000000000000042`.
fn write_digits<const BYTES: usize>(into: &mut Vec<u8>, letter: u8, number: u64) {
    let mut digits = [b'0'; BYTES];
    digits[0] = letter;
    let mut rest = number;
    for digit in digits[1..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    assert_eq!(rest, 0, "{number} has more digits than there is room for");
    into.extend_from_slice(&digits);
}

fn write_number(into: &mut Vec<u8>, number: u64) {
    let start = into.len();
    let mut rest = number;
    loop {
        into.push(b'0' + (rest % 10) as u8);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    into[start..].reverse();
}

/// Bytes of a number as DynamoDB charges it: one, and one for each two significant digits.
fn number_bytes(number: u64) -> usize {
    let mut significant = number;
    while significant > 0 && significant.is_multiple_of(10) {
        significant /= 10;
    }
    let digits = significant.checked_ilog10().map_or(1, |log| log as usize + 1);
    1 + digits.div_ceil(2)
}

#[cfg(test)]
mod tests;
