//! One shard's worth of log and tree.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use lsm::log::{Identity, Log, LogOptions, Position, Record};
use lsm::{Direction, Error, Mark, Range, Tree, TreeOptions};
use runtime::sim::SimRuntime;
use runtime::sync::join_all;
use runtime::{Class, Runtime};

use crate::model::{Contents, Dice, Model, Op, STREAMS, draw_key};

/// Why a life ended before its time.
#[derive(Debug)]
pub enum End {
    /// The engine said so: whether it may depends on the disk.
    Said(Error),
    /// What was acknowledged is gone: some of the last records of a stream.
    Shorter(String),
    /// The log goes on behind what the tree has: noticed by whoever replays, as a shard does.
    Gap(String),
    /// What is there is not what was written. Never right.
    Wrong(String),
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            End::Said(error) => write!(f, "{error}"),
            End::Shorter(what) | End::Gap(what) | End::Wrong(what) => f.write_str(what),
        }
    }
}

impl From<Error> for End {
    fn from(error: Error) -> End {
        End::Said(error)
    }
}

/// What the tasks of a world share.
pub struct Shared {
    pub model: RefCell<Model>,
    pub dice: RefCell<Dice>,
    /// The disk lies: the end of the log may be missing.
    pub lying: Cell<bool>,
    pub acknowledged: Cell<u64>,
    pub full: Cell<u64>,
    /// Acknowledged records that a lying disk took without a trace, from the end of a stream.
    pub taken: Cell<u64>,
    pub wrong: RefCell<Option<String>>,
}

impl Shared {
    fn below(&self, bound: u64) -> u64 {
        self.dice.borrow_mut().below(bound)
    }

    fn percent(&self, percent: u64) -> bool {
        self.dice.borrow_mut().percent(percent)
    }

    fn complain(&self, what: String) {
        self.wrong.borrow_mut().get_or_insert(what);
    }
}

pub struct Options {
    pub log: LogOptions,
    pub tree: TreeOptions,
    pub writers: u64,
    pub writes: u64,
}

impl Options {
    pub fn identity() -> Identity {
        Identity { cluster: 1, node: 2, shard: 3 }
    }
}

/// An open engine.
#[derive(Clone)]
pub struct Engine {
    rt: SimRuntime,
    log: Log<SimRuntime>,
    tree: Tree<SimRuntime>,
    shared: Rc<Shared>,
    /// Of each stream, up to which index the tree has it.
    applied: Rc<RefCell<Vec<u64>>>,
    /// Appended and not yet applied, in the order of the log.
    queue: Rc<RefCell<VecDeque<(Position, u64, u64)>>>,
    /// Why nothing is applied any more.
    ended: Rc<RefCell<Option<Error>>>,
}

impl Engine {
    /// Opens tree and log, replays, and checks everything against the model.
    pub async fn open(rt: SimRuntime, options: &Options, shared: Rc<Shared>) -> Result<Engine, End> {
        let tree = Tree::open(rt.clone(), options.tree.clone()).await?;
        let (log, mut replay) = Log::open(rt.clone(), options.log.clone()).await?;
        let mut applied: Vec<u64> = (0..STREAMS).map(|stream| tree.flushed_mark(stream)).collect();
        check_marks(&shared.model.borrow(), &applied)?;
        let mut seen = vec![None; STREAMS as usize];
        while let Some((_, record)) = replay.next().await? {
            let (stream, index) = (record.stream, record.index);
            if !shared.model.borrow().wrote(stream, index, record.payload) {
                return Err(End::Wrong(format!("record {index} of stream {stream} was not written so")));
            }
            let at = stream as usize;
            let before: Option<u64> = seen[at].replace(index);
            if before.is_some_and(|before| index != before + 1) || index > applied[at] + 1 {
                return Err(End::Gap(format!(
                    "stream {stream} goes from {before:?}, {} to {index}",
                    applied[at]
                )));
            }
            if index > applied[at] {
                tree.ready().await?;
                let batch = shared.model.borrow().batch(stream, index);
                tree.apply(&batch, Mark { stream, index });
                applied[at] = index;
            }
        }
        settle(&shared, &applied)?;
        let engine = Engine {
            rt,
            log,
            tree,
            shared,
            applied: Rc::new(RefCell::new(applied)),
            queue: Rc::default(),
            ended: Rc::default(),
        };
        engine.check_all().await?;
        Ok(engine)
    }

