//! The writers: as many tasks as writes may be in flight, each sending one batch at a time. And the task that marks
//! the end when nothing is sent for a while.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

use runtime::{File, Runtime};

use super::tail::Write;
use super::{Canary, Inner};

/// One writer, until the log has failed or has stopped with nothing left to write.
pub(super) async fn run<R: Runtime>(inner: Rc<Inner<R>>, index: usize) {
    while poll_fn(|context| poll_work(&inner, index, context)).await {
        // Whoever is ready to append now shares this write: the whole of group commit at low load.
        step_back().await;
        let write = inner.tail.borrow_mut().take_write();
        let Some(write) = write else { continue }; // Another writer was faster.
        inner.prepare_if_wanted();
        send(&inner, write).await;
    }
}

/// Goes behind the tasks of the same class that are ready now, and no further. `Runtime::yield_now` lets I/O in as well,
/// several system calls that one writer alone would wait for in vain each time.
async fn step_back() {
    let mut stepped = false;
    poll_fn(|context| {
        if std::mem::replace(&mut stepped, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Ready with true when there is something to write, with false when there never will be.
fn poll_work<R: Runtime>(inner: &Inner<R>, index: usize, context: &mut Context<'_>) -> Poll<bool> {
    let tail = inner.tail.borrow();
    if tail.failed.is_some() {
        return Poll::Ready(false);
    }
    if tail.work() > 0 {
        return Poll::Ready(true);
    }
    if tail.stopping {
        return Poll::Ready(false);
    }
    inner.idle_writers.borrow_mut().wait(index, context.waker());
    Poll::Pending
}

/// Sends one write. An error, a short write included, is final (W4, W5).
async fn send<R: Runtime>(inner: &Inner<R>, write: Write<R::File>) {
    let result = write.file.write_at(Rc::clone(&write.buffer), write.offset).await;
    match result {
        Err(error) if !inner.options.canary.is(Canary::IgnoreWriteError) => {
            inner.fail(&format!("{} at byte {}: {error}", write.path.display(), write.offset));
        }
        _ => {
            inner.tail.borrow_mut().complete(write);
            inner.advanced();
        }
    }
}

/// Vouches for the last batch when the log has been idle for a while (W7). Without work there is no timer either.
pub(super) async fn mark_when_idle<R: Runtime>(inner: Rc<Inner<R>>) {
    loop {
        let active = inner.active.notified();
        if inner.is_stopping() {
            return;
        }
        if inner.tail.borrow().wants_watermark() && !idled(&inner).await {
            continue;
        }
        active.await;
    }
}

/// Waits for a while; if nothing was sent in it, pushes the watermark, and true. Where the tail has no room for it
/// the header of the next segment will do as well.
async fn idled<R: Runtime>(inner: &Inner<R>) -> bool {
    let before = inner.tail.borrow().next_lsn();
    inner.rt.sleep(inner.options.idle).await;
    let quiet = inner.tail.borrow().is_quiet() && before == inner.tail.borrow().next_lsn();
    if quiet {
        inner.push_watermark();
    }
    quiet
}
