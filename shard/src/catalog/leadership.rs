//! Who leads the catalog's group: what the worker asks of replication.
//!
//! A group of one is led by its one replica for ever.

use crate::refusal::Refusal;
use crate::shard::Shard;
use model::ring::{CATALOG, Place};
use runtime::Runtime;

impl<R: Runtime> Shard<R> {
    /// Waits until this shard leads the catalog's group and has applied all that was written under earlier leaders; the term.
    pub(super) async fn catalog_won(&self) -> u64 {
        loop {
            let changed = self.leadership_changed();
            if let Some(term) = self.replication.leads(CATALOG) {
                return term;
            }
            changed.await;
        }
    }

    /// Waits until this shard leads it no more, or in another term: then others may have led it in between.
    pub(super) async fn catalog_lost(&self, term: u64) {
        loop {
            let changed = self.leadership_changed();
            if self.replication.leads(CATALOG) != Some(term) {
                return;
            }
            changed.await;
        }
    }

    /// Who leads the catalog's group, as far as this shard knows.
    pub(super) fn catalog_leader(&self) -> Option<Place> {
        match self.replication.leads(CATALOG) {
            Some(_) => Some(self.place()),
            None => self.replication.leader_of(CATALOG),
        }
    }

    /// Makes sure that nobody else leads by now: what is answered next is what is true.
    pub(super) async fn confirm_catalog(&self) -> Result<(), Refusal> {
        self.read_as_leader(CATALOG).await.map(drop)
    }
}
