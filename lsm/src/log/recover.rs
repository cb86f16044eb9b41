//! What is on disk when a log is opened: its files, and which of them form the log.
//!
//! 1. `survey` reads all names and headers.
//! 2. `Survey::chain` follows the headers from the newest segment back to the head. It decides nothing about batches:
//!    `replay` reads those, and finds out where the log ends.

use std::path::{Path, PathBuf};

use runtime::Runtime;

use super::LogOptions;
use super::format::{FORMAT_VERSION, Name, NoHeader, SEQ_MAX, SegmentHeader};
use super::segment::Reader;
use crate::Error;

/// One segment file.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub name: Name,
    pub path: PathBuf,
    pub size: u64,
    /// The header, if it checks; it may be that of a former life.
    pub header: Option<SegmentHeader>,
}

impl Found {
    /// The header of the life that the name says.
    pub fn active(&self) -> Option<&SegmentHeader> {
        self.header.as_ref().filter(|header| header.life.seq == self.name.seq)
    }
}

/// All segment files, by sequence number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survey {
    pub found: Vec<Found>,
}

/// Reads the directory, which is made if it is not there.
pub(super) async fn survey<R: Runtime>(rt: &R, options: &LogOptions) -> Result<Survey, Error> {
    let dir = &options.dir;
    let io = |error| Error::io(dir, None, error);
    rt.create_dir(dir).await.map_err(io)?;
    if let Some(parent) = dir.parent().filter(|parent| *parent != Path::new("")) {
        rt.sync_dir(parent).await.map_err(|error| Error::io(parent, None, error))?;
    }
    survey_what_is_there(rt, options).await
}

/// Reads the directory, and makes nothing.
pub(crate) async fn survey_what_is_there<R: Runtime>(rt: &R, options: &LogOptions) -> Result<Survey, Error> {
    let dir = &options.dir;
    let io = |error| Error::io(dir, None, error);
    let mut found = Vec::new();
    for entry in rt.list(dir).await.map_err(io)? {
        let Some(name) = Name::parse(&entry.name).filter(|_| !entry.is_dir) else { continue };
        let path = dir.join(&entry.name);
        if name.seq >= SEQ_MAX {
            return Err(Error::corrupt(&path, 0, "no log comes to a segment of this number"));
        }
        let header = read_header(rt, &path, options).await?;
        found.push(Found { name, path, size: entry.size, header });
    }
    found.sort_by_key(|f: &Found| f.name.seq);
    if let Some(twice) = found.windows(2).find(|pair| pair[0].name.seq == pair[1].name.seq) {
        return Err(Error::corrupt(&twice[1].path, 0, "two files carry the same segment number"));
    }
    Ok(Survey { found })
}

async fn read_header<R: Runtime>(
    rt: &R,
    path: &Path,
    options: &LogOptions,
) -> Result<Option<SegmentHeader>, Error> {
    let reader = Reader::<R::File>::open(rt, path).await?;
    if reader.size() == 0 {
        return Ok(None);
    }
    match SegmentHeader::decode(&reader.header_block().await?) {
        Ok(header) if header.identity != options.identity => {
            let (found, ours) = (header.identity, options.identity);
            let what = format!("this log belongs to {found:?}, it was opened as {ours:?}");
            Err(Error::corrupt(path, 0, what))
        }
        Ok(header) => Ok(Some(header)),
        Err(NoHeader::Version(found)) => {
            Err(Error::Version { path: path.to_path_buf(), found, known: FORMAT_VERSION })
        }
        Err(NoHeader::Invalid) => Ok(None),
    }
}

impl Survey {
    /// The oldest segment that is needed, as far as any name or header says; 0 when none was ever released.
    pub fn head(&self) -> u64 {
        let named = self.found.iter().map(|f| f.name.head);
        let written = self.found.iter().filter_map(|f| f.header.as_ref()).map(|header| header.head);
        named.chain(written).max().unwrap_or(0)
    }

    /// The segments of the log in order, none for a new log; and all other files.
    ///
    /// Errors: `Corrupt` when the head is not there. A link that is missing further up ends the chain before it;
    /// whether that is damage is known when the batches are read.
    pub fn split(self) -> Result<(Vec<Found>, Vec<Found>), Error> {
        let chain = self.chain()?;
        let (mut log, mut others) = (Vec::new(), Vec::new());
        for (place, found) in self.found.into_iter().enumerate() {
            if chain.binary_search(&place).is_ok() { log.push(found) } else { others.push(found) }
        }
        Ok((log, others))
    }

    /// Places in `found`, in order.
    fn chain(&self) -> Result<Vec<usize>, Error> {
        let head = self.head();
        let mut broken = None;
        for (place, found) in self.found.iter().enumerate().rev() {
            let Some(header) = found.active() else { continue };
            if header.life.seq < head {
                break;
            }
            match self.walk(place, head) {
                Ok(chain) => return Ok(chain),
                Err(missing) => broken = Some(missing),
            }
        }
        match broken.or((head > 0).then_some(head)) {
            None => Ok(Vec::new()),
            Some(missing) => Err(self.missing(missing)),
        }
    }

    /// From `last` back to the head, or the segment that is missing on the way.
    fn walk(&self, last: usize, head: u64) -> Result<Vec<usize>, u64> {
        let mut chain = vec![last];
        let mut header = self.found[last].active().expect("the caller saw its header");
        while header.life.seq > head && header.prev_seq > 0 {
            let prev = header.prev_seq;
            let place = self.found.binary_search_by_key(&prev, |f| f.name.seq).map_err(|_| prev)?;
            header = self.found[place].active().filter(|h| h.life.seq < header.life.seq).ok_or(prev)?;
            chain.push(place);
        }
        chain.reverse();
        Ok(chain)
    }

    fn missing(&self, seq: u64) -> Error {
        match self.found.iter().find(|f| f.name.seq == seq) {
            Some(found) => {
                Error::corrupt(&found.path, 0, "the header of a segment that is needed does not check")
            }
            None => {
                let dir =
                    self.found.first().and_then(|f| f.path.parent()).unwrap_or(Path::new("")).to_path_buf();
                Error::corrupt(&dir, 0, format!("segment {seq:016x} is needed and missing"))
            }
        }
    }
}

#[cfg(test)]
mod tests;
