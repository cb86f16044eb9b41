//! The figures of a report as pictures, each an SVG of its own.
//!
//! Axes are logarithmic where figures are: what is drawn is the logarithm, and the axis says the number. Colours are of middle brightness and
//! nothing lies behind them, so that a picture can be read on white and on black.

use anyhow::{Result, anyhow};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::report::{LimitWork, Measurement, Operation, Report, time};

const SIZE: (u32, u32) = (960, 440);
const GREY: RGBColor = RGBColor(128, 134, 146);
const COLOURS: [RGBColor; 8] = [
    RGBColor(59, 130, 246),
    RGBColor(245, 128, 11),
    RGBColor(16, 170, 115),
    RGBColor(225, 65, 80),
    RGBColor(139, 92, 246),
    RGBColor(8, 160, 190),
    RGBColor(190, 130, 20),
    RGBColor(215, 70, 160),
];
/// Measurements whose distributions share one picture, at most.
const CURVES_MAX: usize = 8;

/// One picture.
#[derive(Clone, Debug)]
pub struct Plot {
    /// Its file's name without `.svg`.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// How to read it.
    pub caption: String,
    /// The picture.
    pub svg: String,
}

/// One line of a picture.
struct Line {
    label: String,
    points: Vec<(f64, f64)>,
}

/// What an axis says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    /// Numbers as they are, from 0.
    Plain,
    /// Microseconds, by their logarithm.
    Micros,
    /// Percentiles, by the nines: 0.9 is 1, 0.99 is 2.
    Nines,
}

/// A picture of lines.
struct Chart<'a> {
    x: (&'a str, Axis),
    y: (&'a str, Axis),
    lines: Vec<Line>,
    /// Lines across, with their labels.
    across: Vec<(String, f64)>,
    /// A line upright, with its label.
    upright: Option<(String, f64)>,
}

/// All pictures that the report has figures for.
pub fn plots(report: &Report) -> Result<Vec<Plot>> {
    let mut plots = Vec::new();
    plots.extend(percentiles(report)?);
    plots.extend(load(report)?);
    let shown = report.measurements.iter().filter(|one| one.series.len() > 2);
    if report.sweep.is_none() && report.against.is_none() {
        for (index, measurement) in shown.enumerate() {
            plots.extend(series(measurement, index)?);
        }
    }
    plots.extend(stages(report)?);
    Ok(plots)
}

/// Latency by percentile, a line for each kind of operation.
fn percentiles(report: &Report) -> Result<Option<Plot>> {
    let several = report.measurements.len() > 1;
    let kinds = report.measurements.iter().flat_map(|run| run.operations.iter().map(move |one| (run, one)));
    let line = |(run, one): (&Measurement, &Operation)| Line {
        label: if several { format!("{}, {}", one.operation, run.name) } else { one.operation.clone() },
        points: one.curve.iter().map(|(quantile, micros)| (nines(*quantile), micros.max(1.0))).collect(),
    };
    let lines: Vec<Line> = kinds.filter(|(_, one)| one.curve.len() > 1).take(CURVES_MAX).map(line).collect();
    if lines.is_empty() {
        return Ok(None);
    }
    let limit = |work, what: &str| {
        let found = report.limits.iter().find(|limit| limit.work == work && limit.depth == 1)?;
        Some((format!("{what}, p50: {}", time(found.latency_us.p50)), found.latency_us.p50.max(1.0)))
    };
    let across = [(LimitWork::Write, "raw durable write"), (LimitWork::RoundTrip, "raw loopback")];
    let across = across.iter().filter_map(|(work, what)| limit(*work, what)).collect();
    let (x, y) = (("percentile", Axis::Nines), ("latency", Axis::Micros));
    let svg = Chart { x, y, lines, across, upright: None }.draw()?;
    Ok(Some(Plot {
        name: "percentiles".into(),
        title: "Latency by percentile".into(),
        caption: "From when an operation was due to its end; in closed loop corrected for what was not asked. Dashed: what the hardware alone takes, \
                  measured in the same run."
            .into(),
        svg,
    }))
}

fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).max(1e-9).log10()
}

