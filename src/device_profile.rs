//! The device profile of a data directory, read at the start: what shards set by the device under them.
//!
//! A profile that was named has to be there; one that lies in the data directory is used without being named. Neither is ignored when it
//! makes no sense: a start with numbers that nobody meant is worse than none.

use std::path::Path;

use anyhow::Context;
use shard::ShardOptions;
use tuning::host::Host;
use tuning::profile::{PROFILE_FILE, Profile, Use, Whose};

use crate::config::Config;
use crate::say;

/// What the profile says, if there is one. A profile of another device is used, because nothing in it can do harm, and spoken of.
///
/// # Errors
/// It was named and is not there, or it makes no sense.
#[expect(clippy::disallowed_methods, reason = "read once, before any executor runs")]
pub fn load(config: &Config, data: &Path) -> anyhow::Result<Option<Use>> {
    let path = config.device_profile.clone().unwrap_or_else(|| data.join(PROFILE_FILE));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && config.device_profile.is_none() => {
            return Ok(None);
        }
        Err(error) => return Err(error).with_context(|| what_to_do(&path)),
    };
    let profile = Profile::parse(&text).with_context(|| what_to_do(&path))?;
    let now = Whose::of(&tuning::facts::read(&Host::live(data)));
    if let Some(difference) = profile.device.differs(&now) {
        say::warn(format_args!(
            "{}: {difference}\n  what to do: measure this one, with torc tune profile",
            path.display()
        ));
    }
    Ok(Some(profile.settings))
}

fn what_to_do(path: &Path) -> String {
    format!(
        "device profile {} cannot be used; measure again with torc tune profile, or remove it to start with torc's own numbers",
        path.display()
    )
}

/// Sets what a shard takes from the profile. Depth and bandwidth are those of all shards together.
pub fn set(options: &mut ShardOptions, device: &Use) {
    let shards = usize::from(options.identity.shard_count.max(1));
    options.log.writes_in_flight_max = device.log_writes_of(shards);
    options.tree.readahead_bytes = device.read_ahead_bytes;
    options.tree.transfer_bytes = device.transfer_bytes;
    options.tree.background_bytes_per_second_max = device.background_bytes_per_second / shards as u64;
}
