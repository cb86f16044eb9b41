//! Directories and files, from the outside in.

use std::path::Path;

use anyhow::{Context, bail};
use lsm::inspect::log::{RecordAbout, Segment, is_segment_name};
use lsm::inspect::manifest::{self, Change, DropAbout, Generation, TableAbout};
use lsm::inspect::sstable::{BlockAbout, EntryAbout, Sstable, Step, is_sstable_name};
use model::ring::ShardId;
use runtime::Runtime;
use shard::inspect::Names;
use shard::node::{self, shard_dir};

use super::LookArgs;
use super::show::{Line, Printer, hex, hex32, hex64, key, record_meaning, value};

/// Tells what is at `path`; false if something there is damaged.
pub async fn look<R: Runtime>(
    rt: &R,
    path: &Path,
    args: &LookArgs,
    printer: &Printer,
) -> anyhow::Result<bool> {
    let path = &path.canonicalize().with_context(|| format!("{}", path.display()))?;
    let names = match node_dir(path).filter(|_| args.entries) {
        Some(data) => Names::load(rt, data).await,
        None => Names::default(),
    };
    let mut looker = Looker { rt, args, printer, names, whole: true };
    if path.is_dir() {
        looker.directory(path).await?;
    } else {
        looker.file(path).await?;
    }
    Ok(looker.whole)
}

/// The data directory that holds `path`, if one does.
fn node_dir(path: &Path) -> Option<&Path> {
    path.ancestors().find(|above| above.join("node").is_file())
}

struct Looker<'a, R: Runtime> {
    rt: &'a R,
    args: &'a LookArgs,
    printer: &'a Printer,
    names: Names,
    whole: bool,
}

