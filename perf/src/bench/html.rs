//! A report as one page: text, tables and pictures in one file that needs no network and no script.

use super::plots::Plot;
use super::report::{Report, Table, grouped, time};

const STYLE: &str = "
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); --soft: color-mix(in srgb, currentColor 62%, transparent); }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 1040px; padding: 28px 24px 60px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 40px 0 6px; }
p { margin: 4px 0; } .soft, figcaption { color: var(--soft); font-size: 14px; }
code { font: 13px/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
.cards { display: flex; flex-wrap: wrap; gap: 12px; margin: 22px 0 6px; }
.card { border: 1px solid var(--line); border-radius: 8px; padding: 10px 16px; min-width: 120px; }
.card b { display: block; font-size: 22px; } .card span { color: var(--soft); font-size: 13px; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; margin: 8px 0; }
th, td { border-bottom: 1px solid var(--line); padding: 4px 14px 4px 0; text-align: right; white-space: nowrap; }
th { font-weight: 600; color: var(--soft); } th.word, td.word { text-align: left; }
figure { margin: 26px 0 0; } svg { width: 100%; height: auto; }
";

/// The page.
pub fn page(report: &Report, plots: &[Plot]) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>torc bench</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>{STYLE}</style></head><body>\n\
         <h1>torc bench</h1>\n<p class=\"soft\">{}</p>\n<p><code>{}</code></p>\n",
        escaped(&report.host.to_string()),
        escaped(&report.command)
    );
    cards(report, &mut out);
    for (index, table) in report.tables().iter().enumerate() {
        let title = title(&table.heads);
        if index == 0 {
            out.push_str("<h2>Figures</h2>\n");
            put_table(table, &mut out);
            plots.iter().for_each(|plot| put_plot(plot, &mut out));
        } else {
            out.push_str(&format!("<h2>{title}</h2>\n"));
            put_table(table, &mut out);
        }
    }
    let mut notes = String::new();
    report.notes(&mut notes);
    out.push_str("<h2>Notes</h2>\n");
    notes.lines().for_each(|line| out.push_str(&format!("<p>{}</p>\n", escaped(line))));
    out.push_str(
        "<p class=\"soft\">Times are from when an operation was due, so that a stall is charged to all that it delayed. Physical limits were \
         measured in the same run, on the same device and the same loopback.</p>\n</body></html>\n",
    );
    out
}

fn title(heads: &[String]) -> &'static str {
    match heads.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["B / A", ..] => "A and B",
        ["asked for, per second", ..] => "Sweep",
        ["physical limit", ..] => "Physical limits",
        ["run", "operation", "stage in the server", ..] => "Stages",
        ["run", "operation", "times", ..] => "Tails",
        _ => "Facts",
    }
}

/// The figures of the first measurement, large.
fn cards(report: &Report, out: &mut String) {
    let Some(first) = report.measurements.first() else { return };
    let times = &first.response_us;
    let cards = [
        (grouped(first.per_second), "operations a second".to_owned()),
        (time(times.p50), "p50".to_owned()),
        (time(times.p99), "p99".to_owned()),
        (time(times.p999), "p99.9".to_owned()),
        (time(times.max), "max".to_owned()),
        (grouped(first.errors() as f64), "errors".to_owned()),
    ];
    out.push_str(&format!(
        "<p class=\"soft\">{}, {}</p><div class=\"cards\">",
        escaped(&first.name),
        escaped(&first.endpoint)
    ));
    for (figure, what) in cards {
        out.push_str(&format!("<div class=\"card\"><b>{}</b><span>{what}</span></div>", escaped(&figure)));
    }
    out.push_str("</div>\n");
}

fn put_plot(plot: &Plot, out: &mut String) {
    let caption = escaped(&plot.caption);
    let svg = plot.svg.replacen("<svg ", "<svg role=\"img\" ", 1);
    out.push_str(&format!(
        "<figure><h2>{}</h2>\n{svg}\n<figcaption>{caption}</figcaption></figure>\n",
        escaped(&plot.title)
    ));
}

/// Columns whose cells are all figures stand to the right, the others to the left.
fn put_table(table: &Table, out: &mut String) {
    let is_word = |column: usize| {
        let figure = |cell: &str| cell.is_empty() || cell.starts_with(|c: char| c.is_ascii_digit());
        !table.rows.iter().all(|row| figure(&row[column]))
    };
    let words: Vec<bool> = (0..table.heads.len()).map(is_word).collect();
    let line = |cells: &[String], tag: &str| {
        let cell = |(cell, is_word): (&String, &bool)| {
            let class = if *is_word { " class=\"word\"" } else { "" };
            format!("<{tag}{class}>{}</{tag}>", escaped(cell))
        };
        format!("<tr>{}</tr>\n", cells.iter().zip(&words).map(cell).collect::<String>())
    };
    let rows: String = table.rows.iter().map(|row| line(row, "td")).collect();
    out.push_str(&format!("<div class=\"wide\"><table>{}{rows}</table></div>\n", line(&table.heads, "th")));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests;
