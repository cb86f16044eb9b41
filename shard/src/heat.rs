//! How much each vnode is read and written here: what a balance of load, and whoever looks at it, goes by.

use std::cell::RefCell;

use model::ring::VnodeId;

/// Reads and writes by vnode. Vnodes are numbered without gaps, so their numbers are places.
#[derive(Debug, Default)]
pub struct Heat {
    counts: RefCell<Vec<[u64; 2]>>,
}

impl Heat {
    /// One more read of a vnode that has a replica here.
    #[inline]
    pub fn read(&self, vnode: VnodeId) {
        self.count(vnode, 0);
    }

    /// One more write.
    #[inline]
    pub fn write(&self, vnode: VnodeId) {
        self.count(vnode, 1);
    }

    fn count(&self, vnode: VnodeId, kind: usize) {
        let mut counts = self.counts.borrow_mut();
        match counts.get_mut(vnode.0 as usize) {
            Some(counts) => counts[kind] += 1,
            None => grow(&mut counts, vnode, kind),
        }
    }

    /// Vnodes with their reads and writes; those without any are left out.
    pub fn counts(&self) -> Vec<(VnodeId, u64, u64)> {
        let counts = self.counts.borrow();
        let numbered = counts.iter().zip(0..).filter(|(counts, _)| **counts != [0, 0]);
        numbered.map(|([reads, writes], number)| (VnodeId(number), *reads, *writes)).collect()
    }
}

#[cold]
fn grow(counts: &mut Vec<[u64; 2]>, vnode: VnodeId, kind: usize) {
    assert!(vnode.0 <= crate::node::VNODES_MAX, "vnode {} of a ring that has no so many", vnode.0);
    counts.resize(vnode.0 as usize + 1, [0, 0]);
    counts[vnode.0 as usize][kind] = 1;
}
