//! How the levels of a tree are compressed, as people write it: `none,none,lz4`.

use lsm::Compression;
use lsm::tree::LEVEL_COUNT;
use serde::Deserialize;

/// Of each level, how its blocks are stored.
///
/// Written as words from level 0 down, with commas between; the last word is for all further levels as well, so that one
/// word alone is for all.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct Compressions(pub [Compression; LEVEL_COUNT]);

impl std::str::FromStr for Compressions {
    type Err = String;

    fn from_str(text: &str) -> Result<Compressions, String> {
        let words = text.split(',').map(|word| compression(word.trim())).collect::<Result<Vec<_>, _>>()?;
        if words.len() > LEVEL_COUNT {
            return Err(format!("{} words for {LEVEL_COUNT} levels", words.len()));
        }
        Ok(Compressions(std::array::from_fn(|level| words[level.min(words.len() - 1)])))
    }
}

impl TryFrom<String> for Compressions {
    type Error = String;

    fn try_from(text: String) -> Result<Compressions, String> {
        text.parse()
    }
}

fn compression(word: &str) -> Result<Compression, String> {
    match word {
        "none" => Ok(Compression::None),
        "lz4" => Ok(Compression::Lz4),
        "zstd" => Ok(Compression::Zstd),
        other => Err(format!("{other:?} is none of none, lz4, zstd")),
    }
}
