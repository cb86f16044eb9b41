//! The stages of a request, in the order of time, and the operations that are told apart.

/// What a request's time is spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Stage {
    /// From its first byte to its last.
    Receive,
    /// Head and body are read, parameters checked, expressions compiled.
    Parse,
    /// Who asks, and whether they may.
    Auth,
    /// Finding the shard, and the way there and back.
    Route,
    /// Waiting at the shard: for its turn, for leave to read, for room in the log.
    Queue,
    /// Waiting for other writes of the key.
    Latch,
    /// Reading what is there.
    Read,
    /// Conditions, updates, projections, and putting the command together.
    Evaluate,
    /// Copying the command into the log.
    Append,
    /// Waiting until this node has it durably.
    Durable,
    /// Waiting, beyond that, until a majority has.
    Replicate,
    /// Into the memtable, and back to whoever asked.
    Apply,
    /// Writing the answer down.
    Encode,
    /// Handing it to the socket.
    Send,
}

/// How many stages there are.
pub const STAGE_COUNT: usize = 14;

/// The first of those that a shard spends.
pub(crate) const SHARD_FIRST: usize = Stage::Queue as usize;
/// How many of them there are: from `Queue` to `Apply`.
pub const SHARD_STAGE_COUNT: usize = Stage::Apply as usize - SHARD_FIRST + 1;

impl Stage {
    /// All of them, in order.
    pub const ALL: [Stage; STAGE_COUNT] = [
        Stage::Receive,
        Stage::Parse,
        Stage::Auth,
        Stage::Route,
        Stage::Queue,
        Stage::Latch,
        Stage::Read,
        Stage::Evaluate,
        Stage::Append,
        Stage::Durable,
        Stage::Replicate,
        Stage::Apply,
        Stage::Encode,
        Stage::Send,
    ];

    /// Its name in headers, metrics and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Receive => "receive",
            Stage::Parse => "parse",
            Stage::Auth => "auth",
            Stage::Route => "route",
            Stage::Queue => "queue",
            Stage::Latch => "latch",
            Stage::Read => "read",
            Stage::Evaluate => "evaluate",
            Stage::Append => "append",
            Stage::Durable => "durable",
            Stage::Replicate => "replicate",
            Stage::Apply => "apply",
            Stage::Encode => "encode",
            Stage::Send => "send",
        }
    }
}

/// Operations, as far as figures are kept of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Operation {
    /// GetItem
    GetItem,
    /// PutItem
    PutItem,
    /// UpdateItem
    UpdateItem,
    /// DeleteItem
    DeleteItem,
    /// Query; on a shard, a page of one that another core asked for counts as Scan
    Query,
    /// Scan
    Scan,
    /// BatchGetItem
    BatchGetItem,
    /// BatchWriteItem
    BatchWriteItem,
    /// Whatever else was asked, and what was nothing.
    Other,
}

/// How many operations are told apart.
pub const OPERATION_COUNT: usize = 9;

impl Operation {
    /// All of them.
    pub const ALL: [Operation; OPERATION_COUNT] = [
        Operation::GetItem,
        Operation::PutItem,
        Operation::UpdateItem,
        Operation::DeleteItem,
        Operation::Query,
        Operation::Scan,
        Operation::BatchGetItem,
        Operation::BatchWriteItem,
        Operation::Other,
    ];

    /// Its name in metrics and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Operation::GetItem => "GetItem",
            Operation::PutItem => "PutItem",
            Operation::UpdateItem => "UpdateItem",
            Operation::DeleteItem => "DeleteItem",
            Operation::Query => "Query",
            Operation::Scan => "Scan",
            Operation::BatchGetItem => "BatchGetItem",
            Operation::BatchWriteItem => "BatchWriteItem",
            Operation::Other => "Other",
        }
    }
}
