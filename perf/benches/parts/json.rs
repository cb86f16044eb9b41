//! JSON in, straight into the item encoding, and out of it: no tree between.
//!
//! Sketch, 1 KiB. In: UTF-8 checked once, strings scanned for quotes and copied, 1 KiB at 2 to 4 GB/s, plus 30 ns for
//! each value and what building costs: 0.5 to 2 µs. Out: a copy with a scan for what must be escaped: 0.2 to 1 µs.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use model::item::{ItemBuilder, ItemRef};
use router::json::Reader;
use router::json::attribute::{AttributeReader, write_item};

use crate::samples::{encode, samples};

pub fn bench(criterion: &mut Criterion) {
    for sample in samples() {
        let bytes = encode(&sample.json);
        let mut group = criterion.benchmark_group(format!("json/{}", sample.name));
        group.throughput(Throughput::Bytes(sample.json.len() as u64));
        group.bench_function("in", |bencher| {
            let mut builder = ItemBuilder::new();
            bencher.iter(|| {
                let mut reader = Reader::over(black_box(sample.json.as_bytes())).expect("UTF-8");
                let read = AttributeReader::new(&mut builder).item(&mut reader);
                read.expect("JSON").expect("an item")
            });
        });
        group.bench_function("out", |bencher| {
            let mut out = Vec::new();
            bencher.iter(|| {
                out.clear();
                write_item(&mut out, black_box(ItemRef::trusted(&bytes)));
                out.len()
            });
            let text = std::str::from_utf8(&out).expect("JSON is UTF-8");
            assert_eq!(encode(text), bytes, "what is written can be read");
        });
        group.finish();
    }
}
