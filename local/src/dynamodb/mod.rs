//! Tables: Amazon DynamoDB as the functions see it, over an embedded engine.
//!
//! The engine (dynoxide, SQLite) knows the operations and their errors; here are the signatures, the
//! permissions ([`access`]) and the protocol ([`http`]) in front of it, and the streams behind it
//! ([`stream`]). The engine is called in this process and not through its own HTTP server: that saves
//! a hop per request, and there is no second port that would ask nobody for a signature.
//!
//! Tables come from the template alone, so the operations that create, change and delete tables are
//! refused, and so is PartiQL, whose statements name tables where permissions cannot see them.

mod access;
mod http;
mod meter;
mod operations;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use dynoxide::{Database, DynoxideError};
use indexmap::IndexMap;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use self::access::Catalogue;
use self::meter::Meter;
use crate::faults::Faults;
use crate::template::model::Table;

/// Names that no DynamoDB table can have, because the engine keeps a table's items in a table of its
/// own name. The expression index makes what the engine does for every stream record (looking for the
/// largest sequence number, which it keeps as text) independent of how many records there are.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS \"stack:definitions\" (
    name TEXT PRIMARY KEY,
    definition TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS \"stack:consumers\" (
    name TEXT NOT NULL,
    consumer TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (name, consumer)
) STRICT;
CREATE INDEX IF NOT EXISTS \"stack:stream_order\"
    ON _stream_records (table_name, CAST(sequence_number AS INTEGER));";

/// What of a template's table makes the table, apart from its name.
const DEFINITION: [&str; 5] = [
    "AttributeDefinitions",
    "GlobalSecondaryIndexes",
    "KeySchema",
    "LocalSecondaryIndexes",
    "StreamSpecification",
];

/// The tables of a stack. Clones are handles to the same tables.
#[derive(Clone)]
pub struct Tables(Arc<Shared>);

struct Shared {
    engine: Database,
    /// A second connection to the engine's database, for what the engine does not offer.
    own: Mutex<Connection>,
    /// The engine's requests share this, our own connection takes it alone: two SQLite connections
    /// that meet would wait in steps of milliseconds.
    turn: RwLock<()>,
    catalogue: Catalogue,
    streams: IndexMap<String, Stream>,
    /// Who has read which table's stream since the stack started.
    readers: Mutex<HashSet<(String, String)>>,
    written: watch::Sender<()>,
    faults: Faults,
    meter: Meter,
}

/// A table with a stream.
struct Stream {
    /// The table's name.
    table: String,
    arn: String,
    region: String,
}

/// Why the tables could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The path cannot be given to SQLite.
    #[error("the path of the tables is not UTF-8")]
    Path,
    /// The engine refused something.
    #[error("{context}: {reason}")]
    Engine {
        /// What was asked of it.
        context: String,
        /// Why it refused.
        reason: DynoxideError,
    },
    /// The store of the tables failed.
    #[error("the tables could not be read or written")]
    Storage(#[source] rusqlite::Error),
    /// The template has changed since the data was written.
    #[error(
        "the keys, indexes or stream of table {0} have changed in the template since its data was \
         written: delete the data directory or name another one"
    )]
    Changed(String),
    /// No table of this logical id has a stream.
    #[error("there is no table {0} with a stream")]
    NoStream(String),
    /// A sequence number that no stream gave out.
    #[error("{0} is not a sequence number")]
    SequenceNumber(String),
    /// The runtime stopped before the work was done.
    #[error("the stack is shutting down")]
    Stopped,
}

impl TableError {
    fn engine(context: impl Into<String>) -> impl FnOnce(DynoxideError) -> Self {
        let context = context.into();
        |reason| Self::Engine { context, reason }
    }
}

impl Tables {
    /// Opens the tables of a template, in the given file or in memory, and creates those that are
    /// missing.
    pub fn open(path: Option<&Path>, tables: &[Table], faults: Faults) -> Result<Self, TableError> {
        let location = match path {
            Some(path) => path.to_str().ok_or(TableError::Path)?.to_owned(),
            None => private_memory(),
        };
        let engine = Database::new(&location).map_err(TableError::engine("opening the tables"))?;
        let own = Connection::open(&location).map_err(TableError::Storage)?;
        if path.is_some() {
            own.pragma_update(None, "synchronous", "FULL").map_err(TableError::Storage)?;
        }
        own.execute_batch(SCHEMA).map_err(TableError::Storage)?;
        let mut streams = IndexMap::new();
        for table in tables {
            create_if_missing(&engine, &own, table)?;
            if let Some(stream) = Stream::of(&engine, table)? {
                streams.insert(table.id.clone(), stream);
            }
        }
        Ok(Self(Arc::new(Shared {
            engine,
            own: Mutex::new(own),
            turn: RwLock::new(()),
            catalogue: Catalogue::new(tables),
            streams,
            readers: Mutex::default(),
            written: watch::Sender::new(()),
            faults,
            meter: Meter::default(),
        })))
    }