impl<R: Runtime> Looker<'_, R> {
    /// A data directory, a shard's, a log's or a tree's.
    async fn directory(&mut self, path: &Path) -> anyhow::Result<()> {
        if path.join("node").exists() {
            return self.node(path).await;
        }
        if path.join("log").is_dir() || path.join("tree").is_dir() {
            return self.shard(path).await;
        }
        let names = self.rt.list(path).await.with_context(|| format!("{}", path.display()))?;
        let known =
            |name: &str| is_segment_name(name) || is_sstable_name(name) || manifest::is_manifest_name(name);
        if !names.iter().any(|entry| known(&entry.name)) {
            bail!(
                "{} holds nothing of torc's\n  what to do: name a data directory, a shard's, its log or tree, or a file of those",
                path.display()
            );
        }
        self.files(path).await
    }

    async fn node(&mut self, data: &Path) -> anyhow::Result<()> {
        let Some(identity) = node::read(self.rt, data).await? else { return Ok(()) };
        let line = Line::new("node", 0)
            .fact("path", data.display().to_string())
            .fact("cluster", format!("{:032x}", identity.cluster))
            .fact("node", format!("{:032x}", identity.node))
            .fact("number", identity.number.0)
            .fact("shards", identity.shard_count)
            .fact("vnodes", identity.vnode_count);
        self.printer.line(&line);
        for shard in 0..identity.shard_count {
            self.shard(&shard_dir(data, ShardId(shard))).await?;
        }
        Ok(())
    }

    async fn shard(&mut self, dir: &Path) -> anyhow::Result<()> {
        self.printer.line(&Line::new("shard", 0).fact("path", dir.display().to_string()));
        for part in ["log", "tree"] {
            let part = dir.join(part);
            if part.is_dir() {
                self.files(&part).await?;
            }
        }
        Ok(())
    }

    /// A log or a tree, its manifest first.
    async fn files(&mut self, dir: &Path) -> anyhow::Result<()> {
        let mut names = self.rt.list(dir).await.with_context(|| format!("{}", dir.display()))?;
        names.retain(|entry| !entry.is_dir);
        names.sort_by_key(|entry| !manifest::is_manifest_name(&entry.name));
        for entry in names {
            let path = dir.join(&entry.name);
            match is_ours(&entry.name) {
                true => self.file(&path).await?,
                false => self.printer.line(&Line::new("other", 1).fact("path", path.display().to_string())),
            }
        }
        Ok(())
    }

    async fn file(&mut self, path: &Path) -> anyhow::Result<()> {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let told = match () {
            () if is_segment_name(&name) => self.segment(path).await,
            () if is_sstable_name(&name) => self.sstable(path).await,
            () if manifest::is_manifest_name(&name) => self.manifest(path).await,
            () => bail!(
                "{} is not called as a log segment, an SSTable or a manifest is\n  what to do: give the file its own name back",
                path.display()
            ),
        };
        if let Err(error) = told {
            self.whole = false;
            self.printer.problem(&error.into());
        }
        Ok(())
    }

    async fn segment(&mut self, path: &Path) -> Result<(), lsm::Error> {
        let mut segment = Segment::open(self.rt, path).await?;
        let about = segment.about();
        let mut line = Line::new("segment", 1)
            .fact("path", path.display().to_string())
            .fact("seq", about.seq)
            .fact("head", about.head)
            .fact("bytes", about.size)
            .fact("state", if about.active { "active" } else { "not active" });
        line = match &about.header {
            Err(what) => line.fact("header", *what),
            Ok(header) => line
                .fact("header_seq", header.seq)
                .fact("epoch", hex64(header.epoch))
                .fact("cluster", format!("{:032x}", header.identity.cluster))
                .fact("node", header.identity.node)
                .fact("shard", header.identity.shard)
                .fact("written_whole", header.whole)
                .fact("header_head", header.head)
                .fact("prev_seq", header.prev_seq)
                .fact("prev_end", header.prev_end)
                .fact("prev_chain", hex32(header.prev_chain))
                .fact("first_lsn", header.first_lsn)
                .fact("position", header.position)
                .fact("durable_lsn", header.durable_lsn),
        };
        self.printer.line(&line);
        let mut left = Left(self.args.limit);
        let (mut batches, mut records) = (0u64, 0u64);
        while let Some(batch) = segment.next().await? {
            batches += 1;
            records += u64::from(batch.record_count);
            if self.args.blocks {
                let line = Line::new("batch", 2)
                    .fact("offset", batch.offset)
                    .fact("length", batch.length)
                    .fact("lsn", batch.lsn)
                    .fact("position", batch.position)
                    .fact("durable_lsn", batch.durable_lsn)
                    .fact("chain", hex32(batch.chain))
                    .fact("checksum", hex32(batch.checksum))
                    .fact("records", batch.record_count);
                self.printer.line(&line);
            }
            for record in segment.records().filter(|_| self.args.entries) {
                match record {
                    Ok(record) => self.record(&record, &mut left),
                    Err(problem) => self.printer.problem(&problem),
                }
            }
        }
        let end = segment.end();
        let line = Line::new("segment_end", 2)
            .fact("batches", batches)
            .fact("records", records)
            .fact("offset", end.map(|(offset, _)| offset))
            .fact("there", end.map(|(_, what)| what));
        self.printer.line(&line);
        Ok(())
    }

    fn record(&self, about: &RecordAbout<'_>, left: &mut Left) {
        let record = &about.record;
        let wanted = self.args.stream.is_none_or(|stream| stream == record.stream)
            && (self.args.from_index..=self.args.to_index).contains(&record.index);
        if !wanted || !left.take() {
            return;
        }
        let payload = record_meaning(&self.names, shard::inspect::meaning(record.kind, record.payload));
        let line = Line::new("record", 3)
            .fact("offset", about.offset)
            .fact("position", about.position)
            .fact("record_kind", record.kind)
            .fact("stream", record.stream)
            .fact("term", record.term)
            .fact("index", record.index)
            .fact("bytes", record.payload.len())
            .fact("command", payload);
        self.printer.line(&line);
    }

    async fn sstable(&mut self, path: &Path) -> Result<(), lsm::Error> {
        let table = Sstable::open(self.rt, path).await?;
        let (footer, own) = (table.footer(), table.properties());
        let line = Line::new("sstable", 1)
            .fact("path", path.display().to_string())
            .fact("id", hex64(footer.file))
            .fact("bytes", table.size())
            .fact("identity", hex64(footer.identity))
            .fact("level", own.level)
            .fact("entries", own.entries)
            .fact("tombstones", own.tombstones)
            .fact("sequence_min", own.sequence_min)
            .fact("sequence_max", own.sequence_max)
            .fact("data_blocks", own.data_blocks)
            .fact("partitions", own.partitions)
            .fact("raw_bytes", own.raw_bytes)
            .fact("created_us", own.created_us)
            .fact("content_checksum", hex32(footer.content_checksum))
            .fact("top_offset", footer.top.offset)
            .fact("properties_offset", footer.properties.offset)
            .fact("smallest", hex(&own.smallest))
            .fact("largest", hex(&own.largest));
        self.printer.line(&line);
        if !self.args.blocks && !self.args.entries {
            return Ok(());
        }
        let mut left = Left(self.args.limit);
        table
            .walk(&mut |step| match step {
                Step::Block(block) => {
                    self.block("block", block, None);
                    true
                }
                Step::Partition { block, filter_bytes, blocks } => {
                    self.block("partition", block, Some((filter_bytes, blocks)));
                    true
                }
                Step::Entry(entry) => self.entry(&entry, &mut left),
            })
            .await
    }

    fn block(&self, kind: &'static str, block: &BlockAbout, partition: Option<(usize, usize)>) {
        if !self.args.blocks {
            return;
        }
        let line = Line::new(kind, 2)
            .fact("offset", block.place.offset)
            .fact("bytes", block.place.size)
            .fact("raw_bytes", block.raw_size)
            .fact("compression", block.compression)
            .fact("checksum", hex32(block.place.checksum));
        self.printer.line(&match partition {
            None => line.fact("up_to", hex(&block.separator)),
            Some((filter_bytes, blocks)) => line.fact("filter_bytes", filter_bytes).fact("blocks", blocks),
        });
    }

    /// Shows an entry; false when there is nothing more to show.
    fn entry(&self, entry: &EntryAbout<'_>, left: &mut Left) -> bool {
        let prefix = &*self.args.prefix;
        if !self.args.entries || !entry.key.starts_with(prefix) {
            return self.args.blocks || !self.args.entries || entry.key < prefix;
        }
        if !left.take() {
            return self.args.blocks;
        }
        let line =
            Line::new("entry", 3).fact("sequence", entry.sequence).fact("key", key(&self.names, entry.key));
        self.printer.line(&match entry.value {
            Some(bytes) => line.fact("value", value(&shard::inspect::value(entry.key, bytes))),
            None => line.fact("deleted", true),
        });
        true
    }

    async fn manifest(&mut self, path: &Path) -> Result<(), lsm::Error> {
        let Generation { generation, identity, size, end, torn, records, version, .. } =
            manifest::read(self.rt, path).await?;
        let line = Line::new("manifest", 1)
            .fact("path", path.display().to_string())
            .fact("generation", generation)
            .fact("identity", hex64(identity))
            .fact("bytes", size)
            .fact("end", end)
            .fact("torn", torn)
            .fact("records", records.len())
            .fact("next_file_id", version.next_file_id)
            .fact("last_sequence", version.last_sequence)
            .fact("sstables", version.tables.len())
            .fact("drops", version.drops.len());
        self.printer.line(&line);
        for record in records.iter().filter(|_| self.args.blocks || self.args.entries) {
            let line = Line::new("edit", 2).fact("offset", record.offset).fact("bytes", record.size);
            self.printer.line(&line);
            record.changes.iter().for_each(|change| self.printer.line(&change_line(change)));
        }
        for (level, (count, bytes)) in version.levels() {
            let line =
                Line::new("level", 2).fact("level", level).fact("sstables", count).fact("bytes", bytes);
            self.printer.line(&line);
        }
        for table in &version.tables {
            self.printer.line(&table_line("table", 2, table));
        }
        for drop in &version.drops {
            self.printer.line(&drop_line("dropped", 2, drop));
        }
        for (stream, index) in &version.marks {
            self.printer.line(&Line::new("mark", 2).fact("stream", *stream).fact("index", *index));
        }
        Ok(())
    }
}

