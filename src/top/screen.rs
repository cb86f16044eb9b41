//! A view, drawn: in the terminal, or as lines of text.
//!
//! ```text
//! processes            who was asked, and how it goes there
//! operations           requests a second, and their times
//! stages   | shards    where the time goes            | who has how much to do
//!          | vnodes                                   | the hottest
//! storage              memory, compaction, disk
//! ```
//!
//! What does not fit is cut off: the more is in a window, the further down it stands.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph, Row, Table, Widget};

use meter::stage::Stage;

use super::view::{Done, Process, Shard, View, Vnode};
use crate::config::show_bytes;

/// Columns of what is printed once.
const TEXT_WIDTH: u16 = 120;

/// Operations whose stages have a column: the busiest.
const STAGE_COLUMNS: usize = 5;

/// Shards and vnodes that are shown when there is room for all that there are: further ones are only counted.
const SHARDS_SHOWN: usize = 16;
const VNODES_SHOWN: usize = 10;

/// Lines of a window beside its rows: its frame and the names of its columns.
const FRAME_LINES: usize = 3;

/// Lines of the storage window, with its frame.
const STORAGE_LINES: u16 = 6;

/// Draws all of it.
pub fn draw(view: &View, area: Rect, buffer: &mut Buffer) {
    let [title, processes, operations, middle, storage] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(lines(view.processes.len())),
        Constraint::Length(lines(view.operations.len().max(1))),
        Constraint::Length(middle_lines(view)),
        Constraint::Length(STORAGE_LINES),
    ])
    .areas(area);
    let [stages, right] = Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)]).areas(middle);
    let [shards, vnodes] =
        Layout::vertical([Constraint::Length(shard_lines(view)), Constraint::Fill(1)]).areas(right);
    draw_title(view, title, buffer);
    draw_processes(&view.processes, processes, buffer);
    draw_operations(&view.operations, operations, buffer);
    draw_stages(&view.operations, stages, buffer);
    draw_shards(&view.shards, shards, buffer);
    draw_vnodes(&view.vnodes, vnodes, buffer);
    draw_storage(view, storage, buffer);
}

/// The same as lines of text, as many as it takes.
pub fn text(view: &View) -> String {
    let height = 1 + lines(view.processes.len()) + lines(view.operations.len().max(1));
    let area = Rect::new(0, 0, TEXT_WIDTH, height + middle_lines(view) + STORAGE_LINES);
    let mut buffer = Buffer::empty(area);
    draw(view, area, &mut buffer);
    lines_of(&buffer).join("\n")
}

/// What stands in a buffer, line by line.
pub fn lines_of(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width).max(1);
    let line = |cells: &[ratatui::buffer::Cell]| {
        cells.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned()
    };
    buffer.content.chunks(width).map(line).collect()
}

fn lines(rows: usize) -> u16 {
    u16::try_from(rows + FRAME_LINES).unwrap_or(u16::MAX)
}

fn shard_lines(view: &View) -> u16 {
    lines(view.shards.len().clamp(1, SHARDS_SHOWN))
}

fn middle_lines(view: &View) -> u16 {
    let vnodes = lines(view.vnodes.len().clamp(1, VNODES_SHOWN));
    lines(stages_of(&busiest(&view.operations)).len().max(1)).max(shard_lines(view) + vnodes)
}

fn draw_title(view: &View, area: Rect, buffer: &mut Buffer) {
    let requests: f64 = view.operations.iter().map(|done| done.requests).sum();
    let errors: f64 = view.errors.values().sum();
    let line = format!(
        "torc top   {} requests/s   {} exceptions/s   {} throttled/s   over {:.1} s   q ends",
        count(requests),
        count(errors),
        count(view.throttled),
        view.seconds
    );
    Line::styled(line, Style::new().add_modifier(Modifier::BOLD)).render(area, buffer);
}

/// A window with a table in it.
fn window<const N: usize>(
    title: String,
    names: [&str; N],
    widths: [Constraint; N],
    rows: Vec<Row<'static>>,
    (area, buffer): (Rect, &mut Buffer),
) {
    let names = Row::new(names.map(str::to_owned)).style(Style::new().fg(Color::DarkGray));
    let table = Table::new(rows, widths).header(names).block(Block::bordered().title(title));
    Widget::render(table, area, buffer);
}

fn draw_processes(processes: &[Process], area: Rect, buffer: &mut Buffer) {
    let row = |process: &Process| match &process.trouble {
        Some(trouble) => {
            let first = trouble.lines().next().unwrap_or_default().to_owned();
            Row::new([process.at.clone(), first]).style(Style::new().fg(Color::Red))
        }
        None => Row::new([
            process.at.clone(),
            format!("torc {}", process.version),
            count(process.requests),
            count(process.connections),
        ]),
    };
    let widths =
        [Constraint::Length(24), Constraint::Fill(1), Constraint::Length(12), Constraint::Length(12)];
    let rows = processes.iter().map(row).collect();
    window("processes".to_owned(), ["at", "", "requests/s", "connections"], widths, rows, (area, buffer));
}

fn draw_operations(operations: &[Done], area: Rect, buffer: &mut Buffer) {
    let row = |done: &Done| {
        let [p50, p99, p999] = [done.p50_us, done.p99_us, done.p999_us].map(time);
        Row::new([done.operation.clone(), count(done.requests), p50, p99, p999])
    };
    let widths = [
        Constraint::Length(20),
        Constraint::Fill(1),
        Constraint::Fill(1),
        Constraint::Fill(1),
        Constraint::Fill(1),
    ];
    let names = ["operation", "requests/s", "p50", "p99", "p99.9"];
    window("operations".to_owned(), names, widths, operations.iter().map(row).collect(), (area, buffer));
}