/// Latency over load, where there was a sweep.
fn load(report: &Report) -> Result<Option<Plot>> {
    let Some(sweep) = &report.sweep else { return Ok(None) };
    let line = |label: &str, of: fn(&super::sweep::Point) -> f64| Line {
        label: label.to_owned(),
        points: sweep.points.iter().map(|point| (point.asked_per_second, of(point).max(1.0))).collect(),
    };
    let lines = vec![
        line("max", |point| point.max_us),
        line("p99.9", |point| point.p999_us),
        line("p99", |point| point.p99_us),
        line("p50", |point| point.p50_us),
    ];
    let knee = sweep.knee.map(|index| sweep.points[index].asked_per_second);
    let upright = knee.map(|knee| (format!("knee: {} a second", super::report::grouped(knee)), knee));
    let (x, y) = (("operations a second asked for", Axis::Plain), ("latency", Axis::Micros));
    let svg = Chart { x, y, lines, across: Vec::new(), upright }.draw()?;
    Ok(Some(Plot {
        name: "load".into(),
        title: "Latency over load".into(),
        caption: "Open loop, requests by chance; timed from when each was due.".into(),
        svg,
    }))
}

/// Throughput and latency second by second.
fn series(measurement: &Measurement, index: usize) -> Result<[Plot; 2]> {
    let whole = &measurement.series[..measurement.series.len() - 1];
    let line = |label: &str, of: fn(&super::report::Second) -> f64| Line {
        label: label.to_owned(),
        // The last one is seldom whole.
        points: whole.iter().map(|second| (second.at, of(second))).collect(),
    };
    let suffix = if index == 0 { String::new() } else { format!("-{}", index + 1) };
    let x = ("seconds", Axis::Plain);
    let mut lines = vec![line("done", |second| second.ok_per_second)];
    if measurement.errors() > 0 {
        lines.push(line("errors", |second| second.errors_per_second));
    }
    let y = ("operations a second", Axis::Plain);
    let throughput = Chart { x, y, lines, across: Vec::new(), upright: None }.draw()?;
    let lines = vec![
        line("max", |second| second.max_us.max(1.0)),
        line("p99", |second| second.p99_us.max(1.0)),
        line("p50", |second| second.p50_us.max(1.0)),
    ];
    let latency =
        Chart { x, y: ("latency", Axis::Micros), lines, across: Vec::new(), upright: None }.draw()?;
    let caption = format!(
        "{}: all kinds of operations together, by the second in which they were over.",
        measurement.name
    );
    Ok([
        Plot {
            name: format!("throughput{suffix}"),
            title: "Throughput over time".into(),
            caption: caption.clone(),
            svg: throughput,
        },
        Plot { name: format!("latency{suffix}"), title: "Latency over time".into(), caption, svg: latency },
    ])
}

