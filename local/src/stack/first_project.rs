//! A fresh stack has a project and a key, made by the function that makes them on AWS.

use std::path::Path;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Failure;
use super::ready::write_private;
use crate::lambda::Functions;

#[derive(Serialize, Deserialize)]
struct FirstProject {
    project: String,
    key: String,
}

/// The first project and its key. The key is remembered beside the data, because the table has only its
/// hash.
pub async fn find_or_create(directory: &Path, functions: &Functions) -> Result<(String, String), Failure> {
    let file = directory.join("first-project.json");
    if let Ok(text) = std::fs::read(&file) {
        let FirstProject { project, key } = serde_json::from_slice(&text)?;
        return Ok((project, key));
    }
    let event = Bytes::from_static(br#"{"name":"First project"}"#);
    let answer = functions.invoke("CreateProject", event).await;
    let answer =
        answer.map_err(|error| format!("the first project was not created: {}", error.document()))?;
    let first: FirstProject = serde_json::from_slice(&answer)?;
    write_private(&file, &serde_json::to_vec(&first)?)?;
    Ok((first.project, first.key))
}
