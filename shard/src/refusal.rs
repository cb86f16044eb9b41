//! Why a client's operation is not done: another owner, no room, or one of DynamoDB's exceptions.

use model::error::{ApiError, Code};
use model::ring::VnodeId;
use net::message::{Failed, Moved, Part, Reply};

/// Why an operation is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Somebody else owns the vnode.
    Moved(Moved),
    /// Nobody is known who leads the vnode. Whoever is told names this shard itself, which leads to the others.
    Leaderless(VnodeId, Moved),
    /// No room at this moment.
    Busy,
    /// The disk is nearly full: what would grow is not taken.
    Full,
    /// One of DynamoDB's exceptions.
    Failed(Failed),
}

impl Refusal {
    /// The answer to what must not happen; the cause was reported where it was met.
    pub fn internal() -> Refusal {
        ApiError::new(Code::InternalServerError, "Internal server error").into()
    }

    /// The table is not there, or not yet, or no longer.
    pub fn no_table() -> Refusal {
        ApiError::new(Code::ResourceNotFound, "Requested resource not found").into()
    }

    /// The item did not pass the condition.
    pub fn condition_failed(old: Option<Vec<u8>>) -> Refusal {
        let mut error = ApiError::new(Code::ConditionalCheckFailed, "The conditional request failed");
        error.item = old;
        error.into()
    }
}

/// What a client is told: an exception that its library tries again, with growing pauses, and a message for people.
fn full() -> ApiError {
    let message =
        "The disk of this partition is nearly full: it serves reads and deletes until there is room again";
    ApiError::new(Code::Throttling, message)
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Refusal {
        Refusal::Failed(Failed { code: error.code.number(), message: error.message, item: error.item })
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Reply {
        match refusal {
            Refusal::Moved(moved) | Refusal::Leaderless(_, moved) => Reply::Moved(moved),
            Refusal::Busy => Reply::Busy,
            Refusal::Full => Refusal::from(full()).into(),
            Refusal::Failed(failed) => Reply::Failed(failed),
        }
    }
}

impl From<Refusal> for Part {
    fn from(refusal: Refusal) -> Part {
        match refusal {
            Refusal::Moved(moved) | Refusal::Leaderless(_, moved) => Part::Moved(moved),
            // Of a batch it is one of those that the client tries again.
            Refusal::Busy | Refusal::Full => Part::Busy,
            Refusal::Failed(failed) => Part::Failed(failed),
        }
    }
}
