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
use super::host;
use super::options::Plan;
use super::progress::{self, Counters};
use super::report::Measurement;
use super::table;
use super::workload::Part;

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
    pub fn measure(&self, name: &str, mut plan: Plan) -> anyhow::Result<Measurement> {
        let drawn = self.prepare(&plan)?;
        plan.seed.get_or_insert(drawn);
        let counted = self.load_and_measure(name, &plan);
        // A run that failed removes its table, too; its own failure is what matters then.
        let removed = if plan.remove { self.remove(&plan) } else { Ok(()) };
        let counted = counted?;
        removed?;
        Ok(Measurement::new(name, &plan, &counted))
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

    fn load_and_measure(&self, name: &str, plan: &Plan) -> anyhow::Result<Counted> {
        if plan.preload > 0 {
            self.on_all_with_progress(name, plan, async |rt, plan, part, counters| {
                generator::preload(&rt, &plan, part, &counters).await
            })?;
        }
        let counted = self.on_all_with_progress(name, plan, async |rt, plan, part, counters| {
            generator::measure(&rt, &plan, part, &counters).await
        })?;
        let mut sum = Counted::default();
        counted.iter().for_each(|one| sum.merge(one));
        Ok(sum)
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
