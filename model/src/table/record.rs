//! A table as an item and back.

use crate::{
    item::{Corrupt, ItemBuilder, ItemRef, MapRef},
    key::{KeyAttribute, KeySchema, KeyType, TableId},
    record::{Fields, push_bool, push_list, push_map, push_number, push_text},
    table::{
        AttributeDefinition, Billing, BillingMode, Encryption, Table, TableClass, TableStatus, Tag,
        TimeToLive,
    },
};

/// The version of a table's record as it is written. Indexes, streams and replicas come with the next ones.
pub const TABLE_VERSION: u64 = 2;

/// The first version that knows `ttl`. Older records are read, without it.
const TTL_VERSION: u64 = 2;

impl Table {
    /// The table's record.
    pub fn to_item(&self) -> Vec<u8> {
        let mut builder = ItemBuilder::new();
        let out = &mut builder;
        out.begin_item();
        push_number(out, "v", TABLE_VERSION);
        push_number(out, "id", u64::from(self.id.0));
        push_text(out, "uuid", &self.uuid);
        push_text(out, "name", &self.name);
        push_attribute(out, "partition", &self.schema.partition);
        if let Some(sort) = &self.schema.sort {
            push_attribute(out, "sort", sort);
        }
        push_list(out, "attributes", &self.attribute_definitions, |out, definition| {
            push_text(out, "name", &definition.name);
            push_text(out, "type", definition.kind.name());
        });
        push_text(out, "status", self.status.name());
        push_number(out, "created_us", self.created_us);
        push_map(out, "billing", |out| push_billing(out, &self.billing));
        push_bool(out, "protected", self.deletion_protection);
        if self.class != TableClass::Default {
            push_text(out, "class", self.class.name());
        }
        if let Some(encryption) = &self.encryption {
            push_map(out, "encryption", |out| push_optional_text(out, "key", encryption.key.as_deref()));
        }
        push_list(out, "tags", &self.tags, |out, tag| {
            push_text(out, "key", &tag.key);
            push_text(out, "value", &tag.value);
        });
        if let Some(time_to_live) = &self.time_to_live {
            push_map(out, "ttl", |out| push_text(out, "attribute", &time_to_live.attribute));
        }
        builder.finish()
    }

    /// Reads a record that `ItemRef::check` has passed; a version or an attribute that it does not know is refused.
    pub fn from_item(item: ItemRef<'_>) -> Result<Table, Corrupt> {
        let mut fields = Fields::new(item.as_map());
        let version = fields.number("v")?;
        if !(1..=TABLE_VERSION).contains(&version) {
            return Err(Corrupt::new("a table record of an unknown version", 0));
        }
        let table = Table {
            id: TableId(fields.number_as("id")?),
            uuid: fields.text("uuid")?.to_owned(),
            name: fields.text("name")?.to_owned(),
            schema: KeySchema {
                partition: read_attribute(fields.map("partition")?)?,
                sort: fields.optional("sort", Fields::map)?.map(read_attribute).transpose()?,
            },
            attribute_definitions: fields.list("attributes", |entry| {
                read_attribute(entry).map(|KeyAttribute { name, kind }| AttributeDefinition { name, kind })
            })?,
            status: fields
                .word("status", |name| TableStatus::ALL.into_iter().find(|status| status.name() == name))?,
            created_us: fields.number("created_us")?,
            billing: read_billing(fields.map("billing")?)?,
            deletion_protection: fields.bool("protected")?,
            class: fields
                .optional("class", |f, name| f.word(name, TableClass::from_name))?
                .unwrap_or_default(),
            encryption: fields.optional("encryption", Fields::map)?.map(read_encryption).transpose()?,
            tags: fields.list("tags", read_tag)?,
            time_to_live: match version {
                TTL_VERSION.. => fields.optional("ttl", Fields::map)?.map(read_time_to_live).transpose()?,
                _ => None,
            },
        };
        fields.end()?;
        Ok(table)
    }
}

fn push_attribute(out: &mut ItemBuilder, name: &str, attribute: &KeyAttribute) {
    push_map(out, name, |out| {
        push_text(out, "name", &attribute.name);
        push_text(out, "type", attribute.kind.name());
    });
}

fn read_attribute(map: MapRef<'_>) -> Result<KeyAttribute, Corrupt> {
    let mut fields = Fields::new(map);
    let name = fields.text("name")?.to_owned();
    let kind = fields.word("type", KeyType::from_name)?;
    fields.end()?;
    Ok(KeyAttribute { name, kind })
}

fn push_billing(out: &mut ItemBuilder, billing: &Billing) {
    push_text(out, "mode", billing.mode.name());
    push_number(out, "read", billing.read_units);
    push_number(out, "write", billing.write_units);
    push_number(out, "decreases_today", billing.decreases_today);
    push_optional_number(out, "last_increase_us", billing.last_increase_us);
    push_optional_number(out, "last_decrease_us", billing.last_decrease_us);
    push_optional_number(out, "last_on_demand_us", billing.last_on_demand_us);
}

fn read_billing(map: MapRef<'_>) -> Result<Billing, Corrupt> {
    let mut fields = Fields::new(map);
    let billing = Billing {
        mode: fields.word("mode", BillingMode::from_name)?,
        read_units: fields.number("read")?,
        write_units: fields.number("write")?,
        last_increase_us: fields.optional("last_increase_us", Fields::number)?,
        last_decrease_us: fields.optional("last_decrease_us", Fields::number)?,
        decreases_today: fields.number("decreases_today")?,
        last_on_demand_us: fields.optional("last_on_demand_us", Fields::number)?,
    };
    fields.end()?;
    Ok(billing)
}

fn read_encryption(map: MapRef<'_>) -> Result<Encryption, Corrupt> {
    let mut fields = Fields::new(map);
    let key = fields.optional("key", Fields::text)?.map(str::to_owned);
    fields.end()?;
    Ok(Encryption { key })
}

fn read_time_to_live(map: MapRef<'_>) -> Result<TimeToLive, Corrupt> {
    let mut fields = Fields::new(map);
    let attribute = fields.text("attribute")?.to_owned();
    fields.end()?;
    Ok(TimeToLive { attribute })
}

fn read_tag(map: MapRef<'_>) -> Result<Tag, Corrupt> {
    let mut fields = Fields::new(map);
    let tag = Tag { key: fields.text("key")?.to_owned(), value: fields.text("value")?.to_owned() };
    fields.end()?;
    Ok(tag)
}

fn push_optional_text(out: &mut ItemBuilder, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        push_text(out, name, value);
    }
}

fn push_optional_number(out: &mut ItemBuilder, name: &str, value: Option<u64>) {
    if let Some(value) = value {
        push_number(out, name, value);
    }
}
