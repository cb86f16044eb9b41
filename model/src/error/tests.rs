//! Codes against the API's list of exceptions.

use super::*;

/// Every exception that an operation of the API names, DynamoDB and DynamoDB Streams.
const NAMED_BY_OPERATIONS: [&str; 36] = [
    "BackupInUseException",
    "BackupNotFoundException",
    "ConditionalCheckFailedException",
    "ContinuousBackupsUnavailableException",
    "DuplicateItemException",
    "ExpiredIteratorException",
    "ExportConflictException",
    "ExportNotFoundException",
    "GlobalTableAlreadyExistsException",
    "GlobalTableNotFoundException",
    "IdempotentParameterMismatchException",
    "ImportConflictException",
    "ImportNotFoundException",
    "IndexNotFoundException",
    "InternalServerError",
    "InvalidExportTimeException",
    "InvalidRestoreTimeException",
    "ItemCollectionSizeLimitExceededException",
    "LimitExceededException",
    "PointInTimeRecoveryUnavailableException",
    "PolicyNotFoundException",
    "ProvisionedThroughputExceededException",
    "ReplicaAlreadyExistsException",
    "ReplicaNotFoundException",
    "ReplicatedWriteConflictException",
    "RequestLimitExceeded",
    "ResourceInUseException",
    "ResourceNotFoundException",
    "TableAlreadyExistsException",
    "TableInUseException",
    "TableNotFoundException",
    "ThrottlingException",
    "TransactionCanceledException",
    "TransactionConflictException",
    "TransactionInProgressException",
    "TrimmedDataAccessException",
];

#[test]
fn every_exception_of_the_api_has_a_code() {
    for name in NAMED_BY_OPERATIONS {
        let count = Code::ALL.iter().filter(|code| code.name() == name).count();
        assert_eq!(count, 1, "{name}");
    }
}

#[test]
fn numbers_find_their_code_again() {
    for code in Code::ALL {
        assert_eq!(Code::from_number(code.number()), Some(*code));
        assert!(Code::ALL.iter().filter(|other| other.name() == code.name()).count() == 1, "{code:?}");
    }
    assert_eq!(Code::from_number(0), None);
    assert_eq!(Code::from_number(u16::MAX), None);
    // Numbers are in messages between nodes of different versions: these must not move.
    assert_eq!(Code::Validation.number(), 1);
    assert_eq!(Code::ConditionalCheckFailed.number(), 101);
    assert_eq!(Code::TrimmedDataAccess.number(), 201);
}

#[test]
fn types_and_statuses_are_those_of_dynamodb() {
    let check = |code: Code, type_name: &str, status: u16| {
        assert_eq!((code.type_name().as_str(), code.status()), (type_name, status));
        assert_eq!(code.is_fault(), status >= 500);
    };
    check(Code::Validation, "com.amazon.coral.validate#ValidationException", 400);
    check(Code::Serialization, "com.amazon.coral.service#SerializationException", 400);
    check(Code::UnknownOperation, "com.amazon.coral.service#UnknownOperationException", 400);
    check(Code::UnrecognizedClient, "com.amazon.coral.service#UnrecognizedClientException", 400);
    check(Code::Throttling, "com.amazon.coral.availability#ThrottlingException", 400);
    check(
        Code::ConditionalCheckFailed,
        "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
        400,
    );
    check(Code::InternalServerError, "com.amazonaws.dynamodb.v20120810#InternalServerError", 500);
    check(Code::RequestEntityTooLarge, "com.amazon.coral.service#RequestEntityTooLargeException", 413);
    check(Code::ServiceUnavailable, "com.amazon.coral.service#ServiceUnavailableException", 503);
    assert_eq!(Code::Serialization.message_member(), "Message");
    assert_eq!(Code::Validation.message_member(), "message");
}

#[test]
fn an_error_says_what_it_is() {
    let error = ApiError::validation("no").with_item(vec![1, 1, 0]);
    assert_eq!(error.to_string(), "ValidationException: no");
    assert_eq!(error.item.as_deref(), Some(&[1, 1, 0][..]));
}
