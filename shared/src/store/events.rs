//! The log of events, which is the outbox too: the table's stream carries each to who listens.

use super::item::{Item, encode, primary_key, text};
use super::keys;
use crate::domain::{Event, Unavailable};

/// An event's row.
pub fn event_item(operation: &'static str, event: &Event) -> Result<Item, Unavailable> {
    let mut key = primary_key(keys::events_of_day(event.project, event.time), keys::event(event.id));
    key.insert("GSI2PK".into(), text(keys::events_of_subject(event.project, event.subject)));
    key.insert("GSI2SK".into(), text(keys::sequence(event.sequence)));
    encode(operation, "event", key, event)
}

/// Reads an event out of the image that a stream record carries.
pub fn decode_event(item: serde_dynamo::Item) -> Result<Event, Unavailable> {
    serde_dynamo::from_item(item).map_err(|e| Unavailable::new("decode_event", e))
}
