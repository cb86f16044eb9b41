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

/// Bytes of `k0000000000000042`.
const KEY_BYTES: usize = 17;
/// Bytes of the attribute names `pk`, `v` and `d`.
const NAME_BYTES: usize = 4;
/// How far fillers start from each other at most: the pool is this much longer than one filler.
const POOL_SPREAD_BYTES: usize = 1 << 18;
/// Digits of the largest content length.
const LENGTH_DIGITS: usize = 9;
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Writes the requests of one run. The same plan and seed write the same bytes.
#[derive(Debug)]
pub struct Requests {
    table: String,
    consistent: bool,
    put: Head,
    get: Head,
    batch: Head,
    host: String,
    contents: Contents,
}

/// The head of one operation's requests, up to its content length.
#[derive(Debug)]
struct Head {
    bytes: Vec<u8>,
}

impl Requests {
    /// For the table and items of `plan`.
    pub fn new(plan: &Plan, seed: u64) -> Requests {
        let host = &plan.target.host;
        Requests {
            table: plan.table.clone(),
            consistent: plan.consistent,
            put: Head::new(host, "PutItem"),
            get: Head::new(host, "GetItem"),
            batch: Head::new(host, "BatchWriteItem"),
            host: host.clone(),
            contents: Contents::new(plan.item_bytes, seed),
        }
    }

    /// What items hold.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// PutItem of version `version` of item `key`.
    pub fn put(&self, into: &mut Vec<u8>, key: u64, version: u64) {
        self.put.begin(into);
        let body = into.len();
        into.extend_from_slice(b"{\"TableName\":\"");
        into.extend_from_slice(self.table.as_bytes());
        into.extend_from_slice(b"\",\"Item\":");
        self.contents.write_item(into, key, version);
        into.push(b'}');
        finish(into, body);
    }

    /// GetItem of item `key`.
    pub fn get(&self, into: &mut Vec<u8>, key: u64) {
        self.get.begin(into);
        let body = into.len();
        into.extend_from_slice(b"{\"TableName\":\"");
        into.extend_from_slice(self.table.as_bytes());
        into.extend_from_slice(b"\",\"Key\":{\"pk\":{\"S\":\"");
        write_key(into, key);
        into.extend_from_slice(b"\"}}");
        if self.consistent {
            into.extend_from_slice(b",\"ConsistentRead\":true");
        }
        into.push(b'}');
        finish(into, body);
    }

    /// BatchWriteItem of version `version` of each of `keys`.
    pub fn batch(&self, into: &mut Vec<u8>, keys: impl Iterator<Item = u64>, version: u64) {
        self.batch.begin(into);
        let body = into.len();
        into.extend_from_slice(b"{\"RequestItems\":{\"");
        into.extend_from_slice(self.table.as_bytes());
        into.extend_from_slice(b"\":[");
        for (index, key) in keys.enumerate() {
            into.extend_from_slice(if index == 0 {
                b"{\"PutRequest\":{\"Item\":"
            } else {
                b",{\"PutRequest\":{\"Item\":"
            });
            self.contents.write_item(into, key, version);
            into.extend_from_slice(b"}}");
        }
        into.extend_from_slice(b"]}}");
        finish(into, body);
    }

    /// CreateTable: one string key, paid by request.
    pub fn create_table(&self) -> Vec<u8> {
        let rest = "\"AttributeDefinitions\":[{\"AttributeName\":\"pk\",\"AttributeType\":\"S\"}],\
                    \"KeySchema\":[{\"AttributeName\":\"pk\",\"KeyType\":\"HASH\"}],\"BillingMode\":\"PAY_PER_REQUEST\"";
        self.administer("CreateTable", &format!("{{\"TableName\":\"{}\",{rest}}}", self.table))
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
        Head::new(&self.host, operation).begin(&mut request);
        let body_at = request.len();
        request.extend_from_slice(body.as_bytes());
        finish(&mut request, body_at);
        request
    }
}

impl Head {
    /// Everything before the body but the content length. The signature has the shape of AWS's version 4 and signs
    /// nothing: for servers that take any credentials.
    fn new(host: &str, operation: &str) -> Head {
        let head = format!(
            "POST / HTTP/1.1\r\nhost: {host}\r\n\
             x-amz-target: DynamoDB_20120810.{operation}\r\n\
             content-type: application/x-amz-json-1.0\r\n\
             x-amz-date: 20250101T000000Z\r\n\
             authorization: AWS4-HMAC-SHA256 Credential=bench/20250101/us-east-1/dynamodb/aws4_request, \
             SignedHeaders=host;x-amz-date;x-amz-target, Signature={:064}\r\n\
             content-length: ",
            0
        );
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
    item_bytes: usize,
    pool: Vec<u8>,
    seed: u64,
}

impl Contents {
    /// Items of `item_bytes`, as DynamoDB charges them.
    pub fn new(item_bytes: usize, seed: u64) -> Contents {
        assert!((ITEM_BYTES_MIN..=ITEM_BYTES_MAX).contains(&item_bytes));
        let mut chance = Chance::new(seed, u64::from_be_bytes(*b"contents"));
        let letters = std::iter::repeat_with(|| chance.draw().to_le_bytes()).flatten();
        let pool = letters
            .take(item_bytes + POOL_SPREAD_BYTES)
            .map(|byte| LETTERS[usize::from(byte % 64)])
            .collect();
        Contents { item_bytes, pool, seed }
    }

    /// The filler of one version of one item. Letters of chance: an item compresses like base64, not like zeros.
    pub fn filler(&self, key: u64, version: u64) -> &[u8] {
        let size = self.item_bytes - NAME_BYTES - KEY_BYTES - number_bytes(version);
        let start = mix(mix(self.seed ^ key).wrapping_add(version)) % POOL_SPREAD_BYTES as u64;
        &self.pool[start as usize..][..size]
    }

    fn write_item(&self, into: &mut Vec<u8>, key: u64, version: u64) {
        into.extend_from_slice(b"{\"pk\":{\"S\":\"");
        write_key(into, key);
        into.extend_from_slice(b"\"},\"v\":{\"N\":\"");
        write_number(into, version);
        into.extend_from_slice(b"\"},\"d\":{\"S\":\"");
        into.extend_from_slice(self.filler(key, version));
        into.extend_from_slice(b"\"}}");
    }
}

/// The partition key of item `key`: `k` and 16 digits.
pub fn write_key(into: &mut Vec<u8>, key: u64) {
    let mut digits = [b'0'; KEY_BYTES];
    digits[0] = b'k';
    let mut rest = key;
    for digit in digits[1..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    assert_eq!(rest, 0, "key {key} has more than 16 digits");
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
