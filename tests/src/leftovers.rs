//! What must hold when a test is over: every image is ready, failed, trashed or gone, every object belongs
//! to an image and lies where that is to be seen, everything that waits is on the list of what falls due, no
//! queue holds anything that nobody has explained, and what is counted is what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serde_json::Value;

use crate::{PATIENCE, PAUSE, Ready, Root};

/// What a test says it leaves on purpose.
#[derive(Debug, Default)]
pub struct Explained {
    /// Messages in queues that nobody works off.
    pub dead_letters: usize,
    /// Images whose bytes never come.
    pub pending: BTreeSet<String>,
    /// Images whose upload stays in the bucket.
    pub uploads: BTreeSet<String>,
}

/// What a stack is left with when it has come to rest, or when patience is over.
pub fn of(ready: &Ready, explained: Explained) -> Vec<String> {
    let ready = ready.clone();
    // The runtime of the test may be the thread that drops the stack.
    let looked = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let root = Root::new(&ready);
            let begun = Instant::now();
            loop {
                let left = look(&root, &explained).await;
                if left.is_empty() || begun.elapsed() > PATIENCE {
                    return left;
                }
                tokio::time::sleep(PAUSE).await;
            }
        })
    });
    looked.join().unwrap_or_else(|_| vec!["a stack that does not answer".to_owned()])
}

async fn look(root: &Root, explained: &Explained) -> Vec<String> {
    let mut left = queues(root, explained).await;
    // Rows first: what is written while the buckets are listed belongs to a row that is known.
    let rows = root.rows().await;
    let images: BTreeMap<String, &Value> =
        rows.iter().filter(|row| row["type"] == "image").map(|row| (id(row, "id"), row)).collect();
    for (image, row) in &images {
        let settled = match row["state"].as_str() {
            Some("ready" | "failed" | "trashed") => true,
            Some("pending") => explained.pending.contains(image),
            _ => false,
        };
        if !settled {
            left.push(format!("the image {image}, which is {}", row["state"]));
        }
    }
    left.extend(due(&rows, &images));
    left.extend(counts(&rows, &images));
    let originals: BTreeSet<String> =
        rows.iter().filter(|row| row["type"] == "original").map(|row| id(row, "key")).collect();
    for key in root.unfinished_uploads().await {
        let owner = key.split('/').find(|part| part.starts_with("img_")).unwrap_or_default();
        if !explained.pending.contains(owner) {
            left.push(format!("parts of {key}"));
        }
    }
    for bucket in ["UploadsBucket", "OriginalsBucket", "VariantsBucket"] {
        for key in root.objects(bucket).await {
            let owner = key.split('/').find(|part| part.starts_with("img_")).unwrap_or_default();
            let explained = match bucket {
                "UploadsBucket" => explained.uploads.contains(owner),
                // It may have come with an image that is gone, if others have the same bytes.
                "OriginalsBucket" => originals.contains(&key),
                _ => images.get(owner).is_some_and(|row| {
                    let hidden = row["state"] == "trashed";
                    let folder = if hidden { Some("private") } else { row["visibility"].as_str() };
                    row["moving"] != true && key.split('/').next() == folder
                }),
            };
            if !explained {
                left.push(format!("{key} in {bucket}"));
            }
        }
    }
    left
}

async fn queues(root: &Root, explained: &Explained) -> Vec<String> {
    let mut left = vec![];
    let mut dead = vec![];
    for (queue, count) in root.queues().await {
        let count: u64 =
            ["visible", "in_flight", "delayed"].iter().filter_map(|name| count[name].as_u64()).sum();
        if count == 0 {
            continue;
        }
        let found = format!("{count} messages in {queue}: {:?}", root.messages(&queue).await);
        if queue == "UploadsQueue" {
            left.push(found);
        } else {
            dead.push((count, found));
        }
    }
    let count: u64 = dead.iter().map(|(count, _)| count).sum();
    if usize::try_from(count) != Ok(explained.dead_letters) {
        left.push(format!("{count} dead letters where {} are explained", explained.dead_letters));
        left.extend(dead.into_iter().map(|(_, found)| found));
    }
    left
}

/// The images that wait and the entries that say so, where one is without the other.
fn due(rows: &[Value], images: &BTreeMap<String, &Value>) -> Vec<String> {
    let waiting: BTreeSet<(String, String)> = images
        .iter()
        .filter(|(_, row)| row["due"].is_object())
        .map(|(image, row)| (image.clone(), row["due"].to_string()))
        .collect();
    let listed: BTreeSet<(String, String)> = rows
        .iter()
        .filter(|row| row["type"] == "due")
        .map(|row| (id(row, "image"), row["due"].to_string()))
        .collect();
    let one_sided = waiting.symmetric_difference(&listed);
    one_sided.map(|(image, due)| format!("a half of what makes {image} fall due: {due}")).collect()
}

/// What the table counts and does not find.
fn counts(rows: &[Value], images: &BTreeMap<String, &Value>) -> Vec<String> {
    let of_type = |kind: &'static str| rows.iter().filter(move |row| row["type"] == kind);
    let mut left = vec![];
    let mut compare = |what: String, counted: i64, found: i64| {
        if counted != found {
            left.push(format!("{what}: {counted} by count, {found} found"));
        }
    };
    let number = |value: &Value| value.as_i64().unwrap_or_default();
    for original in of_type("original") {
        let key = original["key"].to_string();
        let refers = |row: &&&Value| row.to_string().contains(&key);
        let referring = images.values().filter(refers).count();
        compare(
            format!("references to {key}"),
            number(&original["references"]),
            i64::try_from(referring).unwrap_or(-1),
        );
    }
    for quota in of_type("quota") {
        let project = id(quota, "PK").replace("P#", "");
        let ours = || images.values().filter(|row| row["project"] == *project);
        let stored = of_type("original").filter(|row| id(row, "PK").contains(&project));
        compare(
            format!("bytes of {project}"),
            number(&quota["stored"]),
            stored.map(|row| number(&row["bytes"])).sum(),
        );
        compare(
            format!("images of {project}"),
            number(&quota["images"]),
            i64::try_from(ours().count()).unwrap_or(-1),
        );
        let reserved = ours().map(|row| {
            let pending = matches!(row["state"].as_str(), Some("pending" | "processing"));
            let first = if pending { number(&row["declared"]["bytes"]) } else { 0 };
            first + number(&row["replacement"]["declared"]["bytes"])
        });
        compare(format!("bytes reserved in {project}"), number(&quota["reserved"]), reserved.sum());
    }
    for tag in of_type("tag-count") {
        let (partition, sort) = (id(tag, "PK"), id(tag, "SK"));
        let tagged =
            of_type("tag").filter(|row| id(row, "SK") == sort && id(row, "PK").starts_with(&partition));
        compare(
            format!("images with {sort}"),
            number(&tag["images"]),
            i64::try_from(tagged.count()).unwrap_or(-1),
        );
    }
    left
}

fn id(row: &Value, name: &str) -> String {
    row[name].as_str().unwrap_or_default().to_owned()
}
