//! Updates.
use crate::item::ItemRef;
/// What an update made.
#[derive(Clone, Debug)]
pub struct Updated<'p> {
    /// The new item.
    pub item: Vec<u8>,
    pub(super) paths: std::marker::PhantomData<&'p [u8]>,
}
impl Updated<'_> {
    /// For `UPDATED_OLD`: the touched paths as they were in `old`; None if there was nothing at any of them.
    pub fn updated_old(&self, old: Option<ItemRef<'_>>) -> Option<Vec<u8>> {
        let _ = old;
        todo!()
    }
    /// For `UPDATED_NEW`: the touched paths as they are now; None if there is nothing at any of them.
    pub fn updated_new(&self) -> Option<Vec<u8>> {
        todo!()
    }
}
