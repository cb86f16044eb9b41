//! Query and Scan: pages of items in the order of their keys.
//!
//! ```text
//! Query: one partition, one vnode --> one message --> the page
//! Scan:  token of the start key --> vnode --> message --> page not full? --> next vnode, until the segment's last token
//! ```
//!
//! A page ends with the item that reaches the limit or the size; then its key is the LastEvaluatedKey. Limit counts items
//! before the filter. Items are written into the response as their vnode's page comes in.
//!
//! Segments of a parallel Scan are even ranges of tokens, so they stay the same whatever vnodes do.

use std::rc::Rc;

use model::error::ApiError;
use model::expression::{KeyCondition, KeyParts, Placeholders, SortCondition, legacy, parse_key_parts};
use model::item::{ItemRef, ValueRef};
use model::key::{
    KeyRange, SortBounds, Token, encode_key, key_of_request, keyspace, partition_range, successor,
    token_range,
};
use model::limits::PAGE_BYTES_MAX;
use model::ring::Ring;
use model::table::Table;
use net::message::{ArchivedPage, ArchivedReply, LIMIT_NONE, Operation, Request, Scan};
use runtime::Runtime;

use super::answer::Object;
use super::capacity::{HalfUnits, Wanted};
use super::expressions::{Filter, Given, OldCondition, Rules, borrowed, take_conditions, take_projection};
use crate::Router;
use crate::json::attribute::write_item;
use crate::request::Parameters;
use crate::route::{Target, misunderstood, reply, takes_any_replica};

const QUERY_RULES: Rules = Rules {
    expressions: &["ProjectionExpression", "FilterExpression", "KeyConditionExpression"],
    with_values: &["FilterExpression", "KeyConditionExpression"],
    legacy: &["AttributesToGet", "QueryFilter", "ConditionalOperator", "KeyConditions"],
};

const SCAN_RULES: Rules = Rules {
    expressions: &["ProjectionExpression", "FilterExpression"],
    with_values: &["FilterExpression"],
    legacy: &["AttributesToGet", "ScanFilter", "ConditionalOperator"],
};

/// What a Query and a Scan are both told.
struct Terms<'a> {
    start: Option<Vec<u8>>,
    filter: Filter<'a>,
    projection: Option<Vec<u8>>,
    count_only: bool,
    consistent: bool,
    limit: u32,
    wanted: Wanted,
}

impl<'a> Terms<'a> {
    fn take(
        parameters: &mut Parameters<'a>,
        placeholders: &mut Placeholders<'_>,
        old_filter: &str,
    ) -> Result<Terms<'a>, ApiError> {
        let start = parameters.item("ExclusiveStartKey").transpose()?;
        let count_only = take_select(parameters)?;
        let filter = Filter::take(parameters, placeholders, old_filter)?;
        let projection = take_projection(parameters, placeholders)?.map(|projection| projection.encode());
        let limit =
            parameters.integer("Limit").map(|limit| u32::try_from(limit).expect("within its constraints"));
        Ok(Terms {
            start,
            filter,
            projection,
            count_only,
            consistent: parameters.boolean("ConsistentRead").unwrap_or(false),
            limit: limit.unwrap_or(LIMIT_NONE),
            wanted: Wanted::take(parameters),
        })
    }

    /// The message for one range, up to where the page is full.
    fn scan(&self, table: &Table, range: KeyRange, forward: bool) -> Scan {
        Scan {
            vnode: 0,
            table: table.id.0,
            from: range.from,
            to: range.to,
            forward,
            limit: self.limit,
            bytes_max: PAGE_BYTES_MAX as u32,
            consistent: self.consistent,
            filter: self.filter.condition.as_ref().map(|condition| condition.encode()),
            projection: self.projection.clone(),
            count_only: self.count_only,
        }
    }
}

