//! Which objects exist: one database beside the buckets' directories.
//!
//! A database because a write is several changes that belong together (the object, the end of its
//! multipart upload, the notifications it owes) and must survive a crash together or not at all.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use s3s::{S3Error, S3Result};

use super::Durability;
use super::attributes::Attributes;

const FILE: &str = "index.sqlite";

// Keys are blobs: S3 orders them by their UTF-8 bytes, and they may contain any character.
const SCHEMA: &str = "
    CREATE TABLE buckets (name TEXT PRIMARY KEY, created INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE objects (
        bucket TEXT NOT NULL, key BLOB NOT NULL, file TEXT NOT NULL, size INTEGER NOT NULL,
        etag TEXT NOT NULL, modified INTEGER NOT NULL, attributes TEXT NOT NULL,
        PRIMARY KEY (bucket, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE uploads (
        id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key BLOB NOT NULL, initiated INTEGER NOT NULL,
        attributes TEXT NOT NULL, algorithm TEXT, composite INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE parts (
        upload TEXT NOT NULL, number INTEGER NOT NULL, file TEXT NOT NULL, size INTEGER NOT NULL,
        md5 BLOB NOT NULL, modified INTEGER NOT NULL, checksum TEXT,
        PRIMARY KEY (upload, number)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, body TEXT NOT NULL) STRICT;
    CREATE TABLE sequencer (value INTEGER NOT NULL) STRICT;
    INSERT INTO sequencer VALUES (0);
    PRAGMA user_version = 1;
";

/// An object as the index knows it.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub key: String,
    pub file: String,
    pub size: u64,
    /// Without the quotes.
    pub etag: String,
    /// In epoch milliseconds.
    pub modified: i64,
    pub attributes: Attributes,
}

pub(super) struct Index(Arc<Mutex<Connection>>);

impl Index {
    /// Opens or creates the index of a directory; `true` if it is new.
    pub fn open(root: &Path, durability: Durability, buckets: &[String]) -> io::Result<(Self, bool)> {
        let open = || -> rusqlite::Result<(Connection, bool)> {
            let mut connection = Connection::open(root.join(FILE))?;
            // Exclusive, because another process would sweep away the uploads of this one.
            connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            let synchronous = if durability == Durability::Synced { "FULL" } else { "OFF" };
            connection.pragma_update(None, "synchronous", synchronous)?;
            let transaction = connection.transaction()?;
            let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
            if version == 0 {
                transaction.execute_batch(SCHEMA)?;
            }
            for bucket in buckets {
                transaction.execute(
                    "INSERT INTO buckets VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                    params![bucket, Timestamp::now().as_millisecond()],
                )?;
            }
            transaction.commit()?;
            Ok((connection, version == 0))
        };
        let (connection, new) =
            open().map_err(|error| io::Error::other(format!("{}: {error}", root.join(FILE).display())))?;
        Ok((Self(Arc::new(Mutex::new(connection))), new))
    }

    /// Does something with the database, on a thread that may wait for the disk.
    ///
    /// It is done to the end even if nobody waits for the answer any more.
    pub async fn run<T: Send + 'static>(
        &self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> S3Result<T> {
        let connection = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || {
            // A panic in here has rolled its transaction back: the connection is good.
            work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await
        .map_err(S3Error::internal_error)?
        .map_err(S3Error::internal_error)
    }
}

pub(super) fn buckets(connection: &Connection) -> rusqlite::Result<Vec<(String, i64)>> {
    let mut statement = connection.prepare("SELECT name, created FROM buckets")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Every file of a bucket that means something.
pub(super) fn files(connection: &Connection, bucket: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(
        "SELECT file FROM objects WHERE bucket = ?1
         UNION SELECT file FROM parts JOIN uploads ON uploads.id = parts.upload WHERE bucket = ?1",
    )?;
    statement.query_map([bucket], |row| row.get(0))?.collect()
}

pub(super) const OBJECT_COLUMNS: &str = "key, file, size, etag, modified, attributes";

/// Reads the [`OBJECT_COLUMNS`].
pub(super) fn object(row: &Row<'_>) -> rusqlite::Result<Object> {
    Ok(Object {
        key: text(row.get(0)?),
        file: row.get(1)?,
        size: row.get(2)?,
        etag: row.get(3)?,
        modified: row.get(4)?,
        attributes: json(5, &row.get::<_, String>(5)?)?,
    })
}

pub(super) fn get(connection: &Connection, bucket: &str, key: &str) -> rusqlite::Result<Option<Object>> {
    let sql = format!("SELECT {OBJECT_COLUMNS} FROM objects WHERE bucket = ?1 AND key = ?2");
    connection.prepare_cached(&sql)?.query_row(params![bucket, key.as_bytes()], object).optional()
}

/// Makes an object the one under its key.
pub(super) fn put(transaction: &Transaction<'_>, bucket: &str, object: &Object) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO objects VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![
            bucket,
            object.key.as_bytes(),
            object.file,
            object.size,
            object.etag,
            object.modified,
            to_json(&object.attributes)?,
        ])?;
    Ok(())
}

pub(super) fn delete(transaction: &Transaction<'_>, bucket: &str, key: &str) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("DELETE FROM objects WHERE bucket = ?1 AND key = ?2")?
        .execute(params![bucket, key.as_bytes()])?;
    Ok(())
}

/// Removes what was stored before a time (epoch milliseconds); returns the files.
pub(super) fn expire(connection: &Connection, bucket: &str, before: i64) -> rusqlite::Result<Vec<String>> {
    let mut statement =
        connection.prepare("DELETE FROM objects WHERE bucket = ?1 AND modified <= ?2 RETURNING file")?;
    statement.query_map(params![bucket, before], |row| row.get(0))?.collect()
}

/// Owes a notification to a queue; it is sent once the transaction is committed.
pub(super) fn enqueue(transaction: &Transaction<'_>, queue: &str, body: &str) -> rusqlite::Result<i64> {
    transaction.execute("INSERT INTO outbox (queue, body) VALUES (?1, ?2)", [queue, body])?;
    Ok(transaction.last_insert_rowid())
}

/// The notifications that are owed: id, queue and body.
pub(super) fn owed(connection: &Connection) -> rusqlite::Result<Vec<(i64, String, String)>> {
    let mut statement = connection.prepare_cached("SELECT id, queue, body FROM outbox ORDER BY id")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

pub(super) fn delivered(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM outbox WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// The next number in the order of all writes; close to the time, and never less than before.
pub(super) fn next_sequencer(transaction: &Transaction<'_>, millis: i64) -> rusqlite::Result<i64> {
    transaction
        .prepare_cached("UPDATE sequencer SET value = max(value + 1, ?1) RETURNING value")?
        .query_row([millis.saturating_mul(1000)], |row| row.get(0))
}

/// A key from its bytes, which were a string when they were stored.
pub(super) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

pub(super) fn json<T: serde::de::DeserializeOwned>(column: usize, text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(e)))
}

pub(super) fn to_json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
}
