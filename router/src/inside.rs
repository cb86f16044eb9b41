//! What a process tells of itself beside DynamoDB's API: `/metrics`, for Prometheus, and `/slow`, the ledgers of slow requests.
//!
//! 1. Whoever runs the router knows how to ask all cores and what they tell ([`Router::set_pages`]); the router answers the URLs.
//! 2. They are served on an address of their own ([`Scheme::Metrics`](crate::Scheme)); and, as long as there are no users, on that of the API to who asks from this
//!    machine. What they tell are names of tables and figures, never keys or items.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use meter::book::Slow;
use meter::stage::Stage;
use runtime::Runtime;

use crate::operation::{Object, array};
use crate::{Router, Scheme};

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Everything that is counted, as Prometheus reads it.
    Metrics,
    /// The slow requests that are kept, as JSON.
    Slow,
}

/// Makes a page of what all cores tell.
pub type Pages = Rc<dyn Fn(Page) -> Pin<Box<dyn Future<Output = Vec<u8>>>>>;

/// Where that is kept.
#[derive(Default)]
pub(crate) struct Inside {
    pages: RefCell<Option<Pages>>,
}

impl std::fmt::Debug for Inside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inside")
    }
}

impl Page {
    /// By its path.
    pub(crate) fn at(path: &[u8]) -> Option<Page> {
        match path {
            b"/metrics" => Some(Page::Metrics),
            b"/slow" => Some(Page::Slow),
            _ => None,
        }
    }
}

impl<R: Runtime> Router<R> {
    /// How pages are made from now on; without it there are none.
    pub fn set_pages(&self, pages: Pages) {
        *self.inside.pages.borrow_mut() = Some(pages);
    }

    /// What makes pages, for a connection that may see them.
    pub(crate) fn pages(&self, scheme: Scheme, is_local: bool) -> Option<Pages> {
        let may = scheme == Scheme::Metrics || (is_local && !self.access().has_users());
        self.inside.pages.borrow().clone().filter(|_| may)
    }

    /// The slow requests of this core: JSON objects with commas between.
    pub fn slow_requests(&self) -> Vec<u8> {
        let (mut out, map) = (Vec::new(), self.map());
        for slow in self.book.slow().iter() {
            let table = map.tables.values().find(|table| table.id.0 == slow.table);
            if !out.is_empty() {
                out.push(b',');
            }
            write_slow(&mut out, slow, table.map_or("", |table| table.name.as_str()), self.rt.core().0);
        }
        out
    }
}

fn write_slow(out: &mut Vec<u8>, slow: &Slow, table: &str, shard: u16) {
    let mut object = Object::new(out);
    object.time("at", slow.at.0);
    object.integer("shard", u64::from(shard));
    object.text("operation", slow.operation.name());
    object.text("table", table);
    object.integer("nanoseconds", slow.nanos);
    object.integer("limit_nanoseconds", slow.limit_nanos);
    let mut stages = Object::new(object.member("stages"));
    for (stage, nanos) in Stage::ALL.into_iter().zip(slow.stages).filter(|(_, nanos)| *nanos > 0) {
        stages.integer(stage.name(), nanos);
    }
    stages.end();
    array(object.member("followers"), &slow.followers, |out, follower| {
        let mut told = Object::new(out);
        told.integer("node", u64::from(follower.node));
        told.integer("nanoseconds", follower.nanos);
        told.end();
    });
    object.end();
}

/// One page of what the cores told.
pub fn join_slow(cores: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![b'['];
    for core in cores.iter().filter(|core| !core.is_empty()) {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(core);
    }
    out.push(b']');
    out
}
