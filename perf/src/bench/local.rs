//! Runs on this computer: the generator on real cores.
//!
//! Each phase starts its executors and ends with them: the table on one core, loading and measuring on all client
//! cores at once. Nothing is shared between the cores but the counters of the progress line; what they have counted is
//! added up at the end.

use std::future::Future;
use std::path::PathBuf;
use std::sync::mpsc;

use anyhow::{Context, ensure};
use runtime::real::{RealOptions, RealRuntime};
use runtime::{CoreId, Purpose, Runtime};

use super::generator::{self, Counted};
use super::options::{Plan, Work};
use super::progress::{self, Counters};
use super::report::Measurement;
use super::table;
use super::workload::Part;
use super::{hlog, host};

/// A table that is there and loaded, to be measured once or several times.
pub struct Table<'c> {
    client: &'c Client,
    plan: Plan,
}

impl Table<'_> {
    /// Measures once, as the plan says after `change`.
    pub fn measure(&mut self, name: &str, change: impl FnOnce(&mut Plan)) -> anyhow::Result<Measurement> {
        let mut plan = self.plan.clone();
        change(&mut plan);
        let began = hlog::now();
        let counted = self.client.on_all_with_progress(name, &plan, async |rt, plan, part, counters| {
            generator::measure(&rt, &plan, part, &counters).await
        })?;
        let mut sum = Counted::default();
        counted.iter().for_each(|one| sum.merge(one));
        self.plan.turn += 1;
        let log = if plan.keeps_log { hlog::write(name, began, &sum.recorder)? } else { String::new() };
        Ok(Measurement { log, ..Measurement::new(name, &plan, &sum) })
    }
}

/// The cores of the client and the directory that its executors probe.
#[derive(Clone, Debug)]
pub struct Client {
    /// By the kernel's numbers.
    pub cores: Vec<usize>,
    /// Must exist; nothing is left in it.
    pub dir: PathBuf,
}

impl Client {
    /// The last `count` of the cores that this process may run on: servers take the first ones.
    pub fn new(count: usize, dir: PathBuf) -> anyhow::Result<Client> {
        let allowed = host::cpus_allowed();
        ensure!(count <= allowed.len(), "--cores {count}: this process may run on {} only", allowed.len());
        Ok(Client { cores: allowed[allowed.len() - count..].to_vec(), dir })
    }

    /// Does what `plan` says, from creating the table to removing it.
    pub fn measure(&self, name: &str, plan: Plan) -> anyhow::Result<Measurement> {
        self.with_table(name, plan, |table| table.measure(name, |_| {}))
    }

    /// Makes the table of `plan`, loads it, and removes it after `work`, however that ends.
    pub fn with_table<T>(
        &self,
        name: &str,
        mut plan: Plan,
        work: impl FnOnce(&mut Table<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let drawn = self.prepare(&plan)?;
        plan.seed.get_or_insert(drawn);
        let mut table = Table { client: self, plan };
        let done = self.load(name, &table.plan).and_then(|()| work(&mut table));
        // A run that failed removes its table, too; its own failure is what matters then.
        let removed = if table.plan.remove { self.remove(&table.plan) } else { Ok(()) };
        let done = done?;
        removed?;
        Ok(done)
    }

    /// Runs `main` on the first core.
    pub fn on_one<T, F, Fut>(&self, main: F) -> anyhow::Result<T>
    where
        T: Send + 'static,
        F: Fn(RealRuntime) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = anyhow::Result<T>> + 'static,
    {
        let first = Client { cores: self.cores[..1].to_vec(), dir: self.dir.clone() };
        let mut results = first.on_all(move |rt, _| main(rt))?;
        Ok(results.remove(0))
    }

    /// Runs `main` on all cores at once; their results in the order of cores, or the first error.
    pub fn on_all<T, F, Fut>(&self, main: F) -> anyhow::Result<Vec<T>>
    where
        T: Send + 'static,
        F: Fn(RealRuntime, Part) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = anyhow::Result<T>> + 'static,
    {
        let (sender, receiver) = mpsc::channel();
        let options = RealOptions::new(self.cores.clone(), &self.dir);
        let run = runtime::real::run(options, move |rt| {
            let (main, sender) = (main.clone(), sender.clone());
            async move {
                let CoreId(core) = rt.core();
                let part = Part { index: usize::from(core), count: rt.core_count() };
                let result = main(rt, part).await;
                sender.send((core, result)).expect("the receiver waits for all cores");
            }
        });
        run.context("the client's cores did not start")?;
        let mut results: Vec<_> = receiver.try_iter().collect();
        assert_eq!(results.len(), self.cores.len(), "every core has a result");
        results.sort_by_key(|(core, _)| *core);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// Creates the table and draws a seed.
    fn prepare(&self, plan: &Plan) -> anyhow::Result<u64> {
        let plan = plan.clone();
        self.on_one(move |rt| {
            let plan = plan.clone();
            async move {
                table::create(&rt, &plan).await?;
                Ok(rt.random(Purpose::Workload))
            }
        })
    }

    fn load(&self, name: &str, plan: &Plan) -> anyhow::Result<()> {
        if plan.preload > 0 && plan.work != Work::Load {
            self.on_all_with_progress(name, plan, async |rt, plan, part, counters| {
                generator::preload(&rt, &plan, part, &counters).await
            })?;
        }
        Ok(())
    }

    /// Runs `work` on all cores, with a progress line that the first one draws.
    fn on_all_with_progress<T, F>(&self, name: &str, plan: &Plan, work: F) -> anyhow::Result<Vec<T>>
    where
        T: Send + 'static,
        F: AsyncFn(RealRuntime, Plan, Part, Counters) -> anyhow::Result<T> + Clone + Send + 'static,
    {
        let (name, plan, counters) = (name.to_owned(), plan.clone(), Counters::default());
        self.on_all(move |rt, part| {
            let (name, plan, counters, work) = (name.clone(), plan.clone(), counters.clone(), work.clone());
            async move {
                let shows = plan.progress && part.index == 0;
                let line = shows.then(|| progress::show(&rt, &counters, &name));
                let result = work(rt.clone(), plan, part, counters).await;
                drop(line);
                // The line is taken away when its task is dropped, which is at its next turn.
                rt.yield_now().await;
                result
            }
        })
    }

    fn remove(&self, plan: &Plan) -> anyhow::Result<()> {
        let plan = plan.clone();
        self.on_one(move |rt| {
            let plan = plan.clone();
            async move { table::remove(&rt, &plan).await }
        })
    }
}
