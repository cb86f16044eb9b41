//! `torc top`: what processes do at present, in the terminal.
//!
//! 1. Each process is asked for `/metrics`, again and again: what it has counted since its start ([`reading`]).
//! 2. Two readings make a view: what was done between them, by all processes together ([`view`]).
//! 3. A view is drawn ([`screen`]), in the terminal, or once as text (`--once`); or it is printed as JSON (`--json`).
//!
//! The terminal is given back as it was found on `q`, Escape and Ctrl-C, on signals that end a process, on errors and on panics (for those `ratatui` sees to it).

mod reading;
mod screen;
mod view;

use std::io::{IsTerminal, stdout};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use runtime::Runtime;
use runtime::real::RealRuntime;
use runtime::sync::join_all;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::inside::AT_DEFAULT;
use crate::outside::run_alone;
use crate::say;
use reading::Reading;
use view::View;

/// A signal is seen within this.
const SIGNAL_TIME_MAX: Duration = Duration::from_millis(200);

/// The flags of `torc top`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// A process: where it serves metrics (--metrics), or, from the same machine and as long as there are no users, DynamoDB's API; once for each process
    #[arg(long, value_name = "ADDRESS:PORT", default_value = AT_DEFAULT)]
    at: Vec<SocketAddr>,

    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = parse_interval)]
    interval: Duration,

    /// Print one view as text, of one interval, and end
    #[arg(long, conflicts_with = "json")]
    once: bool,

    /// Print one view as JSON, of one interval, and end
    #[arg(long)]
    json: bool,
}

/// Seconds, with or without a fraction.
fn parse_interval(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is no number of seconds"))?;
    match (0.1..=3600.0).contains(&seconds) {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err("an interval is between 0.1 and 3600 seconds".to_owned()),
    }
}

/// Looks until somebody has seen enough.
pub fn run(args: Args) -> anyhow::Result<()> {
    if args.once || args.json {
        let json = args.json;
        let view = run_alone(move |rt| look_once(rt, args.clone()))??;
        say::line(if json { serde_json::to_string(&view)? } else { screen::text(&view) });
        return Ok(());
    }
    if !stdout().is_terminal() {
        bail!("standard output is no terminal\n  what to do: torc top --once, or --json");
    }
    run_alone(move |rt| look(rt, args.clone()))?
}

/// One view, of one interval. Each process must tell.
async fn look_once(rt: RealRuntime, args: Args) -> anyhow::Result<View> {
    let before = all_told(read_all(&rt, &args.at).await)?;
    rt.sleep(args.interval).await;
    let now = all_told(read_all(&rt, &args.at).await)?;
    Ok(View::between(&before, &now))
}

fn all_told(readings: Vec<Reading>) -> anyhow::Result<Vec<Reading>> {
    match readings.iter().find_map(|reading| reading.told.as_ref().err()) {
        Some(trouble) => bail!("{trouble}"),
        None => Ok(readings),
    }
}

async fn read_all(rt: &RealRuntime, at: &[SocketAddr]) -> Vec<Reading> {
    join_all(at.iter().map(|at| Reading::take(rt, *at)).collect::<Vec<_>>()).await
}

/// View after view, in the terminal.
async fn look(rt: RealRuntime, args: Args) -> anyhow::Result<()> {
    // Before the terminal is taken: who named the wrong address is told so in plain words.
    let first = all_told(read_all(&rt, &args.at).await)?;
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, ended.clone())?;
    }
    let terminal = ratatui::try_init().inspect_err(|_| ratatui::restore());
    let mut terminal = terminal.context("the terminal cannot be drawn on")?;
    let outcome = look_on(&rt, &args, first, &ended, &mut terminal).await;
    ratatui::restore();
    outcome
}

async fn look_on(
    rt: &RealRuntime,
    args: &Args,
    first: Vec<Reading>,
    ended: &AtomicBool,
    terminal: &mut DefaultTerminal,
) -> anyhow::Result<()> {
    let mut before = first;
    let mut view = View::between(&before, &before);
    loop {
        terminal.draw(|frame| screen::draw(&view, frame.area(), frame.buffer_mut()))?;
        let next = rt.now().after(args.interval);
        while rt.now() < next {
            if ended.load(Ordering::Relaxed) || is_enough(next.since(rt.now()), &view, terminal)? {
                return Ok(());
            }
        }
        let now = read_all(rt, &args.at).await;
        view = View::between(&before, &now);
        before = reading::latest(before, now);
    }
}

/// Waits for a key, at most so long, and not so long that signals would wait. Nothing else runs on this core meanwhile.
fn is_enough(left: Duration, view: &View, terminal: &mut DefaultTerminal) -> anyhow::Result<bool> {
    if !event::poll(left.min(SIGNAL_TIME_MAX))? {
        return Ok(false);
    }
    match event::read()? {
        Event::Key(key) => Ok(ends(key)),
        Event::Resize(..) => {
            terminal.draw(|frame| screen::draw(view, frame.area(), frame.buffer_mut()))?;
            Ok(false)
        }
        _ => Ok(false),
    }
}

fn ends(key: KeyEvent) -> bool {
    let with_control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => true,
        KeyCode::Char('c') => with_control,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
