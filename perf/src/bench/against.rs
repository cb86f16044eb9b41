//! Two endpoints, turn by turn: how do they differ, and how sure is that?
//!
//! ```text
//! round 1: A B    round 2: B A    round 3: A B    ...        each round a pair; who is first changes
//! ```
//!
//! A machine that others use is slower at times. What is slower for both in one round does not touch the ratio of that round, so the
//! ratios are compared, not the figures: a figure's ratio is the geometric mean of its rounds' ratios B / A, and its interval is Student's t
//! over their logarithms (paired, 95 %). An interval that holds 1 says: no difference was shown.

use serde::{Deserialize, Serialize};

use super::local::Client;
use super::options::Plan;
use super::report::{Measurement, Report};

/// What came of a comparison. A is the endpoint, B the one against it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Against {
    /// A.
    pub a: String,
    /// B.
    pub b: String,
    /// Each round's figures of A and B.
    pub rounds: Vec<(Figures, Figures)>,
    /// B / A of each figure.
    pub ratios: Vec<Ratio>,
}

/// Figures of one turn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // The names say it.
pub struct Figures {
    pub per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
}

/// B / A of one figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Which figure.
    pub figure: String,
    /// The geometric mean over all rounds.
    pub ratio: f64,
    /// The true ratio lies above this, 95 % sure of both bounds together.
    pub low: f64,
    /// And below this.
    pub high: f64,
}

impl Ratio {
    /// Whether a difference was shown.
    pub fn is_sure(&self) -> bool {
        self.low > 1.0 || self.high < 1.0
    }

    fn of(figure: &str, pairs: impl Iterator<Item = (f64, f64)>) -> Ratio {
        let logs: Vec<f64> = pairs.filter(|(a, b)| *a > 0.0 && *b > 0.0).map(|(a, b)| (b / a).ln()).collect();
        let count = logs.len() as f64;
        let mean = logs.iter().sum::<f64>() / count;
        let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let reach = student(logs.len().saturating_sub(1)) * (variance / count).sqrt();
        Ratio {
            figure: figure.to_owned(),
            ratio: mean.exp(),
            low: (mean - reach).exp(),
            high: (mean + reach).exp(),
        }
    }
}

/// Student's t that 2.5 % lie above, by degrees of freedom.
fn student(freedom: usize) -> f64 {
    const T: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145,
        2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048,
        2.045, 2.042,
    ];
    match freedom {
        0 => f64::INFINITY,
        freedom => T.get(freedom - 1).copied().unwrap_or(1.96 + 2.5 / freedom as f64),
    }
}

impl Figures {
    fn of(measured: &Measurement) -> Figures {
        let times = &measured.response_us;
        Figures { per_second: measured.per_second, p50_us: times.p50, p99_us: times.p99, p999_us: times.p999 }
    }
}

impl Against {
    fn of(a: String, b: String, rounds: Vec<(Figures, Figures)>) -> Against {
        let ratio = |figure: &str, of: fn(&Figures) -> f64| {
            Ratio::of(figure, rounds.iter().map(|(a, b)| (of(a), of(b))))
        };
        let ratios = vec![
            ratio("operations a second", |figures| figures.per_second),
            ratio("p50", |figures| figures.p50_us),
            ratio("p99", |figures| figures.p99_us),
            ratio("p99.9", |figures| figures.p999_us),
        ];
        Against { a, b, rounds, ratios }
    }
}

/// Compares what `a` and `b` say, in so many rounds, and adds what comes of it to `report`.
pub fn against(
    client: &Client,
    name: &str,
    (a, b): (Plan, Plan),
    rounds: u32,
    report: &mut Report,
) -> anyhow::Result<()> {
    let (name_a, name_b) = (a.target.url(), b.target.url());
    let turn = |plan: &mut Plan| {
        plan.duration /= rounds;
        plan.warmup = plan.warmup.min(plan.duration / 4);
    };
    let measured = client.with_table(name, a, |a| {
        client.with_table(name, b, |b| {
            let mut measured = Vec::new();
            for round in 1..=rounds {
                let (at_a, at_b) = (format!("{name}, A, round {round}"), format!("{name}, B, round {round}"));
                if round % 2 == 1 {
                    measured.push((a.measure(&at_a, turn)?, b.measure(&at_b, turn)?));
                } else {
                    let at_b = b.measure(&at_b, turn)?;
                    measured.push((a.measure(&at_a, turn)?, at_b));
                }
            }
            Ok(measured)
        })
    })?;
    let rounds = measured.iter().map(|(a, b)| (Figures::of(a), Figures::of(b))).collect();
    report.against = Some(Against::of(name_a, name_b, rounds));
    report.measurements.extend(measured.into_iter().flat_map(|(a, b)| [a, b]));
    Ok(())
}

#[cfg(test)]
mod tests;
