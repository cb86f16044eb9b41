//! What a client is told when the answer is no: DynamoDB's code and message, exactly.
//!
//! An [`ApiError`] is an answer, not a failure: it travels from the shard to the router like any reply, as the code's
//! number, the message and the item. Promises: a code's number never changes and is never reused.
//! Leaves to others: the body and headers around it (`router`).

#[cfg(test)]
mod tests;

use std::fmt;

/// DynamoDB's answer when it is not yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// Which exception.
    pub code: Code,
    /// The message, exactly DynamoDB's.
    pub message: String,
    /// The item as it was, encoded, for `ReturnValuesOnConditionCheckFailure`.
    pub item: Option<Vec<u8>>,
}

impl ApiError {
    /// An error without an item.
    pub fn new(code: Code, message: impl Into<String>) -> ApiError {
        ApiError { code, message: message.into(), item: None }
    }

    /// A ValidationException, the most common one.
    pub fn validation(message: impl Into<String>) -> ApiError {
        ApiError::new(Code::Validation, message)
    }

    /// The same with the item as it was.
    #[must_use]
    pub fn with_item(mut self, item: Vec<u8>) -> ApiError {
        self.item = Some(item);
        self
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl std::error::Error for ApiError {}

impl Code {
    /// The exception with its namespace, as it stands in `__type`.
    pub fn type_name(self) -> String {
        [self.prefix(), self.name()].concat()
    }

    /// The member of the body that holds the message: the API's shapes spell it in two ways.
    pub fn message_member(self) -> &'static str {
        match self {
            Code::Serialization
            | Code::AccessDenied
            | Code::TransactionCanceled
            | Code::TransactionInProgress
            | Code::IdempotentParameterMismatch => "Message",
            _ => "message",
        }
    }

    /// Whether the server is at fault: a client may try the same request again.
    pub fn is_fault(self) -> bool {
        self.status() >= 500
    }
}

const DYNAMODB: &str = "com.amazonaws.dynamodb.v20120810#";
const VALIDATE: &str = "com.amazon.coral.validate#";
const SERVICE: &str = "com.amazon.coral.service#";
const AVAILABILITY: &str = "com.amazon.coral.availability#";

/// One line per exception: number, variant, namespace, name, HTTP status.
macro_rules! codes {
    ($($number:literal $variant:ident $prefix:ident $name:literal $status:literal,)*) => {
        /// Every exception that a client can meet.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Code {
            $(#[doc = $name] $variant = $number,)*
        }
        impl Code {
            /// All of them.
            pub const ALL: &[Code] = &[$(Code::$variant,)*];
            /// The exception's name, without its namespace.
            pub fn name(self) -> &'static str { match self { $(Code::$variant => $name,)* } }
            /// The namespace and a `#`, as in `__type`.
            pub fn prefix(self) -> &'static str { match self { $(Code::$variant => $prefix,)* } }
            /// The HTTP status.
            pub fn status(self) -> u16 { match self { $(Code::$variant => $status,)* } }
            /// The number that stands for it in messages; never reused.
            pub fn number(self) -> u16 { self as u16 }
            /// The reverse of [`Code::number`].
            pub fn from_number(number: u16) -> Option<Code> { match number { $($number => Some(Code::$variant),)* _ => None } }
        }
    };
}

codes! {
    1 Validation VALIDATE "ValidationException" 400,
    2 Serialization SERVICE "SerializationException" 400,
    3 UnknownOperation SERVICE "UnknownOperationException" 400,
    4 MissingAuthenticationToken SERVICE "MissingAuthenticationTokenException" 400,
    5 IncompleteSignature SERVICE "IncompleteSignatureException" 400,
    6 InvalidSignature SERVICE "InvalidSignatureException" 400,
    7 UnrecognizedClient SERVICE "UnrecognizedClientException" 400,
    8 AccessDenied SERVICE "AccessDeniedException" 400,
    9 Throttling AVAILABILITY "ThrottlingException" 400,
    10 RequestTimeout SERVICE "RequestTimeoutException" 408,
    11 RequestEntityTooLarge SERVICE "RequestEntityTooLargeException" 413,
    12 ServiceUnavailable SERVICE "ServiceUnavailableException" 503,
    13 InternalFailure SERVICE "InternalFailure" 500,
    14 ExpiredToken SERVICE "ExpiredTokenException" 400,

    100 InternalServerError DYNAMODB "InternalServerError" 500,
    101 ConditionalCheckFailed DYNAMODB "ConditionalCheckFailedException" 400,
    102 ResourceNotFound DYNAMODB "ResourceNotFoundException" 400,
    103 ResourceInUse DYNAMODB "ResourceInUseException" 400,
    104 LimitExceeded DYNAMODB "LimitExceededException" 400,
    105 ProvisionedThroughputExceeded DYNAMODB "ProvisionedThroughputExceededException" 400,
    106 RequestLimitExceeded DYNAMODB "RequestLimitExceeded" 400,
    107 ItemCollectionSizeLimitExceeded DYNAMODB "ItemCollectionSizeLimitExceededException" 400,
    108 TransactionCanceled DYNAMODB "TransactionCanceledException" 400,
    109 TransactionConflict DYNAMODB "TransactionConflictException" 400,
    110 TransactionInProgress DYNAMODB "TransactionInProgressException" 400,
    111 IdempotentParameterMismatch DYNAMODB "IdempotentParameterMismatchException" 400,
    112 DuplicateItem DYNAMODB "DuplicateItemException" 400,
    113 IndexNotFound DYNAMODB "IndexNotFoundException" 400,
    114 TableNotFound DYNAMODB "TableNotFoundException" 400,
    115 TableInUse DYNAMODB "TableInUseException" 400,
    116 TableAlreadyExists DYNAMODB "TableAlreadyExistsException" 400,
    117 BackupInUse DYNAMODB "BackupInUseException" 400,
    118 BackupNotFound DYNAMODB "BackupNotFoundException" 400,
    119 ContinuousBackupsUnavailable DYNAMODB "ContinuousBackupsUnavailableException" 400,
    120 PointInTimeRecoveryUnavailable DYNAMODB "PointInTimeRecoveryUnavailableException" 400,
    121 InvalidRestoreTime DYNAMODB "InvalidRestoreTimeException" 400,
    122 InvalidExportTime DYNAMODB "InvalidExportTimeException" 400,
    123 ExportConflict DYNAMODB "ExportConflictException" 400,
    124 ExportNotFound DYNAMODB "ExportNotFoundException" 400,
    125 ImportConflict DYNAMODB "ImportConflictException" 400,
    126 ImportNotFound DYNAMODB "ImportNotFoundException" 400,
    127 GlobalTableAlreadyExists DYNAMODB "GlobalTableAlreadyExistsException" 400,
    128 GlobalTableNotFound DYNAMODB "GlobalTableNotFoundException" 400,
    129 ReplicaAlreadyExists DYNAMODB "ReplicaAlreadyExistsException" 400,
    130 ReplicaNotFound DYNAMODB "ReplicaNotFoundException" 400,
    131 ReplicatedWriteConflict DYNAMODB "ReplicatedWriteConflictException" 400,
    132 PolicyNotFound DYNAMODB "PolicyNotFoundException" 400,

    200 ExpiredIterator DYNAMODB "ExpiredIteratorException" 400,
    201 TrimmedDataAccess DYNAMODB "TrimmedDataAccessException" 400,
}