fn is_ours(name: &str) -> bool {
    is_segment_name(name) || is_sstable_name(name) || manifest::is_manifest_name(name)
}

fn change_line(change: &Change) -> Line {
    match change {
        Change::NextFileId(id) => Line::new("next_file_id", 3).fact("id", hex64(*id)),
        Change::LastSequence(sequence) => Line::new("last_sequence", 3).fact("sequence", *sequence),
        Change::Add(table) => table_line("add", 3, table),
        Change::Remove(id) => Line::new("remove", 3).fact("id", hex64(*id)),
        Change::Mark { stream, index } => Line::new("mark", 3).fact("stream", *stream).fact("index", *index),
        Change::Drop(drop) => drop_line("drop", 3, drop),
        Change::Retire(sequence) => Line::new("retire", 3).fact("sequence", *sequence),
    }
}

fn table_line(kind: &'static str, depth: usize, table: &TableAbout) -> Line {
    Line::new(kind, depth)
        .fact("id", hex64(table.id))
        .fact("level", table.level)
        .fact("bytes", table.size)
        .fact("entries", table.entries)
        .fact("tombstones", table.tombstones)
        .fact("sequence_min", table.sequence_min)
        .fact("sequence_max", table.sequence_max)
        .fact("drops_applied", table.drops_applied)
        .fact("created_us", table.created_us)
        .fact("newest_us", table.newest_us)
        .fact("content_checksum", hex32(table.content_checksum))
        .fact("smallest", hex(&table.smallest))
        .fact("largest", hex(&table.largest))
}

fn drop_line(kind: &'static str, depth: usize, drop: &DropAbout) -> Line {
    let line = Line::new(kind, depth).fact("sequence", drop.sequence);
    line.fact("from", hex(&drop.from)).fact("to", hex(&drop.to))
}

/// How many may still be shown; from 0, all.
struct Left(u64);

impl Left {
    fn take(&mut self) -> bool {
        match self.0 {
            0 => true,
            u64::MAX => false,
            1 => {
                self.0 = u64::MAX;
                true
            }
            _ => {
                self.0 -= 1;
                true
            }
        }
    }
}