    /// Deletes items whose time to live has passed, which their streams report as the service's doing,
    /// and stream records that are a day old and that nobody waits for. Blocks.
    pub fn sweep_expired(&self) -> Result<usize, TableError> {
        let deleted = self.0.engine.sweep_ttl().map_err(TableError::engine("deleting expired items"))?;
        if deleted > 0 {
            self.0.written.send_replace(());
        }
        self.trim_streams()?;
        Ok(deleted)
    }

    /// Counts what is asked of the tables.
    pub fn meter(&self) -> &Meter {
        &self.0.meter
    }

    /// Works with the engine where blocking is allowed.
    async fn with_engine<T: Send + 'static>(
        &self, work: impl FnOnce(&Database) -> T + Send + 'static,
    ) -> Result<T, TableError> {
        let shared = Arc::clone(&self.0);
        let work = move || {
            let _turn = shared.turn.read().unwrap_or_else(PoisonError::into_inner);
            work(&shared.engine)
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| TableError::Stopped)
    }
}

impl Shared {
    /// Works with our own connection while the engine's is idle.
    fn with_own<T>(
        &self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, TableError> {
        // A panic drops its transaction, which rolls back: there is nothing that could be poisoned.
        let _turn = self.turn.write().unwrap_or_else(PoisonError::into_inner);
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut own).map_err(TableError::Storage)
    }
}

/// A database in memory that two connections of this process can open. Unlike SQLite's shared cache,
/// this VFS knows locks that can be waited for. <https://sqlite.org/src/file/src/memdb.c>
fn private_memory() -> String {
    static OPENED: AtomicU64 = AtomicU64::new(0);
    format!("file:/tables-{}?vfs=memdb", OPENED.fetch_add(1, Ordering::Relaxed))
}

fn create_if_missing(engine: &Database, own: &Connection, table: &Table) -> Result<(), TableError> {
    let mut definition: Map<String, Value> = DEFINITION
        .into_iter()
        .filter_map(|property| Some((property.to_owned(), table.create.get(property)?.clone())))
        .collect();
    if let Some(stream) = definition.get_mut("StreamSpecification") {
        // CloudFormation turns a stream on by naming its view.
        stream["StreamEnabled"] = json!(true);
    }
    let written: Option<String> = own
        .query_row("SELECT definition FROM \"stack:definitions\" WHERE name = ?1", [&table.name], |row| {
            row.get(0)
        })
        .optional()
        .map_err(TableError::Storage)?;
    let definition = Value::Object(definition);
    if let Some(written) = written {
        let same = serde_json::from_str::<Value>(&written).is_ok_and(|w| w == definition);
        return if same { Ok(()) } else { Err(TableError::Changed(table.name.clone())) };
    }
    let mut create = definition.clone();
    create["TableName"] = json!(table.name);
    create["BillingMode"] = json!("PAY_PER_REQUEST");
    let context = || TableError::engine(format!("creating table {}", table.name));
    let request = serde_json::from_value(create)
        .map_err(|e| context()(DynoxideError::ValidationException(e.to_string())))?;
    // A crash between this and the last step leaves a table without a definition: it holds nothing yet.
    match engine.create_table(request) {
        Ok(_) | Err(DynoxideError::ResourceInUseException(_)) => {}
        Err(reason) => return Err(context()(reason)),
    }
    if let Some(attribute) = &table.ttl_attribute {
        let request = serde_json::from_value(json!({
            "TableName": table.name,
            "TimeToLiveSpecification": { "AttributeName": attribute, "Enabled": true },
        }))
        .map_err(|e| context()(DynoxideError::ValidationException(e.to_string())))?;
        engine.update_time_to_live(request).map_err(context())?;
    }
    own.execute(
        "INSERT INTO \"stack:definitions\" (name, definition) VALUES (?1, ?2)",
        params![table.name, definition.to_string()],
    )
    .map_err(TableError::Storage)?;
    Ok(())
}

impl Stream {
    fn of(engine: &Database, table: &Table) -> Result<Option<Self>, TableError> {
        let metadata = engine
            .get_table_metadata(&table.name)
            .map_err(TableError::engine(format!("reading table {}", table.name)))?;
        Ok(metadata.and_then(|m| m.stream_label).map(|label| Self {
            table: table.name.clone(),
            arn: format!("{}/stream/{label}", table.arn),
            region: table.arn.split(':').nth(3).unwrap_or_default().to_owned(),
        }))
    }
}
