//! What io_uring can do here, tried with a ring of one's own.

use serde::Serialize;

use crate::host::Host;

/// What a ring said.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Ring {
    /// Whether a ring could be made at all; else why not.
    pub refusal: Option<String>,
    /// Names of the features that the kernel reports.
    pub features: Vec<String>,
    /// Names of kinds of rings that it makes.
    pub setups: Vec<String>,
    /// Operations that torc uses or will use, of which it knows all but those in `missing`.
    pub missing: Vec<String>,
}

/// Lines as `ring::describe` writes them: `refused TEXT`, or `features A B`, `setups C`, `missing D`.
pub(super) fn read(host: &Host) -> Ring {
    let text = host.ring();
    let words = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().map(str::to_owned).collect()
    };
    let refusal = text.lines().find_map(|line| line.strip_prefix("refused ")).map(str::to_owned);
    let unknown = text.trim().is_empty().then(|| "not tried".to_owned());
    Ring {
        refusal: refusal.or(unknown),
        features: words("features "),
        setups: words("setups "),
        missing: words("missing "),
    }
}