    /// Everything there is, whichever way one looks.
    pub async fn check_all(&self) -> Result<(), End> {
        for stream in 0..STREAMS {
            let (view, wanted) = (self.tree.view(), self.expected(stream));
            let range = Range::half_open(format!("{stream}/").as_bytes(), format!("{stream}0").as_bytes());
            for direction in [Direction::Forward, Direction::Backward] {
                let mut scan = view.scan(range.clone(), direction);
                let mut found = Contents::new();
                while let Some((key, value)) = scan.next().await? {
                    found.insert(key.to_vec(), value.to_vec());
                }
                if found != wanted {
                    return Err(End::Wrong(format!(
                        "stream {stream}, scan {direction:?}: {}",
                        differ(&found, &wanted)
                    )));
                }
            }
            for (key, value) in &wanted {
                let found = view.get(key).await?;
                if found.as_deref() != Some(value.as_slice()) {
                    return Err(End::Wrong(format!("get {}", String::from_utf8_lossy(key))));
                }
            }
        }
        Ok(())
    }

    /// Several writers, readers, a flusher, a releaser, until the writers are done; with `rush`, until many more appends are
    /// under way.
    pub async fn work(&self, options: &Options, rush: bool) -> Result<(), End> {
        let applier = self.rt.spawn(Class::Foreground, self.clone().apply());
        let releaser = self.rt.spawn(Class::Background, self.clone().release());
        let writer = |_| self.rt.spawn(Class::Foreground, self.clone().write(options.writes));
        let ends = join_all((0..options.writers).map(writer)).await;
        drop(releaser);
        ends.into_iter().collect::<Result<Vec<()>, End>>()?;
        if rush {
            return self.rush().await;
        }
        // Whatever was appended is acknowledged in the end, or the log says why not.
        let last = self.queue.borrow().back().map(|(position, ..)| *position);
        if let Some(last) = last {
            self.log.durable(last).await?;
        }
        while !self.queue.borrow().is_empty() {
            if let Some(error) = self.ended.take() {
                return Err(End::Said(error));
            }
            self.rt.sleep(Duration::from_micros(50)).await;
        }
        drop(applier);
        Ok(())
    }

    pub async fn close(&self) -> Result<(), End> {
        self.tree.close().await?;
        self.log.close().await?;
        Ok(())
    }

    fn expected(&self, stream: u64) -> Contents {
        self.shared.model.borrow().contents(stream, self.applied.borrow()[stream as usize])
    }

    async fn write(self, writes: u64) -> Result<(), End> {
        for _ in 0..writes {
            match self.shared.below(20) {
                0..12 => self.append(60).await?,
                12..16 => self.read().await?,
                16 => self.tree.flush().await.or_else(|error| self.wait_for_room(error))?,
                17 => self.scan().await?,
                _ => self.rt.sleep(Duration::from_micros(self.shared.below(2000))).await,
            }
        }
        Ok(())
    }

    /// A full disk is no end: who writes waits and tries again.
    fn wait_for_room(&self, error: Error) -> Result<(), End> {
        match error {
            Error::Full { .. } => {
                self.shared.full.set(self.shared.full.get() + 1);
                Ok(())
            }
            error => Err(End::Said(error)),
        }
    }

    /// Appends one record after the other, so that as many log writes are in flight as may be, and returns in the midst
    /// of it: the place for a loss of power that keeps a later write and tears an earlier one.
    async fn rush(&self) -> Result<(), End> {
        for _ in 0..5 + self.shared.below(30) {
            self.append(0).await?;
            if self.shared.percent(70) {
                self.rt.sleep(Duration::from_micros(self.shared.below(20))).await;
            }
        }
        Ok(())
    }

    /// Appends a record, and in so many of a hundred cases waits until it is durable.
    async fn append(&self, waits: u64) -> Result<(), End> {
        if let Err(error) = self.log.ready().await {
            self.wait_for_room(error)?;
            self.rt.sleep(Duration::from_micros(500 + self.shared.below(2000))).await;
            return Ok(());
        }
        let stream = self.shared.below(STREAMS);
        let op = Op::draw(&mut self.shared.dice.borrow_mut(), stream);
        let index = self.shared.model.borrow().streams[stream as usize].history.len() as u64 + 1;
        let payload = op.encode();
        let record = Record { kind: 1, stream, term: 1, index, payload: &payload };
        match self.log.append(record) {
            Ok(position) => {
                self.shared.model.borrow_mut().streams[stream as usize].history.push(op);
                self.queue.borrow_mut().push_back((position, stream, index));
                if self.shared.percent(waits) {
                    self.log.durable(position).await?;
                }
                Ok(())
            }
            Err(Error::Busy) => Ok(()),
            Err(error) => self.wait_for_room(error),
        }
    }

