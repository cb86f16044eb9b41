//! One rate after the other, up to and beyond what the server can do: where does it stop keeping up?
//!
//! 1. A closed loop says what the connections reach when each asks as soon as it was answered: the capacity.
//! 2. Open loop at [`PERCENTS`] of that, by chance (Poisson), all on the same table. Two rates in a row that are not reached end it.
//! 3. The knee is where latency begins to rise faster than load: among the rates that were reached, the point that lies farthest below
//!    the line from the first to the last, load against the logarithm of p99 (Satopää et al. 2011, "Finding a Kneedle in a haystack").

use serde::{Deserialize, Serialize};

use super::local::Client;
use super::options::Plan;
use super::report::{Measurement, Report};
use super::schedule::Pace;

/// Rates that are tried, in percent of the capacity.
pub const PERCENTS: [u32; 13] = [5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100, 110];
/// A rate is reached when so much of it is.
const REACHED: f64 = 0.98;

/// What came of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// Operations a second of the closed loop.
    pub capacity_per_second: f64,
    /// One for each rate.
    pub points: Vec<Point>,
    /// Which of them is the knee; none where fewer than three rates were reached.
    pub knee: Option<usize>,
    /// The first rate that was not reached, if there is one.
    pub saturated_per_second: Option<f64>,
}

/// One rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // The names say it.
pub struct Point {
    pub asked_per_second: f64,
    pub reached_per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
    pub errors: u64,
}

impl Point {
    fn of(asked_per_second: f64, measured: &Measurement) -> Point {
        let times = &measured.response_us;
        Point {
            asked_per_second,
            reached_per_second: measured.per_second,
            p50_us: times.p50,
            p99_us: times.p99,
            p999_us: times.p999,
            max_us: times.max,
            errors: measured.errors(),
        }
    }

    /// Whether as much was done as was asked for.
    pub fn is_reached(&self) -> bool {
        self.reached_per_second >= self.asked_per_second * REACHED
    }
}

impl Sweep {
    fn of(capacity_per_second: f64, points: Vec<Point>) -> Sweep {
        let saturated = points.iter().find(|point| !point.is_reached());
        let saturated_per_second = saturated.map(|point| point.asked_per_second);
        Sweep { capacity_per_second, knee: knee(&points), points, saturated_per_second }
    }
}

/// The reached point that lies farthest below the diagonal of load and log p99.
fn knee(points: &[Point]) -> Option<usize> {
    let reached: Vec<&Point> = points.iter().take_while(|point| point.is_reached()).collect();
    let (first, last) = (reached.first()?, reached.last()?);
    let place = |point: &Point| (point.asked_per_second, point.p99_us.max(1e-3).ln());
    let ((x0, y0), (x1, y1)) = (place(first), place(last));
    if reached.len() < 3 || y1 <= y0 {
        return None;
    }
    let below = |point: &Point| {
        let (x, y) = place(point);
        (x - x0) / (x1 - x0) - (y - y0) / (y1 - y0)
    };
    let indexes = 0..reached.len();
    indexes.max_by(|one, two| below(reached[*one]).total_cmp(&below(reached[*two])))
}

/// Sweeps over `plan`, and adds what comes of it to `report`.
pub fn sweep(client: &Client, name: &str, plan: Plan, report: &mut Report) -> anyhow::Result<()> {
    let (capacity, measured) = client.with_table(name, plan, |table| {
        let closed = table.measure(&format!("{name}, closed loop"), |plan| plan.pace = Pace::Closed)?;
        let capacity = closed.per_second;
        let (mut measured, mut missed) = (vec![closed], 0);
        for percent in PERCENTS {
            let per_second = capacity * f64::from(percent) / 100.0;
            let one = table
                .measure(&format!("{name}, {percent} %"), |plan| plan.pace = Pace::Poisson { per_second })?;
            missed = if Point::of(per_second, &one).is_reached() { 0 } else { missed + 1 };
            measured.push(one);
            if missed == 2 {
                break;
            }
        }
        Ok((capacity, measured))
    })?;
    let points = measured.iter().filter_map(|one| Some(Point::of(one.rate?, one))).collect();
    report.sweep = Some(Sweep::of(capacity, points));
    report.measurements.extend(measured);
    Ok(())
}

#[cfg(test)]
mod tests;