impl Chart<'_> {
    fn draw(&self) -> Result<String> {
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            self.draw_on(&area).map_err(|error| anyhow!("a plot: {error}"))?;
            area.present().map_err(|error| anyhow!("a plot: {error}"))?;
        }
        Ok(svg)
    }

    /// Where a point lies.
    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let on = |axis, value: f64| if axis == Axis::Micros { value.log10() } else { value };
        (on(self.x.1, x), on(self.y.1, y))
    }

    fn bounds(&self) -> ((f64, f64), (f64, f64)) {
        let points = self.lines.iter().flat_map(|line| line.points.iter().map(|point| self.place(*point)));
        let across = self.across.iter().map(|(_, value)| self.place((0.0, *value)).1);
        let (mut xs, mut ys): (Vec<f64>, Vec<f64>) = points.unzip();
        ys.extend(across);
        let bound = |axis, values: &mut Vec<f64>| {
            values.sort_by(f64::total_cmp);
            let (least, most) =
                (values.first().copied().unwrap_or(0.0), values.last().copied().unwrap_or(1.0));
            match axis {
                Axis::Plain => (0.0, (most * 1.05).max(1e-9)),
                Axis::Nines => (0.0, most.max(1.0)),
                Axis::Micros => (least.floor(), most.ceil().max(least.floor() + 1.0)),
            }
        };
        (bound(self.x.1, &mut xs), bound(self.y.1, &mut ys))
    }

    fn draw_on<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, plotters::coord::Shift>,
    ) -> std::result::Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        let (xs, ys) = self.bounds();
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .margin_right(28)
            .x_label_area_size(46)
            .y_label_area_size(76)
            .build_cartesian_2d(xs.0..xs.1, ys.0..ys.1)?;
        let text = ("sans-serif", 14).into_font().color(&GREY);
        let labels =
            |axis, (from, to): (f64, f64)| if axis == Axis::Plain { 9 } else { (to - from) as usize + 2 };
        chart
            .configure_mesh()
            .axis_style(GREY.mix(0.8))
            .bold_line_style(GREY.mix(0.3))
            .light_line_style(TRANSPARENT)
            .label_style(text.clone())
            .axis_desc_style(("sans-serif", 15).into_font().color(&GREY))
            .x_desc(self.x.0)
            .y_desc(self.y.0)
            .x_labels(labels(self.x.1, xs))
            .y_labels(labels(self.y.1, ys))
            .x_label_formatter(&|value| self.x.1.says(*value))
            .y_label_formatter(&|value| self.y.1.says(*value))
            .draw()?;
        self.draw_between(&mut chart, xs, ys)?;
        for (index, line) in self.lines.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let points = line.points.iter().map(|point| self.place(*point));
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
                .label(&line.label)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3)));
        }
        self.draw_marks(&mut chart, xs, ys)?;
        chart
            .configure_series_labels()
            .position(if self.y.1 == Axis::Plain {
                SeriesLabelPosition::LowerRight
            } else {
                SeriesLabelPosition::UpperLeft
            })
            .label_font(text)
            .margin(10)
            .legend_area_size(24)
            .draw()?;
        Ok(())
    }

    /// Faint lines at 2 to 9 of each power of ten.
    fn draw_between<DB: DrawingBackend>(
        &self,
        chart: &mut ChartContext<'_, DB, Cartesian2d<RangedCoordf64, RangedCoordf64>>,
        xs: (f64, f64),
        ys: (f64, f64),
    ) -> std::result::Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        if self.y.1 != Axis::Micros {
            return Ok(());
        }
        for power in ys.0 as i32..ys.1 as i32 {
            for step in 2..10 {
                let at = f64::from(power) + f64::from(step).log10();
                let line = LineSeries::new([(xs.0, at), (xs.1, at)], GREY.mix(0.1));
                chart.draw_series(line)?;
            }
        }
        Ok(())
    }

    /// Lines across and upright, with their labels.
    fn draw_marks<DB: DrawingBackend>(
        &self,
        chart: &mut ChartContext<'_, DB, Cartesian2d<RangedCoordf64, RangedCoordf64>>,
        xs: (f64, f64),
        ys: (f64, f64),
    ) -> std::result::Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        let text = |horizontal, vertical| {
            ("sans-serif", 13).into_font().color(&GREY).pos(Pos::new(horizontal, vertical))
        };
        for (label, value) in &self.across {
            let (_, at) = self.place((0.0, *value));
            let line = DashedLineSeries::new([(xs.0, at), (xs.1, at)], 5, 4, GREY.stroke_width(1));
            chart.draw_series(line)?;
            let label = Text::new(label.clone(), (xs.1, at), text(HPos::Right, VPos::Bottom));
            chart.draw_series([label])?;
        }
        if let Some((label, value)) = &self.upright {
            let (at, _) = self.place((*value, 1.0));
            let line = DashedLineSeries::new([(at, ys.0), (at, ys.1)], 5, 4, GREY.stroke_width(1));
            chart.draw_series(line)?;
            let label = Text::new(format!("{label} "), (at, ys.0), text(HPos::Right, VPos::Bottom));
            chart.draw_series([label])?;
        }
        Ok(())
    }
}

impl Axis {
    /// What stands at a place of the axis.
    fn says(self, value: f64) -> String {
        match self {
            Axis::Plain if value >= 1000.0 => super::report::grouped(value),
            Axis::Plain => format!("{}", (value * 100.0).round() / 100.0),
            Axis::Micros => match 10f64.powf(value) {
                micros if micros < 1e3 => format!("{} µs", tenths(micros)),
                micros if micros < 1e6 => format!("{} ms", tenths(micros / 1e3)),
                micros => format!("{} s", tenths(micros / 1e6)),
            },
            Axis::Nines if value < 0.5 => "0".into(),
            Axis::Nines => {
                let nines = value.round() as usize;
                format!("{:.*} %", nines.saturating_sub(2), 100.0 - 10f64.powi(2 - nines as i32))
            }
        }
    }
}

