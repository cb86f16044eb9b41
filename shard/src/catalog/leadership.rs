//! Who leads the catalog's group: what the worker asks of replication.
//!
//! A group of one is led by its one replica for ever.

use crate::refusal::Refusal;
use crate::shard::Shard;
use model::ring::Place;
use runtime::Runtime;

/// The term of a group of one.
const ALONE_TERM: u64 = 1;

impl<R: Runtime> Shard<R> {
    /// Waits until this shard leads the catalog's group and has applied all that was written under earlier leaders; the term.
    pub(super) async fn catalog_won(&self) -> u64 {
        match self.leads_catalog_group() {
            true => ALONE_TERM,
            false => std::future::pending().await,
        }
    }

    /// Waits until this shard leads it no more, or in another term: then others may have led it in between.
    pub(super) async fn catalog_lost(&self, term: u64) {
        assert_eq!(term, ALONE_TERM, "a group of one has one leader");
        if self.leads_catalog_group() {
            std::future::pending().await
        }
    }

    /// Who leads the catalog's group, as far as this shard knows.
    pub(super) fn catalog_leader(&self) -> Option<Place> {
        self.leads_catalog_group().then(|| self.place())
    }

    /// Makes sure that nobody else leads by now: what is answered next is what is true.
    pub(super) async fn confirm_catalog(&self) -> Result<(), Refusal> {
        Ok(())
    }

    fn leads_catalog_group(&self) -> bool {
        let catalog = self.tables.map().catalog;
        catalog.len() == 1 && catalog.first().place == self.place()
    }
}