/// The operations with the most requests.
fn busiest(operations: &[Done]) -> Vec<&Done> {
    let mut busiest: Vec<&Done> = operations.iter().filter(|done| !done.stages_us.is_empty()).collect();
    busiest.sort_by(|one, other| other.requests.total_cmp(&one.requests));
    busiest.truncate(STAGE_COLUMNS);
    busiest
}

/// Stages that took time in any of them, in the order of time.
fn stages_of(operations: &[&Done]) -> Vec<Stage> {
    let took_time = |stage: &Stage| operations.iter().any(|done| done.stages_us.contains_key(stage.name()));
    Stage::ALL.into_iter().filter(took_time).collect()
}

fn draw_stages(operations: &[Done], area: Rect, buffer: &mut Buffer) {
    let busiest = busiest(operations);
    let row = |stage: Stage| {
        let times = busiest.iter().map(|done| time(done.stages_us.get(stage.name()).copied()));
        Row::new(std::iter::once(stage.name().to_owned()).chain(times))
    };
    let names = busiest.iter().map(|done| done.operation.clone());
    let names = Row::new(std::iter::once("stage".to_owned()).chain(names));
    let widths = std::iter::once(Constraint::Length(10)).chain(busiest.iter().map(|_| Constraint::Fill(1)));
    let table = Table::new(stages_of(&busiest).into_iter().map(row), widths.collect::<Vec<_>>())
        .header(names.style(Style::new().fg(Color::DarkGray)))
        .block(Block::bordered().title("where the time of a request goes, mean"));
    Widget::render(table, area, buffer);
}

/// A title that says how many more there are than are shown.
fn titled(what: &str, all: usize, shown: usize) -> String {
    match all.checked_sub(shown) {
        Some(more) if more > 0 => format!("{what}: {shown} of {all}"),
        _ => what.to_owned(),
    }
}

fn draw_shards(shards: &[Shard], area: Rect, buffer: &mut Buffer) {
    let mut busiest: Vec<&Shard> = shards.iter().collect();
    if shards.len() > SHARDS_SHOWN {
        busiest.sort_by(|one, other| other.requests.total_cmp(&one.requests));
        busiest.truncate(SHARDS_SHOWN);
    }
    let row = |shard: &&Shard| {
        Row::new([shard.at.clone(), shard.shard.to_string(), count(shard.requests), count(shard.under_way)])
    };
    let widths = [Constraint::Fill(2), Constraint::Length(5), Constraint::Fill(1), Constraint::Fill(1)];
    let title = titled("shards", shards.len(), busiest.len());
    let rows = busiest.iter().map(row).collect();
    window(title, ["at", "shard", "requests/s", "under way"], widths, rows, (area, buffer));
}

fn draw_vnodes(vnodes: &[Vnode], area: Rect, buffer: &mut Buffer) {
    let row = |vnode: &Vnode| Row::new([vnode.vnode.to_string(), count(vnode.reads), count(vnode.writes)]);
    let rows = vnodes.iter().take(VNODES_SHOWN).map(row).collect();
    let widths = [Constraint::Fill(1), Constraint::Fill(1), Constraint::Fill(1)];
    window("hottest vnodes".to_owned(), ["vnode", "reads/s", "writes/s"], widths, rows, (area, buffer));
}

fn draw_storage(view: &View, area: Rect, buffer: &mut Buffer) {
    let (memory, compaction, disk) = (&view.memory, &view.compaction, &view.disk);
    let hits = memory.cache_hits.map_or("-".to_owned(), |share| format!("{:.1} %", share * 100.0));
    let lines = vec![
        Line::raw(format!(
            "memory      memtables {}   block caches {}   found there {hits}",
            bytes(memory.memtable_bytes),
            bytes(memory.cache_bytes)
        )),
        Line::raw(format!(
            "compaction  owes {}   reads {}/s   writes {}/s   flushes {}/s   writers slowed {:.1} %",
            bytes(compaction.debt_bytes),
            bytes(compaction.read_bytes),
            bytes(compaction.written_bytes),
            bytes(compaction.flushed_bytes),
            compaction.writers_slowed * 100.0
        )),
        Line::raw(format!(
            "disk        {} reads/s, {}/s   {} writes/s, {}/s (log {}/s)",
            count(disk.reads),
            bytes(disk.read_bytes),
            count(disk.writes),
            bytes(disk.written_bytes),
            bytes(disk.log_bytes)
        )),
        Line::raw(format!(
            "space       SSTables {}   free {}",
            bytes(disk.level_bytes),
            bytes(disk.free_bytes)
        )),
    ];
    Paragraph::new(lines).block(Block::bordered().title("storage")).render(area, buffer);
}

fn bytes(amount: f64) -> String {
    show_bytes(amount as u64)
}

/// A rate or a number; a fraction only of what is small.
fn count(number: f64) -> String {
    match number < 10.0 && number.fract() != 0.0 {
        true => format!("{number:.1}"),
        false => format!("{number:.0}"),
    }
}

/// Microseconds in the unit that fits; `-` if there are none.
fn time(micros: Option<f64>) -> String {
    match micros {
        None => "-".to_owned(),
        Some(micros) if micros < 1e3 => format!("{micros:.1} us"),
        Some(micros) if micros < 1e6 => format!("{:.2} ms", micros / 1e3),
        Some(micros) => format!("{:.2} s", micros / 1e6),
    }
}
