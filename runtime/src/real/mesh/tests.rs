//! The bell and its pump, without executors.

use super::*;
use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Wake};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Two wakers of one task may look different: the library promises no more.
#[test]
fn a_pump_may_be_polled_with_wakers_that_look_different() {
    let post = Post::new(1, 4);
    let mesh = Mesh::new(post.clone(), CoreId(0));
    let mut pump = pin!(mesh.pump());
    let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let wakers = [Waker::from(first.clone()), Waker::from(second)];
    assert!(!wakers[0].will_wake(&wakers[1]));
    for waker in &wakers {
        assert!(pump.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    }
    post.ring_all();
    post.ring_all();
    assert_eq!(first.0.load(Ordering::SeqCst), 1, "a bell that was rung and not heard is not rung again");
    assert!(pump.as_mut().poll(&mut Context::from_waker(&wakers[1])).is_pending());
    post.ring_all();
    assert_eq!(first.0.load(Ordering::SeqCst), 2, "whoever polls, the same one is woken");
}
