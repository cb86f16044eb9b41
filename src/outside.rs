//! Work on one core that ends with a result: of `torc ctl`, which talks to a cluster, and of a node before its shards start.

use runtime::real::{RealOptions, RealRuntime};

/// Runs `work` on one core, without a disk, and gives its result.
pub fn run_alone<T, F, Fut>(work: F) -> anyhow::Result<T>
where
    T: Send + 'static,
    F: Fn(RealRuntime) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = T> + 'static,
{
    let cpu = tuning::cpus::read().usable()[0];
    on_one_core(RealOptions::diskless(vec![cpu]), work)
}

/// Runs `work` on the one core of these options, and gives its result.
pub fn on_one_core<T, F, Fut>(options: RealOptions, work: F) -> anyhow::Result<T>
where
    T: Send + 'static,
    F: Fn(RealRuntime) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = T> + 'static,
{
    let (answer, answers) = flume::bounded(1);
    runtime::real::run(options, move |rt| {
        let (answer, work) = (answer.clone(), work.clone());
        async move {
            let result = work(rt).await;
            answer.try_send(result).expect("there is room for the one answer");
        }
    })?;
    Ok(answers.try_recv().expect("the executor answered before it ended"))
}
