//! What the functions ask of the tables, and what that would cost: requests and capacity units, by function
//! and operation.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

/// What was asked of the tables since counting began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Consumed {
    /// Requests.
    pub requests: u64,
    /// Capacity units: reads of an operation that reads, writes of one that writes.
    pub units: f64,
}

/// Counts while somebody wants it: every request is read once more for that.
#[derive(Debug, Default)]
pub struct Meter {
    counting: AtomicBool,
    consumed: Mutex<BTreeMap<String, BTreeMap<String, Consumed>>>,
}

impl Meter {
    /// Begins to count, from nothing.
    pub fn begin(&self) {
        self.consumed.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.counting.store(true, Ordering::Relaxed);
    }

    /// What was counted, by function and operation.
    pub fn consumed(&self) -> BTreeMap<String, BTreeMap<String, Consumed>> {
        self.consumed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The request, which asks what it costs if somebody wants to know.
    pub fn asking(&self, body: Bytes) -> Bytes {
        if !self.counting.load(Ordering::Relaxed) {
            return body;
        }
        let Ok(Value::Object(mut request)) = serde_json::from_slice(&body) else { return body };
        request.insert("ReturnConsumedCapacity".into(), json!("TOTAL"));
        Value::Object(request).to_string().into()
    }

    /// Counts an answered request.
    pub fn count(&self, function: &str, operation: &str, answer: &str) {
        if !self.counting.load(Ordering::Relaxed) {
            return;
        }
        let answer: Value = serde_json::from_str(answer).unwrap_or_default();
        let units = match &answer["ConsumedCapacity"] {
            Value::Array(tables) => tables.iter().filter_map(|table| table["CapacityUnits"].as_f64()).sum(),
            one => one["CapacityUnits"].as_f64().unwrap_or_default(),
        };
        let mut consumed = self.consumed.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = consumed.entry(function.to_owned()).or_default().entry(operation.to_owned()).or_default();
        entry.requests += 1;
        entry.units += units;
    }
}
