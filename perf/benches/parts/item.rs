//! The item encoding: built, checked, and read.
//!
//! Sketch, 1 KiB. Build: one copy into the builder, one into order, one out, 3 x 40 ns, plus 20 ns for each value to
//! sort: 150 to 500 ns. Check: every byte of text is tested for UTF-8, 1 KiB at 10 GB/s, plus 10 ns for each value:
//! 100 to 400 ns. Get: a binary search over names in one or two cache lines: 10 to 20 ns.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use model::item::{ItemBuilder, ItemRef, ValueRef};

use crate::samples::{encode, samples};

pub fn bench(criterion: &mut Criterion) {
    for sample in samples() {
        let bytes = encode(&sample.json);
        let item = ItemRef::trusted(&bytes);
        let mut group = criterion.benchmark_group(format!("item/{}", sample.name));
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function("build", |bencher| {
            let mut builder = ItemBuilder::new();
            let mut out = Vec::new();
            bencher.iter(|| {
                out.clear();
                rebuild(&mut builder, black_box(item), &mut out);
                out.len()
            });
            assert_eq!(out, bytes, "an item that is built again is the same");
        });
        group.bench_function("check", |bencher| {
            bencher.iter(|| ItemRef::check(black_box(&bytes)).expect("a sound item").len());
        });
        group.bench_function("get the key", |bencher| {
            bencher.iter(|| {
                let Some(ValueRef::S(key)) = black_box(item).get("pk") else {
                    panic!("every sample has a key")
                };
                key.len()
            });
        });
        group.bench_function("charged bytes", |bencher| {
            bencher.iter(|| black_box(item).charged_bytes());
        });
        group.finish();
    }
}

fn rebuild(builder: &mut ItemBuilder, item: ItemRef<'_>, out: &mut Vec<u8>) {
    builder.begin_item();
    for (name, value) in item.iter() {
        builder.name(name);
        builder.value(value).expect("it was an item before");
    }
    builder.finish_to(out);
}
