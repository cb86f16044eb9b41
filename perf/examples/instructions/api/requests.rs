//! The requests: what is prepared, what is asked, and what the answer must be.

use std::fmt::Write;

/// Keys that a case goes around in.
const KEYS: u64 = 256;
/// Items of the partition that a Query reads.
const PAGE_ITEMS: u64 = 10;

/// One kind of request.
pub struct Kind {
    operation: &'static str,
    body: fn(u64) -> String,
    /// Whether what is asked for must have been put before.
    reads: bool,
    answers: fn(u64, &str) -> bool,
}

/// An item of 1 KiB.
pub const PUT_ITEM: Kind = Kind {
    operation: "PutItem",
    body: |index| format!(r#"{{"TableName":"items","Item":{}}}"#, item(index)),
    reads: false,
    answers: |_, body| body == "{}",
};

/// The same, if there is none or an older one.
pub const PUT_ITEM_CONDITION: Kind = Kind {
    operation: "PutItem",
    body: |index| {
        format!(
            r##"{{"TableName":"items","Item":{},"ConditionExpression":"attribute_not_exists(pk) OR #v < :v","ExpressionAttributeNames":{{"#v":"version"}},"ExpressionAttributeValues":{{":v":{{"N":"1{index}"}}}}}}"##,
            item(index)
        )
    },
    reads: false,
    answers: |_, body| body == "{}",
};

/// An item of 1 KiB, consistent.
pub const GET_ITEM: Kind = Kind {
    operation: "GetItem",
    body: |index| format!(r#"{{"TableName":"items","Key":{},"ConsistentRead":true}}"#, key(index)),
    reads: true,
    answers: |index, body| body.starts_with(r#"{"Item":{"#) && body.contains(&key_text(index)),
};

/// Counts, and sets a string.
pub const UPDATE_ITEM: Kind = Kind {
    operation: "UpdateItem",
    body: |index| {
        format!(
            r##"{{"TableName":"counters","Key":{},"UpdateExpression":"ADD #n :one SET #t = :t","ExpressionAttributeNames":{{"#n":"n","#t":"touched"}},"ExpressionAttributeValues":{{":one":{{"N":"1"}},":t":{{"S":"t{index}"}}}},"ReturnValues":"UPDATED_NEW"}}"##,
            key(index)
        )
    },
    reads: false,
    answers: |index, body| body.contains(&format!(r#""n":{{"N":"{}"}}"#, index / KEYS + 1)),
};

/// A page of ten small items, all of which pass a filter.
pub const QUERY: Kind = Kind {
    operation: "Query",
    body: |_| {
        r##"{"TableName":"pages","KeyConditionExpression":"pk = :p AND sk > :s","FilterExpression":"#v < :v","ExpressionAttributeNames":{"#v":"version"},"ExpressionAttributeValues":{":p":{"S":"page"},":s":{"N":"-1"},":v":{"N":"1000000"}},"Limit":10}"##.to_owned()
    },
    reads: true,
    answers: |_, body| body.contains(r#""Count":10,"ScannedCount":10"#),
};

impl Kind {
    /// Requests that come before those that count.
    pub fn preparation(&self) -> Vec<Vec<u8>> {
        let mut requests = ["items", "counters", "pages"].map(create_table).to_vec();
        if self.reads {
            requests.extend((0..KEYS).map(|index| {
                request("PutItem", &format!(r#"{{"TableName":"items","Item":{}}}"#, item(index)))
            }));
            requests.extend((0..PAGE_ITEMS).map(|index| {
                let item = item_of(&format!(r#"{{"pk":{{"S":"page"}},"sk":{{"N":"{index}"}}"#), index, 8);
                request("PutItem", &format!(r#"{{"TableName":"pages","Item":{item}}}"#))
            }));
        }
        requests
    }

    pub fn request(&self, index: u64) -> Vec<u8> {
        request(self.operation, &(self.body)(index))
    }

    pub fn check(&self, index: u64, answer: &[u8]) {
        let body = std::str::from_utf8(answer).expect("JSON is UTF-8");
        assert!((self.answers)(index, body), "{} {index}: {body}", self.operation);
    }
}

fn create_table(name: &str) -> Vec<u8> {
    let (attribute, key) = match name {
        "pages" => {
            (r#",{"AttributeName":"sk","AttributeType":"N"}"#, r#",{"AttributeName":"sk","KeyType":"RANGE"}"#)
        }
        _ => ("", ""),
    };
    let body = format!(
        r#"{{"TableName":"{name}","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{{"AttributeName":"pk","AttributeType":"S"}}{attribute}],"KeySchema":[{{"AttributeName":"pk","KeyType":"HASH"}}{key}]}}"#
    );
    request("CreateTable", &body)
}

fn key_text(index: u64) -> String {
    format!("user#{:012}", index % KEYS)
}

fn key(index: u64) -> String {
    format!(r#"{{"pk":{{"S":"{}"}}}}"#, key_text(index))
}

/// An item of 1 KiB as benchmarks of key-value stores have it: a key, a version and ten fields of 95 bytes.
fn item(index: u64) -> String {
    item_of(&format!(r#"{{"pk":{{"S":"{}"}}"#, key_text(index)), index, 95)
}

fn item_of(key: &str, index: u64, field_bytes: usize) -> String {
    let mut json = format!(r#"{key},"version":{{"N":"{index}"}}"#);
    for field in 0..10 {
        let letter = |at: usize| char::from(b'a' + ((at * 7 + field * 13 + at / 26) % 26) as u8);
        let text: String = (0..field_bytes).map(letter).collect();
        write!(json, r#","field{field}":{{"S":"{text}"}}"#).expect("a String takes everything");
    }
    json + "}"
}

/// With the head that an SDK sends.
fn request(operation: &str, body: &str) -> Vec<u8> {
    format!(
        "POST / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nX-Amz-Target: DynamoDB_20120810.{operation}\r\n\
         Content-Type: application/x-amz-json-1.0\r\n\
         User-Agent: Boto3/1.40.0 md/Botocore#1.40.0 ua/2.1 os/linux#6.18 md/arch#x86_64 lang/python#3.12.3 cfg/retry-mode#legacy\r\n\
         X-Amz-Date: 20260101T000000Z\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n\
         amz-sdk-invocation-id: 01234567-89ab-cdef-0123-456789abcdef\r\n\
         amz-sdk-request: attempt=1\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
