//! Bodies of whole calls: decoded into parameters, answers written; beside `serde_json::Value` on the same bytes.
//!
//! Sketch. Decode, PutItem of 1 KiB: 13 short strings and 11 long ones at 3 GB/s, the item built as in `item`, a dozen
//! parameters: 1 to 1.5 µs; a tree of the same takes an allocation for each string and map, 60 of them, 3 µs and more,
//! and is no item yet. Encode, GetItem of 1 KiB: two copies and looks at 1 KiB, 0.3 µs. A call without an item is its few
//! strings: 0.2 to 0.5 µs.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use model::item::{ItemBuilder, ItemRef};
use router::json::attribute::write_item;
use router::request::shape::Structure;
use router::request::{Parameters, constraint, tables};
use serde_json::Value;

use crate::samples::{encode, samples};

/// A call: its body, and the items of its answer.
struct Call {
    name: &'static str,
    shape: &'static Structure,
    body: String,
    /// Before the items, and behind them.
    around: [&'static str; 2],
    items: Vec<Vec<u8>>,
}

pub fn bench(criterion: &mut Criterion) {
    for call in calls() {
        let mut group = criterion.benchmark_group(format!("request/{}", call.name));
        group.throughput(Throughput::Bytes(call.body.len() as u64));
        group.bench_function("decode", |bencher| {
            let mut builder = ItemBuilder::new();
            bencher.iter(|| {
                let body = black_box(call.body.as_bytes());
                let parameters = Parameters::decode(body, call.shape, &mut builder).expect("a good body");
                constraint::check(&parameters).expect("nothing is violated");
                parameters
            });
        });
        group.bench_function("decode, serde_json", |bencher| {
            bencher.iter(|| serde_json::from_slice::<Value>(black_box(call.body.as_bytes())).expect("JSON"));
        });
        let mut answer = Vec::new();
        call.answer(&mut answer);
        let tree: Value = serde_json::from_slice(&answer).expect("what is written is JSON");
        group.throughput(Throughput::Bytes(answer.len() as u64));
        group.bench_function("encode", |bencher| {
            bencher.iter(|| {
                answer.clear();
                black_box(&call).answer(&mut answer);
                answer.len()
            });
        });
        group.bench_function("encode, serde_json", |bencher| {
            bencher.iter(|| {
                answer.clear();
                serde_json::to_writer(&mut answer, black_box(&tree)).expect("a Vec takes every byte");
                answer.len()
            });
        });
        let again: Value = serde_json::from_slice(&answer).expect("JSON");
        assert_eq!(again, tree, "both write the same");
        group.finish();
    }
}

impl Call {
    fn answer(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.around[0].as_bytes());
        for (index, item) in self.items.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_item(out, ItemRef::trusted(item));
        }
        out.extend_from_slice(self.around[1].as_bytes());
    }
}

fn calls() -> Vec<Call> {
    let item = &samples()[1].json;
    let key = r#"{"pk":{"S":"k0000000000000042"}}"#;
    vec![
        Call {
            name: "PutItem",
            shape: &tables::PUT_ITEM,
            body: format!(r#"{{"TableName":"bench","Item":{item}}}"#),
            around: [r#"{"Attributes":"#, "}"],
            items: vec![encode(item)],
        },
        Call {
            name: "GetItem",
            shape: &tables::GET_ITEM,
            body: format!(r#"{{"TableName":"bench","Key":{key},"ConsistentRead":true}}"#),
            around: [r#"{"Item":"#, "}"],
            items: vec![encode(item)],
        },
        Call {
            name: "UpdateItem",
            shape: &tables::UPDATE_ITEM,
            body: format!(
                r##"{{"TableName":"bench","Key":{key},"UpdateExpression":"ADD #n :one SET #t = :t","ConditionExpression":"attribute_exists(pk)","ExpressionAttributeNames":{{"#n":"n","#t":"touched"}},"ExpressionAttributeValues":{{":one":{{"N":"1"}},":t":{{"S":"today"}}}},"ReturnValues":"UPDATED_NEW"}}"##
            ),
            around: [r#"{"Attributes":"#, "}"],
            items: vec![encode(r#"{"n":{"N":"42"},"touched":{"S":"today"}}"#)],
        },
        Call {
            name: "Query of 10",
            shape: &tables::QUERY,
            body: r##"{"TableName":"bench","KeyConditionExpression":"pk = :p AND sk > :s","FilterExpression":"#v < :v","ExpressionAttributeNames":{"#v":"version"},"ExpressionAttributeValues":{":p":{"S":"page"},":s":{"N":"-1"},":v":{"N":"1000000"}},"Limit":10}"##.to_owned(),
            around: [r#"{"Items":["#, r#"],"Count":10,"ScannedCount":10}"#],
            items: vec![encode(&samples()[2].json); 10],
        },
    ]
}
