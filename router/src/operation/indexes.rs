//! Indexes of a table that is to be made: DynamoDB's rules, all of them, before torc says that it has none yet.
//!
//! Leaves to others: constraints of single members (`constraint`), and the table's own key (`tables`).

use std::collections::BTreeSet;

use model::error::ApiError;
use model::key::KeySchema;

use super::tables::{invalid, take_key_element};
use crate::request::{Parameters, Value, tables as shapes};

/// Global indexes of one table.
const GLOBAL_MAX: usize = 20;
/// Local indexes of one table.
const LOCAL_MAX: usize = 5;
/// HASH attributes of a global index's key, and as many RANGE attributes.
const KEY_ATTRIBUTES_MAX: usize = 4;

/// One index, as the client wants it.
#[derive(Debug)]
pub(crate) struct Index {
    name: String,
    /// Names of attributes, and whether they are of type HASH.
    key: Vec<(String, bool)>,
    projection: Projection,
    provisioned: bool,
    on_demand: Option<OnDemand>,
}

#[derive(Debug)]
struct Projection {
    kind: Option<String>,
    attributes: Option<Vec<String>>,
}

#[derive(Debug)]
struct OnDemand {
    read: Option<i64>,
    write: Option<i64>,
}

/// The table's indexes.
#[derive(Debug, Default)]
pub(crate) struct Indexes {
    global: Option<Vec<Index>>,
    local: Option<Vec<Index>>,
}

impl Indexes {
    /// Takes `GlobalSecondaryIndexes` and `LocalSecondaryIndexes`.
    pub(crate) fn take(parameters: &mut Parameters<'_>) -> Indexes {
        let global = parameters.list("GlobalSecondaryIndexes");
        let local = parameters.list("LocalSecondaryIndexes");
        Indexes {
            global: global.map(|list| list.into_iter().map(take_global).collect()),
            local: local.map(|list| list.into_iter().map(take_local).collect()),
        }
    }

    /// The parameter that torc does not have yet, if there is one.
    pub(crate) fn first(&self) -> Option<&'static str> {
        match (&self.global, &self.local) {
            (Some(_), _) => Some("GlobalSecondaryIndexes"),
            (None, Some(_)) => Some("LocalSecondaryIndexes"),
            (None, None) => None,
        }
    }

    /// Names of attributes in their keys.
    pub(crate) fn key_names(&self) -> impl Iterator<Item = &str> {
        self.all().flat_map(|index| index.key.iter().map(|(name, _)| name.as_str()))
    }

    fn all(&self) -> impl Iterator<Item = &Index> {
        self.global.iter().chain(&self.local).flatten()
    }

    /// Checks them beside a table with this key, paid for in this way.
    pub(crate) fn check(&self, schema: &KeySchema, on_demand: bool) -> Result<(), ApiError> {
        if self.global.as_ref().is_some_and(Vec::is_empty) {
            return Err(invalid("List of GlobalSecondaryIndexes is empty"));
        }
        if self.local.as_ref().is_some_and(Vec::is_empty) {
            return Err(invalid("List of LocalSecondaryIndexes is empty"));
        }
        let (global, local) = (self.global.as_deref().unwrap_or(&[]), self.local.as_deref().unwrap_or(&[]));
        if global.len() > GLOBAL_MAX {
            return Err(invalid(&format!(
                "GlobalSecondaryIndex count exceeds the per-table limit of {GLOBAL_MAX}"
            )));
        }
        if local.len() > LOCAL_MAX {
            let message = format!("Number of LocalSecondaryIndexes exceeds per-table limit of {LOCAL_MAX}");
            return Err(invalid(&message));
        }
        for index in local {
            index.check_local_key(schema)?;
            index.projection.check()?;
        }
        for index in global {
            index.check_global_key()?;
            index.projection.check()?;
            index.check_throughput(on_demand)?;
        }
        let mut names = BTreeSet::new();
        match self.all().find(|index| !names.insert(index.name.as_str())) {
            Some(index) => Err(invalid(&format!("Duplicate index name: {}", index.name))),
            None => Ok(()),
        }
    }
}

fn take_global(element: Value<'_>) -> Index {
    let mut index =
        element.into_structure(&shapes::GLOBAL_SECONDARY_INDEX).expect("the constraints let none be null");
    let on_demand = index.structure("OnDemandThroughput").map(|mut units| OnDemand {
        read: units.integer("MaxReadRequestUnits"),
        write: units.integer("MaxWriteRequestUnits"),
    });
    let provisioned = index.has("ProvisionedThroughput");
    take_index(&mut index, provisioned, on_demand)
}

fn take_local(element: Value<'_>) -> Index {
    let mut index =
        element.into_structure(&shapes::LOCAL_SECONDARY_INDEX).expect("the constraints let none be null");
    take_index(&mut index, false, None)
}