    /// Acknowledges and applies what is durable, in the order of the log.
    async fn apply(self) {
        let mut durable = Position::default();
        while let Ok(position) = self.log.durable_beyond(durable).await {
            durable = position;
            loop {
                let first = self.queue.borrow().front().copied();
                let Some((_, stream, index)) = first.filter(|(position, ..)| *position <= durable) else {
                    break;
                };
                self.acknowledge(stream, index);
                while let Err(error) = self.tree.ready().await {
                    if !matches!(error, Error::Full { .. }) {
                        self.ended.replace(Some(error));
                        return;
                    }
                    self.rt.sleep(Duration::from_millis(1)).await;
                }
                let batch = self.shared.model.borrow().batch(stream, index);
                self.tree.apply(&batch, Mark { stream, index });
                self.applied.borrow_mut()[stream as usize] = index;
                self.queue.borrow_mut().pop_front();
            }
        }
    }

    fn acknowledge(&self, stream: u64, index: u64) {
        let mut model = self.shared.model.borrow_mut();
        let stream = &mut model.streams[stream as usize];
        if stream.acked < index {
            stream.acked = index;
            self.shared.acknowledged.set(self.shared.acknowledged.get() + 1);
        }
    }

    async fn release(self) {
        loop {
            self.rt.sleep(Duration::from_micros(self.shared.below(4000))).await;
            self.log.release(|stream| self.tree.flushed_mark(stream));
        }
    }

    async fn read(&self) -> Result<(), End> {
        let stream = self.shared.below(STREAMS);
        let key = draw_key(&mut self.shared.dice.borrow_mut(), stream);
        // As of now: while the view reads, more is applied.
        let (view, index) = (self.tree.view(), self.applied.borrow()[stream as usize]);
        let found = view.get(&key).await?;
        if found.as_deref() != self.shared.model.borrow().value(stream, index, &key) {
            self.shared.complain(format!("get {}", String::from_utf8_lossy(&key)));
        }
        Ok(())
    }

    async fn scan(&self) -> Result<(), End> {
        let stream = self.shared.below(STREAMS);
        let (view, wanted) = (self.tree.view(), self.expected(stream));
        let range = Range::half_open(format!("{stream}/").as_bytes(), format!("{stream}0").as_bytes());
        let mut scan = view.scan(range, Direction::Forward);
        let mut found = Contents::new();
        while let Some((key, value)) = scan.next().await? {
            found.insert(key.to_vec(), value.to_vec());
        }
        if found != wanted {
            self.shared.complain(format!("scan of stream {stream}: {}", differ(&found, &wanted)));
        }
        Ok(())
    }
}

/// The tree never has what was not written.
fn check_marks(model: &Model, marks: &[u64]) -> Result<(), End> {
    for (stream, mark) in marks.iter().enumerate() {
        let written = model.streams[stream].history.len() as u64;
        if *mark > written {
            return Err(End::Wrong(format!(
                "the tree has {mark} of stream {stream}, {written} were written"
            )));
        }
    }
    Ok(())
}

/// What is there after a replay is what there is from now on; it must hold what was acknowledged.
fn settle(shared: &Shared, applied: &[u64]) -> Result<(), End> {
    let mut model = shared.model.borrow_mut();
    for (at, stream) in model.streams.iter_mut().enumerate() {
        if applied[at] < stream.acked && !shared.lying.get() {
            return Err(End::Shorter(format!(
                "stream {at} ends at {}, {} was acknowledged",
                applied[at], stream.acked
            )));
        }
        shared.taken.set(shared.taken.get() + stream.acked.saturating_sub(applied[at]));
        stream.acked = stream.acked.min(applied[at]);
        stream.history.truncate(applied[at] as usize);
    }
    Ok(())
}

fn differ(found: &Contents, wanted: &Contents) -> String {
    let missing = wanted.keys().filter(|key| !found.contains_key(*key)).count();
    let foreign = found.keys().filter(|key| !wanted.contains_key(*key)).count();
    let other =
        found.iter().filter(|(key, value)| wanted.get(*key).is_some_and(|wanted| wanted != *value)).count();
    format!("{missing} missing, {foreign} foreign, {other} with another value")
}
