use std::io::ErrorKind;
use std::path::PathBuf;

use super::{OfflineRuntime, block_on};
use crate::{BLOCK_BYTES, File, OpenOptions, Runtime};

/// A directory of the test's own, gone with it.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Dir {
        let path = std::env::temp_dir().join(format!("torc-offline-{}-{name}", std::process::id()));
        #[expect(clippy::disallowed_methods, reason = "the test's own directory")]
        std::fs::create_dir_all(&path).unwrap();
        Dir(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        #[expect(clippy::disallowed_methods, reason = "the test's own file")]
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[test]
fn reads_whole_blocks_and_the_rest_of_a_file() {
    let dir = Dir::new("reads");
    let bytes: Vec<u8> = (0..3 * BLOCK_BYTES + 100).map(|at| (at / 7) as u8).collect();
    let path = dir.write("file", &bytes);
    block_on(async {
        let file = OfflineRuntime::new().open(&path, OpenOptions::READ).await.unwrap();
        assert_eq!(file.size().await.unwrap(), bytes.len() as u64);
        assert_eq!(*file.read_at(0, BLOCK_BYTES).await.unwrap(), bytes[..BLOCK_BYTES]);
        assert_eq!(*file.read_at(8192, 1 << 20).await.unwrap(), bytes[8192..]);
        assert!(file.read_at(1 << 20, BLOCK_BYTES).await.unwrap().is_empty());
    });
}

#[test]
fn refuses_everything_that_changes_anything() {
    let dir = Dir::new("refuses");
    let path = dir.write("file", &[7; BLOCK_BYTES]);
    block_on(async {
        let rt = OfflineRuntime::new();
        let kind = |result: std::io::Result<()>| result.unwrap_err().kind();
        for options in [OpenOptions::WRITE_DSYNC, OpenOptions::CREATE, OpenOptions::CREATE_DSYNC] {
            assert_eq!(kind(rt.open(&path, options).await.map(drop)), ErrorKind::ReadOnlyFilesystem);
        }
        assert_eq!(kind(rt.remove(&path).await), ErrorKind::ReadOnlyFilesystem);
        assert_eq!(kind(rt.rename(&path, &dir.0.join("other")).await), ErrorKind::ReadOnlyFilesystem);
        assert_eq!(kind(rt.create_dir(&dir.0.join("new")).await), ErrorKind::ReadOnlyFilesystem);
        assert_eq!(kind(rt.sync_dir(&dir.0).await), ErrorKind::ReadOnlyFilesystem);
        let file = rt.open(&path, OpenOptions::READ).await.unwrap();
        let buffer = std::rc::Rc::new(file.buffer(BLOCK_BYTES));
        assert_eq!(kind(file.write_at(buffer, 0).await), ErrorKind::ReadOnlyFilesystem);
        assert_eq!(kind(file.truncate(0).await), ErrorKind::ReadOnlyFilesystem);
        assert_eq!(kind(file.allocate(1 << 20).await), ErrorKind::ReadOnlyFilesystem);
        assert_eq!(kind(file.sync().await), ErrorKind::ReadOnlyFilesystem);
        assert_eq!(*file.read_at(0, BLOCK_BYTES).await.unwrap(), [7; BLOCK_BYTES]);
        assert_eq!(rt.list(&dir.0).await.unwrap().len(), 1);
    });
}

#[test]
fn a_task_runs_when_somebody_waits_for_it() {
    let rt = OfflineRuntime::new();
    let task = rt.spawn(crate::Class::Background, async { 7 });
    assert_eq!(block_on(task), 7);
}
