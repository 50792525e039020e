//! Multipart uploads in the index, until they become objects or are aborted.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use s3s::{S3Error, s3_error};

use super::attributes::Attributes;
use super::checksum::{Algorithm, Checksum};
use super::index::{json, text, to_json};

/// An upload in progress.
pub(super) struct Upload {
    pub id: String,
    pub key: String,
    /// In epoch milliseconds.
    pub initiated: i64,
    pub attributes: Attributes,
    /// The checksum that it was created with; `None` if none was asked for.
    pub algorithm: Option<Algorithm>,
    /// Its checksum is made of those of the parts.
    pub composite: bool,
}

/// One part of it.
pub(super) struct Part {
    pub number: i32,
    pub file: String,
    pub size: u64,
    pub md5: Vec<u8>,
    /// In epoch milliseconds.
    pub modified: i64,
    pub checksum: Option<Checksum>,
}

pub(super) fn no_such_upload() -> S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may \
         have been aborted or completed."
    )
}

pub(super) fn create(connection: &Connection, bucket: &str, upload: &Upload) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO uploads VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            upload.id,
            bucket,
            upload.key.as_bytes(),
            upload.initiated,
            to_json(&upload.attributes)?,
            upload.algorithm.as_ref().map(to_json).transpose()?,
            upload.composite,
        ],
    )?;
    Ok(())
}

const UPLOAD_COLUMNS: &str = "id, key, initiated, attributes, algorithm, composite";

fn upload(row: &Row<'_>) -> rusqlite::Result<Upload> {
    Ok(Upload {
        id: row.get(0)?,
        key: text(row.get(1)?),
        initiated: row.get(2)?,
        attributes: json(3, &row.get::<_, String>(3)?)?,
        algorithm: row.get::<_, Option<String>>(4)?.map(|text| json(4, &text)).transpose()?,
        composite: row.get(5)?,
    })
}

pub(super) fn find(
    connection: &Connection, bucket: &str, key: &str, id: &str,
) -> rusqlite::Result<Option<Upload>> {
    let sql = format!("SELECT {UPLOAD_COLUMNS} FROM uploads WHERE id = ?1 AND bucket = ?2 AND key = ?3");
    connection.query_row(&sql, params![id, bucket, key.as_bytes()], upload).optional()
}

/// The uploads of a bucket whose keys begin with a prefix, after a key and, of that key, an id.
pub(super) fn list(
    connection: &Connection, bucket: &str, prefix: &str, after: (&str, &str), limit: usize,
) -> rusqlite::Result<Vec<Upload>> {
    let sql = format!(
        "SELECT {UPLOAD_COLUMNS} FROM uploads
         WHERE bucket = ?1 AND substr(key, 1, ?2) = ?3 AND (key, id) > (?4, ?5)
         ORDER BY key, id LIMIT ?6"
    );
    let parameters = params![bucket, prefix.len(), prefix.as_bytes(), after.0.as_bytes(), after.1, limit];
    connection.prepare(&sql)?.query_map(parameters, upload)?.collect()
}

/// Adds a part, replacing one of the same number: the files that are no longer needed, or `None` if
/// there is no such upload any more.
pub(super) fn put_part(
    transaction: &Transaction<'_>, bucket: &str, key: &str, id: &str, part: &Part,
) -> rusqlite::Result<Option<Vec<String>>> {
    if find(transaction, bucket, key, id)?.is_none() {
        return Ok(None);
    }
    let replaced: Option<String> = transaction
        .query_row(
            "SELECT file FROM parts WHERE upload = ?1 AND number = ?2",
            params![id, part.number],
            |row| row.get(0),
        )
        .optional()?;
    transaction.execute(
        "INSERT OR REPLACE INTO parts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            id,
            part.number,
            part.file,
            part.size,
            part.md5,
            part.modified,
            part.checksum.as_ref().map(to_json).transpose()?,
        ],
    )?;
    Ok(Some(replaced.into_iter().collect()))
}

/// The parts of an upload after a number.
pub(super) fn parts(
    connection: &Connection, id: &str, after: i32, limit: usize,
) -> rusqlite::Result<Vec<Part>> {
    let mut statement = connection.prepare(
        "SELECT number, file, size, md5, modified, checksum FROM parts
         WHERE upload = ?1 AND number > ?2 ORDER BY number LIMIT ?3",
    )?;
    let part = |row: &Row<'_>| {
        Ok(Part {
            number: row.get(0)?,
            file: row.get(1)?,
            size: row.get(2)?,
            md5: row.get(3)?,
            modified: row.get(4)?,
            checksum: row.get::<_, Option<String>>(5)?.map(|text| json(5, &text)).transpose()?,
        })
    };
    statement.query_map(params![id, after, limit], part)?.collect()
}

/// Ends an upload: the files of its parts, or `None` if there is no such upload.
pub(super) fn remove(
    transaction: &Transaction<'_>, bucket: &str, key: &str, id: &str,
) -> rusqlite::Result<Option<Vec<String>>> {
    let removed = transaction.execute(
        "DELETE FROM uploads WHERE id = ?1 AND bucket = ?2 AND key = ?3",
        params![id, bucket, key.as_bytes()],
    )?;
    if removed == 0 {
        return Ok(None);
    }
    let mut statement = transaction.prepare("DELETE FROM parts WHERE upload = ?1 RETURNING file")?;
    statement.query_map([id], |row| row.get(0))?.collect::<rusqlite::Result<_>>().map(Some)
}

pub(super) fn now() -> i64 {
    Timestamp::now().as_millisecond()
}
