//! Findings for people: what needs somebody first, the rest in one line each.

use std::fmt::Write as _;

use crate::change::Write;
use crate::checks::{Cost, Finding, Step, Verdict, show_us};
use crate::measure::{Device, TransferKind};

/// Text is wrapped at this column, as far as its words let it.
const WIDTH: usize = 110;
/// The column that all text begins at.
const MARGIN: usize = 20;

/// All findings: problems, advice, what cannot be seen, what is well.
pub fn findings(findings: &[Finding]) -> String {
    let mut text = String::new();
    for verdict in [Verdict::Problem, Verdict::Advice, Verdict::Unseen, Verdict::Good] {
        let these: Vec<&Finding> = findings.iter().filter(|finding| finding.verdict == verdict).collect();
        if these.is_empty() {
            continue;
        }
        let title = match verdict {
            Verdict::Problem => "PROBLEMS",
            Verdict::Advice => "COULD BE BETTER",
            Verdict::Unseen => "NOT SEEN FROM HERE",
            Verdict::Good => "WELL",
        };
        let _ = writeln!(text, "{title}\n");
        these.iter().for_each(|finding| one(&mut text, finding));
        text.push('\n');
    }
    text
}

fn one(text: &mut String, finding: &Finding) {
    let brief = matches!(finding.verdict, Verdict::Good | Verdict::Unseen);
    line(text, finding.id, &finding.seen);
    match &finding.cost {
        Cost::Nothing => {}
        Cost::Measured { us, of } => line(text, "", &format!("costs here: {}, {of}", show_us(*us))),
        Cost::NotMeasured { .. } if brief => {}
        Cost::NotMeasured { why } => line(text, "", &format!("costs here: not measured, {why}")),
    }
    if brief {
        return;
    }
    line(text, "", &format!("why: {}", finding.why));
    steps(text, &finding.steps);
    if !finding.lasting.is_empty() {
        line(text, "", &format!("to last: {}", finding.lasting));
    }
    line(text, "", &format!("source: {}", finding.source));
    text.push('\n');
}

/// Writes of many cpus are alike: the first says it.
fn steps(text: &mut String, steps: &[Step]) {
    let mut writes = 0;
    for step in steps {
        match step {
            Step::ByHand { command, undo } => {
                line(text, "", &format!("by hand: {command}"));
                if undo != "-" {
                    line(text, "", &format!("undo: {undo}"));
                }
            }
            Step::Write { path, value } => {
                writes += 1;
                if writes == 1 {
                    line(text, "", &format!("set: echo {value} > {path}"));
                }
            }
        }
    }
    match writes {
        0 => {}
        1 => line(text, "", "(torc tune apply --yes does it, torc tune undo --yes takes it back)"),
        more => line(
            text,
            "",
            &format!(
                "and {} more (torc tune apply --yes does them, torc tune undo --yes takes them back)",
                more - 1
            ),
        ),
    }
}

/// A line with a name in front, wrapped.
fn line(text: &mut String, name: &str, words: &str) {
    let mut column = MARGIN;
    let _ = write!(text, "  {name:<width$}", width = MARGIN - 2);
    for (index, word) in words.split(' ').enumerate() {
        if index > 0 && column + 1 + word.chars().count() > WIDTH {
            let _ = write!(text, "\n{:MARGIN$}", "");
            column = MARGIN;
        } else if index > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += word.chars().count();
    }
    text.push('\n');
}

/// Commands that would be run, each with the way back.
pub fn commands(plan: &[Write]) -> String {
    let one =
        |write: &Write| format!("# {}; back: {}\n{}\n", write.check, write.undo_command(), write.command());
    plan.iter().map(one).collect()
}

/// What a device can do, as a table.
pub fn device(device: &Device) -> String {
    let mut text = format!(
        "{:>7} {:>9} {:>6} {:>11} {:>9} {:>10} {:>10}\n",
        "", "size", "depth", "a second", "MB/s", "p50", "p99"
    );
    for transfer in &device.transfers {
        let kind = if transfer.kind == TransferKind::Write { "write" } else { "read" };
        let _ = writeln!(
            text,
            "{kind:>7} {:>5} KiB {:>6} {:>11.0} {:>9.1} {:>10} {:>10}",
            transfer.size >> 10,
            transfer.depth,
            transfer.per_second,
            transfer.bytes_per_second() / 1e6,
            show_us(transfer.latency.us_p50),
            show_us(transfer.latency.us_p99)
        );
    }
    text
}
