//! SSTables as whole files: opened, walked, checked, by the engine's reader on a simulated disk.

use std::path::Path;

use lsm::inspect::Findings;
use lsm::inspect::sstable::{EntryAbout, Sstable, Step};
use runtime::sim::{World, WorldOptions};

/// The name that the file gets; its footer has to say the same.
pub const NAME: &str = "0000000000000001.sst";

/// The first byte says whether the footer gets a checksum that fits.
pub fn run(data: &[u8]) {
    let Some((reseal, file)) = data.split_first() else { return };
    let mut file = file.to_vec();
    if *reseal != 0 {
        lsm::fuzzing::reseal_footer(&mut file);
    }
    let world = World::new(1, WorldOptions::default());
    let node = world.node("n");
    world.disk(node).write_file(NAME, &file);
    world.block_on(async {
        let Ok(table) = Sstable::open(&world.runtime(node), Path::new(NAME)).await else { return };
        let mut entries = 0;
        let walked = table
            .walk(&mut |step| {
                entries += u64::from(matches!(step, Step::Entry(_)));
                true
            })
            .await;
        let mut findings = Findings::default();
        let mut taken = 0;
        let mut take = |_: &EntryAbout<'_>| {
            taken += 1;
            Ok(())
        };
        table.check(&mut findings, &mut take).await;
        if walked.is_ok() && findings.problems.is_empty() {
            assert_eq!((entries, taken), (table.properties().entries, table.properties().entries));
        }
    });
}
