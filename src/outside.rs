//! Processes without shards that talk to a cluster, and end when they know what they wanted: `torc ctl`.

use runtime::real::{RealOptions, RealRuntime};

/// Runs `work` on one core, without a disk, and gives its result.
pub fn run_alone<T, F, Fut>(work: F) -> anyhow::Result<T>
where
    T: Send + 'static,
    F: Fn(RealRuntime) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = T> + 'static,
{
    let cpu = tuning::cpus::read().usable()[0];
    let (answer, answers) = flume::bounded(1);
    runtime::real::run(RealOptions::diskless(vec![cpu]), move |rt| {
        let (answer, work) = (answer.clone(), work.clone());
        async move {
            let result = work(rt).await;
            answer.try_send(result).expect("there is room for the one answer");
        }
    })?;
    Ok(answers.try_recv().expect("the executor answered before it ended"))
}