/// With one digit behind the point, if it says something.
fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

/// Where the time went: a bar for each kind of operation that was told.
fn stages(report: &Report) -> Result<Option<Plot>> {
    let kinds = report.measurements.iter().flat_map(|run| run.operations.iter());
    let told: Vec<&Operation> = kinds
        .filter(|one| one.stages.as_ref().is_some_and(|stages| stages.count > 0))
        .take(CURVES_MAX)
        .collect();
    if told.is_empty() {
        return Ok(None);
    }
    let mut svg = String::new();
    {
        let height = 150 + 56 * told.len() as u32;
        let area = SVGBackend::with_string(&mut svg, (SIZE.0, height)).into_drawing_area();
        draw_stages(&area, &told).map_err(|error| anyhow!("a plot: {error}"))?;
        area.present().map_err(|error| anyhow!("a plot: {error}"))?;
    }
    Ok(Some(Plot {
        name: "stages".into(),
        title: "Where the time goes in the server".into(),
        caption: "Means of sampled requests, stage by stage, from the server's own ledger (x-torc-trace)."
            .into(),
        svg,
    }))
}

fn draw_stages<DB: DrawingBackend>(
    area: &DrawingArea<DB, plotters::coord::Shift>,
    told: &[&Operation],
) -> std::result::Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
    let stages = |one: &Operation| one.stages.as_ref().expect("only those that were told").stages.clone();
    let total = |one: &Operation| stages(one).iter().map(|stage| stage.mean_us).sum::<f64>();
    let longest = told.iter().map(|one| total(one)).fold(1.0, f64::max);
    let mut names: Vec<String> = Vec::new();
    for stage in told.iter().flat_map(|one| stages(one)) {
        if !names.contains(&stage.stage) {
            names.push(stage.stage);
        }
    }
    let text = ("sans-serif", 14).into_font().color(&GREY);
    let rows = told.len() as f64;
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .margin_right(28)
        .margin_bottom(64)
        .x_label_area_size(46)
        .y_label_area_size(130)
        .build_cartesian_2d(0.0..longest * 1.12, 0.0..rows)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .axis_style(GREY.mix(0.8))
        .bold_line_style(GREY.mix(0.3))
        .light_line_style(TRANSPARENT)
        .label_style(text.clone())
        .axis_desc_style(("sans-serif", 15).into_font().color(&GREY))
        .x_desc("microseconds, mean")
        .y_labels(0)
        .draw()?;
    let colour = |name: &str| {
        let index = names.iter().position(|known| known == name).unwrap_or(0);
        COLOURS[index % COLOURS.len()].mix(if index < COLOURS.len() { 0.95 } else { 0.5 })
    };
    for (row, one) in told.iter().enumerate() {
        let base = rows - row as f64 - 1.0;
        let mut at = 0.0;
        for stage in stages(one) {
            let (from, to) = ((at, base + 0.2), (at + stage.mean_us, base + 0.8));
            chart.draw_series([Rectangle::new([from, to], colour(&stage.stage).filled())])?;
            at += stage.mean_us;
        }
        let right = text.clone().pos(Pos::new(HPos::Left, VPos::Center));
        chart.draw_series([Text::new(format!("  {}", time(at)), (at, base + 0.5), right)])?;
        let (x, y) = chart.backend_coord(&(0.0, base + 0.5));
        let left = text.clone().pos(Pos::new(HPos::Right, VPos::Center));
        area.draw(&Text::new(one.operation.clone(), (x - 10, y), left))?;
    }
    let (width, height) = area.dim_in_pixel();
    let per_row = names.len().div_ceil(2).max(1);
    for (index, name) in names.iter().enumerate() {
        let x = 140 + (index % per_row) as i32 * ((width as i32 - 170) / per_row as i32);
        let y = height as i32 - 52 + (index / per_row) as i32 * 24;
        area.draw(&Rectangle::new([(x, y), (x + 12, y + 12)], colour(name).filled()))?;
        area.draw(&Text::new(name.clone(), (x + 18, y + 1), text.clone()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
