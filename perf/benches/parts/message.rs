//! Messages between router and shard: encoded once, checked once, read in place.
//!
//! Sketch, a PutItem of 1 KiB. Encode: one allocation and a copy, 100 ns. Read: bounds and tags are checked, the bytes
//! of the item are not touched: 50 ns.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use net::message::{Get, Item, KeyAt, Operation, Put, Reply, Request, read_reply, read_request};

use crate::samples::{encode, samples};

pub fn bench(criterion: &mut Criterion) {
    let item = encode(&samples()[0].json);
    let at = KeyAt { vnode: 3, table: 7, key: vec![0xA7; 40] };
    let get = Request {
        epoch: 1,
        operation: Operation::Get(Get { at: at.clone(), consistent: true, projection: None }),
    };
    let put = Put {
        at,
        item: item.clone(),
        condition: None,
        return_old: false,
        return_old_on_failure: false,
        measure: false,
    };
    let put = Request { epoch: 1, operation: Operation::Put(put) };
    for (name, request) in [("get", get), ("put 1 KiB", put)] {
        let bytes = request.encode();
        let mut group = criterion.benchmark_group(format!("message/{name}"));
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function("encode", |bencher| bencher.iter(|| black_box(&request).encode()));
        group.bench_function("read", |bencher| {
            bencher.iter(|| read_request(black_box(&bytes)).expect("a sound message").epoch.to_native());
        });
        group.finish();
    }
    let reply = Reply::Item(Item { item: Some(item), charged_bytes: 1024 });
    let bytes = reply.encode();
    let mut group = criterion.benchmark_group("message/reply of 1 KiB");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("encode", |bencher| bencher.iter(|| black_box(&reply).encode()));
    group.bench_function("read", |bencher| {
        bencher.iter(|| {
            std::ptr::from_ref(read_reply(black_box(&bytes)).expect("a sound message")).is_aligned()
        });
    });
    group.finish();
}