fn take_index(index: &mut Parameters<'_>, provisioned: bool, on_demand: Option<OnDemand>) -> Index {
    let key = index.list("KeySchema").expect("the constraints require it");
    let mut projection = index.structure("Projection").expect("the constraints require it");
    let text = |value: Value<'_>| match value {
        Value::Text(text) => text.into_owned(),
        other => panic!("an attribute's name is a string in its table, not {other:?}"),
    };
    let attributes = projection.list("NonKeyAttributes");
    Index {
        name: index.text("IndexName").expect("the constraints require it").into_owned(),
        key: key.into_iter().map(take_key_element).collect(),
        projection: Projection {
            kind: projection.text("ProjectionType").map(|kind| kind.into_owned()),
            attributes: attributes.map(|names| names.into_iter().map(text).collect()),
        },
        provisioned,
        on_demand,
    }
}

impl Index {
    /// Up to four HASH attributes, then up to four RANGE attributes, all of them different.
    fn check_global_key(&self) -> Result<(), ApiError> {
        let is_hash: Vec<bool> = self.key.iter().map(|(_, is_hash)| *is_hash).collect();
        if !is_hash[0] {
            return Err(first_is_not_hash());
        }
        if is_hash.windows(2).any(|pair| !pair[0] && pair[1]) {
            return Err(invalid(
                "All HASH key attributes must precede RANGE key attributes in the KeySchema",
            ));
        }
        let hashes = is_hash.iter().filter(|is_hash| **is_hash).count();
        for (count, kind) in [(hashes, "HASH"), (is_hash.len() - hashes, "RANGE")] {
            if count > KEY_ATTRIBUTES_MAX {
                let what =
                    format!("The KeySchema exceeds the maximum allowed number of {kind} key attributes");
                return Err(invalid(&what));
            }
        }
        let names: BTreeSet<&str> = self.key.iter().map(|(name, _)| name.as_str()).collect();
        if names.len() < self.key.len() {
            let message = match self.key.len() {
                2 => "Both the Hash Key and the Range Key element in the KeySchema have the same name",
                _ => "The KeySchema contains multiple key attributes with the same name",
            };
            return Err(ApiError::validation(message));
        }
        Ok(())
    }

    /// The table's HASH attribute and another one as RANGE attribute.
    fn check_local_key(&self, schema: &KeySchema) -> Result<(), ApiError> {
        if schema.sort.is_none() {
            return Err(invalid(
                "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex",
            ));
        }
        if !self.key[0].1 {
            return Err(first_is_not_hash());
        }
        let name = &self.name;
        let Some((range, is_hash)) = self.key.get(1) else {
            return Err(invalid(&format!("Index KeySchema does not have a range key for index: {name}")));
        };
        if *is_hash {
            let message = "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type";
            return Err(ApiError::validation(message));
        }
        let (hash, table_hash) = (&self.key[0].0, &schema.partition.name);
        if hash == range {
            let message = "Both the Hash Key and the Range Key element in the KeySchema have the same name";
            return Err(ApiError::validation(message));
        }
        if hash != table_hash {
            return Err(invalid(&format!(
                "Index KeySchema does not have the same leading hash key as table KeySchema for index: {name}. \
                 index hash key: {hash}, table hash key: {table_hash}"
            )));
        }
        Ok(())
    }

    fn check_throughput(&self, on_demand: bool) -> Result<(), ApiError> {
        let name = &self.name;
        match (on_demand, self.provisioned, &self.on_demand) {
            (true, true, _) => Err(invalid(&format!(
                "ProvisionedThroughput should not be specified for index: {name} when BillingMode is PAY_PER_REQUEST"
            ))),
            (false, false, _) => {
                Err(invalid(&format!("ProvisionedThroughput is not specified for index: {name}")))
            }
            (false, true, Some(given)) => {
                let member =
                    if given.read.is_some() { "MaxReadRequestUnits" } else { "MaxWriteRequestUnits" };
                Err(invalid(&format!(
                    "{member} for OnDemandThroughput for index: {name} cannot be specified when table BillingMode is PROVISIONED."
                )))
            }
            (true, false, Some(given)) => {
                let members = [("MaxReadRequestUnits", given.read), ("MaxWriteRequestUnits", given.write)];
                match members.into_iter().find(|(_, units)| units.is_some_and(|units| units < 1)) {
                    None => Ok(()),
                    Some((member, _)) => Err(invalid(&format!(
                        "Requested {member} for OnDemandThroughput for index : {name} is outside of valid range"
                    ))),
                }
            }
            (_, _, None) => Ok(()),
        }
    }
}

impl Projection {
    fn check(&self) -> Result<(), ApiError> {
        let Some(kind) = &self.kind else { return Err(invalid("Unknown ProjectionType: null")) };
        match (kind.as_str(), &self.attributes) {
            ("INCLUDE", None) => {
                Err(invalid("ProjectionType is INCLUDE, but NonKeyAttributes is not specified"))
            }
            ("INCLUDE", Some(names)) => {
                let mut seen = BTreeSet::new();
                match names.iter().find(|name| !seen.insert(name.as_str())) {
                    Some(name) => Err(invalid(&format!("Duplicate element in NonKeyAttributes: {name}"))),
                    None => Ok(()),
                }
            }
            (kind, Some(_)) => {
                Err(invalid(&format!("ProjectionType is {kind}, but NonKeyAttributes is specified")))
            }
            (_, None) => Ok(()),
        }
    }
}

/// DynamoDB's words for a key that begins with a RANGE attribute.
pub(crate) fn first_is_not_hash() -> ApiError {
    ApiError::validation("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
}