/// Takes `Select`; whether only counts are wanted.
fn take_select(parameters: &mut Parameters<'_>) -> Result<bool, ApiError> {
    let named = ["AttributesToGet", "ProjectionExpression"].into_iter().find(|name| parameters.has(name));
    let select = parameters.text("Select");
    let what = match select.as_deref() {
        None => return Ok(false),
        Some("ALL_PROJECTED_ATTRIBUTES") if !parameters.has("IndexName") => {
            let message = "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName";
            return Err(ApiError::validation(message));
        }
        Some("SPECIFIC_ATTRIBUTES") if named.is_none() => {
            return Err(ApiError::validation(
                "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
            ));
        }
        Some("SPECIFIC_ATTRIBUTES") => return Ok(false),
        Some("COUNT") => "only the Count",
        Some(other) => other,
    };
    match named {
        Some(name) => {
            Err(ApiError::validation(format!("Cannot specify the {name} when choosing to get {what}")))
        }
        None => Ok(select.as_deref() == Some("COUNT")),
    }
}

/// Refuses an index: tables have none yet, so none is the right one.
fn refuse_index(parameters: &mut Parameters<'_>) -> Result<(), ApiError> {
    match parameters.text("IndexName") {
        None => Ok(()),
        Some(name) => {
            Err(ApiError::validation(format!("The table does not have the specified index: {name}")))
        }
    }
}

/// What a page has so far.
struct Filled<'o> {
    out: &'o mut Vec<u8>,
    count_only: bool,
    count: u32,
    scanned: u32,
    charged_bytes: u32,
    last: Option<Vec<u8>>,
}

impl<'o> Filled<'o> {
    fn begin(out: &'o mut Vec<u8>, count_only: bool) -> Filled<'o> {
        out.push(b'{');
        if !count_only {
            out.extend_from_slice(b"\"Items\":[");
        }
        Filled { out, count_only, count: 0, scanned: 0, charged_bytes: 0, last: None }
    }

    fn add(&mut self, page: &ArchivedPage) {
        for item in page.items.iter() {
            if self.out.last() != Some(&b'[') {
                self.out.push(b',');
            }
            write_item(self.out, ItemRef::trusted(item));
        }
        self.count += page.count.to_native();
        self.scanned += page.scanned.to_native();
        self.charged_bytes += page.charged_bytes.to_native();
        self.last = page.last.as_ref().map(|last| last.key_item.to_vec());
    }

    fn end(self, terms: &Terms<'_>, table: &Table) {
        if !self.count_only {
            self.out.push(b']');
        }
        let mut answer = Object::go_on(self.out, self.count_only);
        answer.integer("Count", u64::from(self.count));
        answer.integer("ScannedCount", u64::from(self.scanned));
        if let Some(last) = &self.last {
            write_item(answer.member("LastEvaluatedKey"), ItemRef::trusted(last));
        }
        let units = HalfUnits::read(u64::from(self.charged_bytes), terms.consistent);
        terms.wanted.write(&mut answer, &table.name, units);
        answer.end();
    }
}

/// Query.
pub(crate) async fn query<R: Runtime>(
    router: &Router<R>,
    mut parameters: Parameters<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ApiError> {
    let given = Given::take(&mut parameters, &QUERY_RULES)?;
    let mut placeholders = given.placeholders(&router.expressions)?;
    let terms = Terms::take(&mut parameters, &mut placeholders, "QueryFilter")?;
    let wanted = KeysWanted::take(&mut parameters, &mut placeholders)?;
    placeholders.check_all_used()?;
    let forward = parameters.boolean("ScanIndexForward").unwrap_or(true);
    let name = super::take_table_name(&mut parameters);
    let table = router.table(&router.map(), &name)?;
    refuse_index(&mut parameters)?;
    parameters.finish()?;
    let condition = wanted.select(&table)?;
    terms.filter.refuse_key_attributes(&table.schema)?;
    let partition = ValueRef::trusted(&condition.partition);
    let mut range = partition_range(keyspace::ITEMS, table.id, partition, bounds_of(condition.sort.as_ref()));
    if let Some(start) = &terms.start {
        go_on_after(&mut range, &table, start, partition, forward)?;
    }
    let mut filled = Filled::begin(out, terms.count_only);
    if range.from < range.to {
        let scan = Operation::Scan(terms.scan(&table, range, forward));
        let token = Token::of(partition).high();
        router.ask(token, scan, |reply| page_of(reply).map(|page| filled.add(page))).await?;
    }
    filled.end(&terms, &table);
    Ok(())
}

/// `KeyConditionExpression` or `KeyConditions`, before the table's schema is known.
enum KeysWanted<'a> {
    Expression(KeyParts),
    Conditions(Vec<OldCondition<'a>>),
}

impl<'a> KeysWanted<'a> {
    fn take(
        parameters: &mut Parameters<'a>,
        placeholders: &mut Placeholders<'_>,
    ) -> Result<KeysWanted<'a>, ApiError> {
        if let Some(text) = parameters.text("KeyConditionExpression") {
            return parse_key_parts(&text, placeholders).map(KeysWanted::Expression);
        }
        match take_conditions(parameters, "KeyConditions")? {
            Some(conditions) => Ok(KeysWanted::Conditions(conditions)),
            None => Err(ApiError::validation(
                "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
            )),
        }
    }

    fn select(self, table: &Table) -> Result<KeyCondition, ApiError> {
        match self {
            KeysWanted::Expression(parts) => parts.select(&table.schema),
            KeysWanted::Conditions(conditions) => {
                legacy::key_conditions(&borrowed(&conditions), &table.schema)
            }
        }
    }
}

fn bounds_of(sort: Option<&SortCondition>) -> SortBounds<'_> {
    let value = ValueRef::trusted;
    match sort {
        None => SortBounds::All,
        Some(SortCondition::Equal(bytes)) => SortBounds::Equal(value(bytes)),
        Some(SortCondition::Less(bytes)) => SortBounds::Less(value(bytes)),
        Some(SortCondition::LessOrEqual(bytes)) => SortBounds::LessOrEqual(value(bytes)),
        Some(SortCondition::Greater(bytes)) => SortBounds::Greater(value(bytes)),
        Some(SortCondition::GreaterOrEqual(bytes)) => SortBounds::GreaterOrEqual(value(bytes)),
        Some(SortCondition::Between(lower, upper)) => SortBounds::Between(value(lower), value(upper)),
        Some(SortCondition::BeginsWith(bytes)) => SortBounds::BeginsWith(value(bytes)),
    }
}

