//! What clients ask about the service itself: DescribeLimits, DescribeEndpoints, DescribeContinuousBackups.

use model::error::{ApiError, Code};
use model::limits::{ACCOUNT_UNITS_MAX, TABLE_UNITS_MAX};
use runtime::Runtime;

use super::answer::{Object, array};
use super::tables::describe_record;
use super::take_table_name;
use crate::Router;
use crate::request::Parameters;

/// How long a client may keep an endpoint that it discovered: a day.
const ENDPOINT_MINUTES: u64 = 1440;

/// DescribeLimits: DynamoDB's default quotas. Nothing here is throttled by them.
pub(crate) fn describe_limits(parameters: Parameters<'_>, out: &mut Vec<u8>) -> Result<(), ApiError> {
    parameters.finish()?;
    let mut answer = Object::new(out);
    answer.integer("AccountMaxReadCapacityUnits", ACCOUNT_UNITS_MAX);
    answer.integer("AccountMaxWriteCapacityUnits", ACCOUNT_UNITS_MAX);
    answer.integer("TableMaxReadCapacityUnits", TABLE_UNITS_MAX);
    answer.integer("TableMaxWriteCapacityUnits", TABLE_UNITS_MAX);
    answer.end();
    Ok(())
}

/// DescribeEndpoints: whom the client asked is whom it should ask. None, if it did not say.
pub(crate) fn describe_endpoints(
    parameters: Parameters<'_>,
    host: Option<&str>,
    out: &mut Vec<u8>,
) -> Result<(), ApiError> {
    parameters.finish()?;
    let mut answer = Object::new(out);
    array(answer.member("Endpoints"), host, |out, host| {
        let mut endpoint = Object::new(out);
        endpoint.text("Address", host);
        endpoint.integer("CachePeriodInMinutes", ENDPOINT_MINUTES);
        endpoint.end();
    });
    answer.end();
    Ok(())
}

/// DescribeContinuousBackups: a table that is there can recover no point in time.
pub(crate) async fn describe_continuous_backups<R: Runtime>(
    router: &Router<R>,
    mut parameters: Parameters<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ApiError> {
    let given = take_table_name(&mut parameters);
    parameters.finish()?;
    let found = match router.table_name(&given) {
        Ok(name) => describe_record(router, name.to_owned()).await,
        Err(error) => Err(error),
    };
    found.map_err(|error| match error.code {
        Code::ResourceNotFound => ApiError::new(Code::TableNotFound, format!("Table not found: {given}")),
        _ => error,
    })?;
    let mut answer = Object::new(out);
    let mut backups = Object::new(answer.member("ContinuousBackupsDescription"));
    // DynamoDB enables these a moment after a table is made, and nobody can disable them; recovery is what is asked for.
    backups.text("ContinuousBackupsStatus", "ENABLED");
    let mut recovery = Object::new(backups.member("PointInTimeRecoveryDescription"));
    recovery.text("PointInTimeRecoveryStatus", "DISABLED");
    recovery.end();
    backups.end();
    answer.end();
    Ok(())
}