/// Moves the range's beginning behind the start key, which must be one that a former page could have ended with.
fn go_on_after(
    range: &mut KeyRange,
    table: &Table,
    start: &[u8],
    partition: ValueRef<'_>,
    forward: bool,
) -> Result<(), ApiError> {
    let invalid = || ApiError::validation("The provided starting key is invalid");
    let values = key_of_request(&table.schema, ItemRef::trusted(start)).map_err(|_| invalid())?;
    if values.partition != partition {
        return Err(ApiError::validation(
            "The provided starting key is outside query boundaries based on provided conditions",
        ));
    }
    let key = encode_key(keyspace::ITEMS, table.id, &table.schema, values.partition, values.sort);
    if !range.contains(&key) {
        return Err(ApiError::validation("The provided starting key does not match the range key predicate"));
    }
    *range = range.clone().after(&key, forward);
    Ok(())
}

/// Scan.
pub(crate) async fn scan<R: Runtime>(
    router: &Router<R>,
    mut parameters: Parameters<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ApiError> {
    let given = Given::take(&mut parameters, &SCAN_RULES)?;
    let segment = Segment::take(&mut parameters)?;
    let mut placeholders = given.placeholders(&router.expressions)?;
    let terms = Terms::take(&mut parameters, &mut placeholders, "ScanFilter")?;
    placeholders.check_all_used()?;
    let name = super::take_table_name(&mut parameters);
    let table = router.table(&router.map(), &name)?;
    refuse_index(&mut parameters)?;
    parameters.finish()?;
    let position = Position::find(&terms, &table, &segment)?;
    let mut filled = Filled::begin(out, terms.count_only);
    walk(router, &terms, &table, position, &mut filled).await?;
    filled.end(&terms, &table);
    Ok(())
}

/// `Segment` and `TotalSegments`: one even share of the ring.
struct Segment {
    index: u32,
    total: u32,
}

impl Segment {
    fn take(parameters: &mut Parameters<'_>) -> Result<Segment, ApiError> {
        let segment = parameters.integer("Segment");
        let total = parameters.integer("TotalSegments");
        let (index, total) = match (segment, total) {
            (None, None) => (0, 1),
            (Some(index), Some(total)) if index < total => (index, total),
            (Some(index), Some(total)) => {
                return Err(ApiError::validation(format!(
                    "The Segment parameter is zero-based and must be less than parameter TotalSegments: \
                     Segment: {index} is not less than TotalSegments: {total}"
                )));
            }
            (Some(_), None) => {
                return Err(ApiError::validation(
                    "The TotalSegments parameter is required but was not present in the request when Segment \
                     parameter is present",
                ));
            }
            (None, Some(_)) => {
                return Err(ApiError::validation(
                    "The Segment parameter is required but was not present in the request when parameter \
                     TotalSegments is present",
                ));
            }
        };
        let small = |number: i64| u32::try_from(number).expect("within its constraints");
        Ok(Segment { index: small(index), total: small(total) })
    }

    /// First and last token, by their high halves.
    fn tokens(&self) -> (u64, u64) {
        Ring::segment(self.index, self.total).expect("the index is below the total")
    }
}

/// Where a Scan goes on: from this key, or from the beginning of this token; up to the last token.
struct Position {
    key: Option<Vec<u8>>,
    token: u64,
    last: u64,
}

impl Position {
    fn find(terms: &Terms<'_>, table: &Table, segment: &Segment) -> Result<Position, ApiError> {
        let (first, last) = segment.tokens();
        let Some(start) = &terms.start else { return Ok(Position { key: None, token: first, last }) };
        let values = key_of_request(&table.schema, ItemRef::trusted(start)).map_err(|error| {
            let why = error.message;
            ApiError::validation(format!("The provided starting key is invalid: {why}"))
        })?;
        let token = Token::of(values.partition).high();
        if token < first || token > last {
            let (index, total) = (segment.index, segment.total);
            return Err(ApiError::validation(format!(
                "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey \
                 with correct Segment. TotalSegments: {total} Segment: {index}"
            )));
        }
        let key = encode_key(keyspace::ITEMS, table.id, &table.schema, values.partition, values.sort);
        Ok(Position { key: Some(successor(&key)), token, last })
    }
}

/// From vnode to vnode, until the page is full or the last token's vnode is done.
async fn walk<R: Runtime>(
    router: &Router<R>,
    terms: &Terms<'_>,
    table: &Rc<Table>,
    mut position: Position,
    filled: &mut Filled<'_>,
) -> Result<(), ApiError> {
    loop {
        let end = one_vnode(router, terms, table, &position, filled).await?;
        if filled.last.is_some() || end == position.last {
            return Ok(());
        }
        position = Position { key: None, token: end + 1, last: position.last };
    }
}

/// One vnode's share, from `position`; the last token that it covered. The range and the message go by one map.
async fn one_vnode<R: Runtime>(
    router: &Router<R>,
    terms: &Terms<'_>,
    table: &Table,
    position: &Position,
    filled: &mut Filled<'_>,
) -> Result<u64, ApiError> {
    let mut attempts = router.attempts();
    loop {
        let map = router.map();
        let vnode = map.ring.owner(position.token);
        let (_, end) = map.ring.range(vnode.id).expect("the ring knows its vnodes");
        let end = end.min(position.last);
        let mut range = token_range(keyspace::ITEMS, table.id, position.token, end);
        if let Some(key) = &position.key {
            range.from.clone_from(key);
        }
        let mut scan = terms.scan(table, range, true);
        scan.vnode = vnode.id.0;
        if scan.limit != LIMIT_NONE {
            scan.limit = scan.limit.saturating_sub(filled.scanned).max(1);
        }
        scan.bytes_max = scan.bytes_max.saturating_sub(filled.charged_bytes).max(1);
        let target = Target::of(&map, &vnode);
        let request = Request { epoch: target.epoch, operation: Operation::Scan(scan) };
        drop(map);
        let anywhere = takes_any_replica(&request.operation) && !router.recent.has_any(router.rt.now());
        if let Some(bytes) = router.attempt(&mut attempts, &target, &request, anywhere).await? {
            filled.add(page_of(reply(&bytes)?)?);
            return Ok(end);
        }
    }
}

fn page_of(reply: &ArchivedReply) -> Result<&ArchivedPage, ApiError> {
    match reply {
        ArchivedReply::Page(page) => Ok(page),
        _ => Err(misunderstood()),
    }
}
