//! What goes over the wire to DynamoDB, and what is made of its answers.

mod identity;
mod lists;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region, retry::RetryConfig};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use serde_json::{Value, json};
use ulid::Ulid;

use super::*;
use crate::domain::details::Details;
use crate::domain::error::{CommitError, FindImageError};
use crate::domain::idempotency::Attempt;
use crate::domain::image::{
    Capture, Change, Declared, Due, DueKind, Failure, Image, Location, NewImage, Original, Picture, State,
    Swatch,
};
use crate::domain::quota::Limits;
use crate::domain::{
    ApiKey, EventId, EventKind, ImageId, KeyId, KeyToken, PresetName, Project, ProjectId, Scope, Secret,
    Time, UploadId, Variant, VariantFormat, Visibility,
};

/// DynamoDB's end of the wire: keeps what was sent and answers what it was told to.
#[derive(Debug, Clone, Default)]
struct Wire {
    sent: Arc<Mutex<Vec<(String, Value)>>>,
    answers: Arc<Mutex<VecDeque<(u16, Value)>>>,
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap();
        let operation = target.rsplit('.').next().unwrap().to_owned();
        let body = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        self.sent.lock().unwrap().push((operation, body));
        let (status, answer) = self.answers.lock().unwrap().pop_front().unwrap_or((200, json!({})));
        let response = HttpResponse::new(status.try_into().unwrap(), answer.to_string().into());
        HttpConnectorFuture::ready(Ok(response))
    }
}

impl Wire {
    fn answering(answers: impl IntoIterator<Item = (u16, Value)>) -> Self {
        Self { answers: Arc::new(Mutex::new(answers.into_iter().collect())), ..Self::default() }
    }

    fn store(&self) -> Store {
        let connector = SharedHttpConnector::new(self.clone());
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("eu-west-1"))
            .credentials_provider(Credentials::new("AKID", "secret", None, None, "test"))
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .retry_config(RetryConfig::disabled())
            .build();
        Store::new(Client::from_conf(config), "table".into())
    }

    fn sent(&self) -> Vec<(String, Value)> {
        self.sent.lock().unwrap().clone()
    }

    /// The writes of the one transaction that was sent.
    fn transaction(&self) -> Vec<Value> {
        let sent = self.sent();
        let [(operation, body)] = sent.as_slice() else { panic!("one request: {sent:?}") };
        assert_eq!(operation, "TransactWriteItems");
        body["TransactItems"].as_array().unwrap().clone()
    }
}

fn cancelled(codes: &[&str]) -> (u16, Value) {
    let reasons: Vec<Value> = codes.iter().map(|code| json!({ "Code": code })).collect();
    let name = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    (400, json!({ "__type": name, "CancellationReasons": reasons }))
}

fn refused(name: &str) -> (u16, Value) {
    (400, json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{name}") }))
}

fn at(secs: i64) -> Time {
    Time::from_secs(1_795_237_200 + secs)
}

fn reserved() -> Change {
    let (id, upload, project) = (ImageId::new(Ulid(1)), UploadId::new(Ulid(2)), ProjectId::new(Ulid(3)));
    let declared = Declared { content_type: "image/jpeg".into(), bytes: 10 };
    let details = Details { title: Some("Harbour".parse().unwrap()), ..Details::default() };
    let new = NewImage { declared, visibility: Visibility::Private, owner: None, details };
    Image::reserve(id, upload, project, new, at(0))
}

fn attempt() -> Attempt {
    Attempt {
        project: ProjectId::new(Ulid(3)),
        key: "a".parse().unwrap(),
        caller: "key_1".into(),
        fingerprint: "ff".into(),
    }
}

fn picture() -> Picture {
    let (preset, format) = (PresetName::W160, VariantFormat::Webp);
    Picture {
        content_type: "image/jpeg".into(),
        extension: "jpg".into(),
        width: 160,
        height: 90,
        frames: 1,
        bytes: 8,
        sha256: "ab".into(),
        thumbhash: "cd".into(),
        blurhash: "LEHV6nWB2yk8".into(),
        dominant_color: "#00ff00".into(),
        palette: vec![Swatch { color: "#00ff00".into(), permille: 1000 }],
        perceptual_hash: "00000000000000ff".into(),
        opaque: true,
        reencoded: false,
        notes: vec!["profile-ignored".into()],
        original: Some(original(ORIGINAL)),
        capture: Capture {
            taken_at: Some("2026-11-20T10:00:00".into()),
            location: Some(Location { latitude: 48.5, longitude: -3.25, altitude: None }),
            ..Capture::default()
        },
        variants: vec![Variant { preset, format, width: 160, height: 90, bytes: 4 }],
    }
}

fn original(key: &str) -> Original {
    Original { sha256: "ab".into(), key: key.into(), bytes: 8 }
}

fn event() -> EventId {
    EventId::new(Ulid(4))
}

async fn commit(wire: &Wire, before: Option<&Image>, change: &Change) -> Result<(), CommitError> {
    wire.store().commit_image(before, change, event()).await
}

const IMAGE: &str = "img_00000000000000000000000001";
const UPLOAD: &str = "upl_00000000000000000000000002";
const PROJECT: &str = "prj_00000000000000000000000003";
const ORIGINAL: &str =
    "prj_00000000000000000000000003/img_00000000000000000000000001/upl_00000000000000000000000002.jpg";
const EVENT: &str = "evt_00000000000000000000000004";

/// Items outlive the functions that wrote them: whoever changes this text has to read the old form too.
#[tokio::test]
async fn a_reservation_is_an_image_its_due_entry_and_its_event() {
    let wire = Wire::default();
    commit(&wire, None, &reserved()).await.unwrap();
    let now = json!({ "S": "2026-11-21T05:00:00.000Z" });
    let due = json!({ "M": { "at": { "S": "2026-11-21T07:00:00.000Z" }, "kind": { "S": "upload" } } });
    let image = json!({
        "PK": { "S": format!("P#{PROJECT}#I#{IMAGE}") },
        "SK": { "S": "IMAGE" },
        "GSI1PK": { "S": format!("P#{PROJECT}#IMAGE") },
        "GSI1SK": { "S": IMAGE },
        "GSI2PK": { "S": format!("P#{PROJECT}#STATE#pending") },
        "GSI2SK": { "S": IMAGE },
        "type": { "S": "image" },
        "schema": { "N": "1" },
        "id": { "S": IMAGE },
        "project": { "S": PROJECT },
        "upload": { "S": UPLOAD },
        "declared": { "M": { "content_type": { "S": "image/jpeg" }, "bytes": { "N": "10" } } },
        "visibility": { "S": "private" },
        "title": { "S": "Harbour" },
        "created_at": now,
        "updated_at": now,
        "version": { "N": "1" },
        "revision": { "N": "0" },
        "due": due,
        "state": { "S": "pending" },
        "summary": { "M": {
            "id": { "S": IMAGE },
            "upload": { "S": UPLOAD },
            "state": { "S": "pending" },
            "visibility": { "S": "private" },
            "title": { "S": "Harbour" },
            "created_at": now,
        } },
    });
    let entry = json!({
        "PK": { "S": "DUE#2026-11-21#1" },
        "SK": { "S": format!("2026-11-21T07:00:00.000Z#UPLOAD#{PROJECT}#{IMAGE}") },
        "type": { "S": "due" },
        "schema": { "N": "1" },
        "project": { "S": PROJECT },
        "image": { "S": IMAGE },
        "due": due,
    });
    let created = json!({
        "PK": { "S": format!("P#{PROJECT}#EVENT#2026-11-21") },
        "SK": { "S": EVENT },
        "GSI2PK": { "S": format!("P#{PROJECT}#SUBJECT#{IMAGE}") },
        "GSI2SK": { "S": "00000000000000000001" },
        "type": { "S": "event" },
        "schema": { "N": "1" },
        "id": { "S": EVENT },
        "event": { "S": "image.created" },
        "project": { "S": PROJECT },
        "subject": { "S": IMAGE },
        "sequence": { "N": "1" },
        "time": now,
        "upload": { "S": UPLOAD },
    });
    let put = |item: Value| json!({ "Put": { "TableName": "table", "Item": item } });
    let mut first = put(image);
    first["Put"]["ConditionExpression"] = json!("attribute_not_exists(PK)");
    first["Put"]["ReturnValuesOnConditionCheckFailure"] = json!("ALL_OLD");
    let writes = wire.transaction();
    assert_eq!((&writes[..2], &writes[3..]), (&[first, put(entry)][..], &[put(created)][..]));
    let quota = &writes[2]["Update"];
    assert_eq!(quota["Key"], json!({ "PK": { "S": format!("P#{PROJECT}") }, "SK": { "S": "STORED" } }));
    let values = &quota["ExpressionAttributeValues"];
    assert_eq!((&values[":reserved"], &values[":images"]), (&json!({ "N": "10" }), &json!({ "N": "1" })));
    assert_eq!(quota["ConditionExpression"], Value::Null, "no limit was given");
}

#[tokio::test]
async fn what_each_state_adds_has_a_name_that_stays() {
    let (image, wire) = (reserved().image, Wire::default());
    let failure = Failure { code: "too-large".into(), detail: "Too large.".into(), retryable: true };
    let trashed = image.trash(std::time::Duration::ZERO, at(9)).unwrap().unwrap();
    for change in [image.become_ready(picture(), at(9)), image.fail(failure, at(9)), trashed] {
        commit(&wire, Some(&image), &change).await.unwrap();
    }
    let sent = wire.sent();
    let item = |index: usize| &sent[index].1["TransactItems"][0]["Put"]["Item"];
    let number = |value: &str| json!({ "N": value });
    let variant = json!({ "M": {
        "preset": { "S": "w160" },
        "format": { "S": "webp" },
        "width": number("160"),
        "height": number("90"),
        "bytes": number("4"),
    } });
    let picture = json!({ "M": {
        "content_type": { "S": "image/jpeg" },
        "extension": { "S": "jpg" },
        "width": number("160"),
        "height": number("90"),
        "frames": number("1"),
        "bytes": number("8"),
        "sha256": { "S": "ab" },
        "thumbhash": { "S": "cd" },
        "blurhash": { "S": "LEHV6nWB2yk8" },
        "dominant_color": { "S": "#00ff00" },
        "palette": { "L": [{ "M": { "color": { "S": "#00ff00" }, "permille": number("1000") } }] },
        "perceptual_hash": { "S": "00000000000000ff" },
        "opaque": { "BOOL": true },
        "reencoded": { "BOOL": false },
        "notes": { "L": [{ "S": "profile-ignored" }] },
        "taken_at": { "S": "2026-11-20T10:00:00" },
        "location": { "M": { "latitude": number("48.5"), "longitude": number("-3.25") } },
        "original": { "M": {
            "sha256": { "S": "ab" },
            "key": { "S": ORIGINAL },
            "bytes": number("8"),
        } },
        "variants": { "L": [variant] },
    } });
    assert_eq!((&item(0)["state"], &item(0)["picture"]), (&json!({ "S": "ready" }), &picture));
    let failure = json!({ "M": {
        "code": { "S": "too-large" },
        "detail": { "S": "Too large." },
        "retryable": { "BOOL": true },
    } });
    assert_eq!((&item(1)["state"], &item(1)["failure"]), (&json!({ "S": "failed" }), &failure));
    assert_eq!(item(2)["state"], json!({ "S": "trashed" }));
    assert_eq!(item(2)["trashed_at"], json!({ "S": "2026-11-21T05:00:09.000Z" }));
}

#[tokio::test]
async fn a_project_is_written_with_its_first_key_or_not_at_all() {
    let wire = Wire::default();
    let signing_keys = vec![Secret::new([0; 32])];
    let project = Project::new(ProjectId::new(Ulid(3)), "Harbour".into(), signing_keys, at(0));
    let token = KeyToken { id: KeyId::new(Ulid(5)), secret: Secret::new([7; 32]) };
    let key = ApiKey::new(&token, project.id, vec![Scope::ReadImages, Scope::Admin], at(0));
    wire.store().create_project(&project, &key, None).await.unwrap();
    let now = json!({ "S": "2026-11-21T05:00:00.000Z" });
    let key = "key_00000000000000000000000005";
    let items = [
        json!({
            "PK": { "S": format!("P#{PROJECT}") },
            "SK": { "S": "PROJECT" },
            "GSI1PK": { "S": "PROJECTS" },
            "GSI1SK": { "S": PROJECT },
            "type": { "S": "project" },
            "schema": { "N": "1" },
            "id": { "S": PROJECT },
            "name": { "S": "Harbour" },
            "signing_keys": { "L": [{ "S": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }] },
            "settings": { "M": { "keep_location": { "BOOL": false }, "keep_copyright": { "BOOL": false } } },
            "limits": { "M": { "bytes": { "N": "107374182400" }, "images": { "N": "1000000" } } },
            "version": { "N": "1" },
            "created_at": now,
            "summary": { "M": {
                "id": { "S": PROJECT },
                "name": { "S": "Harbour" },
                "limits": { "M": { "bytes": { "N": "107374182400" }, "images": { "N": "1000000" } } },
                "created_at": now,
            } },
        }),
        json!({
            "PK": { "S": format!("K#{key}") },
            "SK": { "S": "KEY" },
            "GSI1PK": { "S": format!("P#{PROJECT}#KEY") },
            "GSI1SK": { "S": key },
            "type": { "S": "key" },
            "schema": { "N": "1" },
            "id": { "S": key },
            "project": { "S": PROJECT },
            "scopes": { "L": [{ "S": "images:read" }, { "S": "admin" }] },
            "secret_hash": { "S": token.hash() },
            "created_at": now,
            "version": { "N": "1" },
            "summary": { "M": {
                "id": { "S": key },
                "scopes": { "L": [{ "S": "images:read" }, { "S": "admin" }] },
                "created_at": now,
            } },
        }),
    ];
    let puts = items.map(|item| {
        json!({ "Put": {
            "TableName": "table",
            "Item": item,
            "ConditionExpression": "attribute_not_exists(PK)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        } })
    });
    assert_eq!(wire.transaction(), puts);
}

#[tokio::test]
async fn a_change_is_written_only_over_the_image_it_was_decided_on_and_moves_the_due_entry() {
    let before = Image { version: 3, revision: 8, ..reserved().image };
    let wire = Wire::default();
    let trashed = before.trash(std::time::Duration::from_hours(24), at(9)).unwrap().unwrap();
    commit(&wire, Some(&before), &trashed).await.unwrap();
    let writes = wire.transaction();
    let put = &writes[0]["Put"];
    assert_eq!(put["ConditionExpression"], "version = :version AND revision = :revision");
    assert_eq!(
        put["ExpressionAttributeValues"],
        json!({ ":version": { "N": "3" }, ":revision": { "N": "8" } })
    );
    let old = format!("2026-11-21T07:00:00.000Z#UPLOAD#{PROJECT}#{IMAGE}");
    assert_eq!(writes[1]["Delete"]["Key"]["SK"], json!({ "S": old }));
    let new = format!("2026-11-22T05:00:09.000Z#PURGE#{PROJECT}#{IMAGE}");
    assert_eq!(writes[2]["Put"]["Item"]["SK"], json!({ "S": new }));
    assert_eq!(writes[4]["Put"]["Item"]["event"], json!({ "S": "image.trashed" }));
    assert_eq!(writes[4]["Put"]["Item"]["sequence"], json!({ "N": "12" }));
    // An upload that is given up takes nothing up any more.
    assert_eq!(writes[3]["Update"]["ExpressionAttributeValues"][":reserved"], json!({ "N": "-10" }));
    assert_eq!(writes.len(), 5);
}

#[tokio::test]
async fn a_change_without_event_and_due_entry_costs_one_plain_write() {
    let before = reserved().image;
    let image = Image { revision: 1, ..before.clone() };
    let change = Change { image, event: None, within: None, once: None, spends: None };
    let wire = Wire::default();
    commit(&wire, Some(&before), &change).await.unwrap();
    let sent = wire.sent();
    assert_eq!(sent[0].0, "PutItem");
    assert_eq!(sent[0].1["ConditionExpression"], "version = :version AND revision = :revision");

    let lost = Wire::answering([refused("ConditionalCheckFailedException")]);
    assert!(matches!(commit(&lost, Some(&before), &change).await, Err(CommitError::Conflict)));
}

#[tokio::test]
async fn a_race_that_was_lost_is_told_from_an_outage() {
    for (answer, conflict, throttled) in [
        (cancelled(&["ConditionalCheckFailed", "None", "None"]), true, false),
        (cancelled(&["ThrottlingError", "None", "None"]), false, true),
        (cancelled(&["None", "ProvisionedThroughputExceeded", "None"]), false, true),
        (cancelled(&["None", "ValidationError", "None"]), false, false),
        (refused("ProvisionedThroughputExceededException"), false, true),
        (refused("ThrottlingException"), false, true),
        (refused("ResourceNotFoundException"), false, false),
        ((500, json!({ "__type": "InternalServerError" })), false, false),
    ] {
        let text = answer.1.to_string();
        match commit(&Wire::answering([answer]), None, &reserved()).await.unwrap_err() {
            CommitError::Conflict => assert!(conflict, "{text}"),
            CommitError::Unavailable(error) => {
                assert!(!conflict, "{text}");
                assert_eq!(error.throttled, throttled, "{text}");
            }
            other @ (CommitError::Repeated(_)
            | CommitError::QuotaExceeded
            | CommitError::TokenSpent
            | CommitError::OriginalMoved) => {
                panic!("{other:?}: {text}")
            }
        }
    }
}

#[tokio::test]
async fn an_image_is_read_strongly_and_as_it_was_written() {
    let wire = Wire::default();
    let change = reserved();
    commit(&wire, None, &change).await.unwrap();
    let mut item = wire.transaction()[0]["Put"]["Item"].clone();
    item["album"] = json!({ "M": { "id": { "S": "unknown to this version" } } });
    let wire =
        Wire::answering([(200, json!({ "Item": item })), (200, json!({})), refused("ThrottlingException")]);
    let (store, project, id) = (wire.store(), change.image.project, change.image.id);
    assert_eq!(store.find_image(project, id).await.unwrap(), change.image);
    assert_eq!(wire.sent()[0].1["ConsistentRead"], true);
    assert!(matches!(store.find_image(project, id).await, Err(FindImageError::NotFound)));
    assert!(
        matches!(store.find_image(project, id).await, Err(FindImageError::Unavailable(e)) if e.throttled)
    );
}

#[tokio::test]
async fn erasing_deletes_the_children_then_the_image_if_it_is_still_purging() {
    let image = Image { state: crate::domain::image::State::Purging { picture: None }, ..reserved().image };
    let key = |sort: &str| json!({ "PK": { "S": format!("P#{PROJECT}#I#{IMAGE}") }, "SK": { "S": sort } });
    let wire = Wire::answering([
        (200, json!({ "Items": [key("IMAGE"), key("TAG#sea")] })),
        (200, json!({})),
        (200, json!({ "Items": [key("IMAGE")] })),
    ]);
    wire.store().erase_rows(&image, event(), at(9)).await.unwrap();
    let sent = wire.sent();
    let operations: Vec<_> = sent.iter().map(|(operation, _)| operation.as_str()).collect();
    assert_eq!(operations, ["Query", "BatchWriteItem", "Query", "TransactWriteItems"]);
    assert_eq!(
        sent[1].1["RequestItems"]["table"],
        json!([{ "DeleteRequest": { "Key": key("TAG#sea") } }]),
        "the image's own row goes last"
    );
    let writes = &sent[3].1["TransactItems"];
    assert_eq!(writes[0]["Delete"]["Key"], key("IMAGE"));
    assert_eq!(writes[0]["Delete"]["ConditionExpression"], "#state = :purging");
    assert_eq!(writes[1]["Delete"]["Key"]["PK"], json!({ "S": "DUE#2026-11-21#1" }));
    assert_eq!(writes[2]["Update"]["ExpressionAttributeValues"][":images"], json!({ "N": "-1" }));
    assert_eq!(writes[3]["Put"]["Item"]["event"], json!({ "S": "image.purged" }));

    let gone = Wire::answering([(200, json!({ "Items": [] })), cancelled(&["ConditionalCheckFailed"])]);
    gone.store().erase_rows(&image, event(), at(9)).await.unwrap();
}

#[tokio::test]
async fn overdue_entries_are_looked_for_from_the_watermark_to_now() {
    let due = Due { at: at(-60), kind: DueKind::Upload };
    let entry = DueEntry { project: ProjectId::new(Ulid(3)), image: ImageId::new(Ulid(1)), due };
    let item = json!({
        "project": { "S": PROJECT },
        "image": { "S": IMAGE },
        "due": { "M": { "at": { "S": "2026-11-21T04:59:00.000Z" }, "kind": { "S": "upload" } } },
    });
    let watermark = json!({ "Item": { "done_before": { "S": "2026-11-20T23:00:00.000Z" } } });
    let wire = Wire::answering([(200, watermark), (200, json!({ "Items": [item] }))]);
    assert_eq!(wire.store().find_overdue(at(0), 500).await.unwrap(), [entry]);
    let sent = wire.sent();
    let partitions: Vec<_> = sent[1..]
        .iter()
        .map(|(_, query)| query["ExpressionAttributeValues"][":partition"]["S"].as_str().unwrap())
        .collect();
    let days = ["2026-11-20", "2026-11-21"];
    let expected: Vec<_> =
        days.iter().flat_map(|day| (0..4).map(move |shard| format!("DUE#{day}#{shard}"))).collect();
    assert_eq!(partitions, expected);
}

#[tokio::test]
async fn a_project_is_believed_for_a_minute_and_an_absent_one_not_at_all() {
    let item = json!({ "Item": {
        "id": { "S": PROJECT },
        "name": { "S": "Harbour" },
        "signing_keys": { "L": [] },
        "created_at": { "S": "2026-11-21T05:00:00.000Z" },
        "plan": { "S": "unknown to this version" },
    } });
    let wire = Wire::answering([(200, json!({})), (200, item.clone()), (200, item)]);
    let (projects, id) = (KnownProjects::new(wire.store()), ProjectId::new(Ulid(3)));
    assert_eq!(projects.find_project(id, at(0)).await.unwrap(), None);
    for (secs, asked) in [(0, 2), (59, 2), (60, 3), (119, 3)] {
        assert_eq!(projects.find_project(id, at(secs)).await.unwrap().unwrap().name, "Harbour");
        assert_eq!(wire.sent().len(), asked, "at {secs}");
    }
}

#[tokio::test]
async fn an_events_record_reads_back_as_the_stream_has_it() {
    let wire = Wire::default();
    commit(&wire, None, &reserved()).await.unwrap();
    let mut record = wire.transaction()[3]["Put"]["Item"].clone();
    record["reason"] = json!({ "S": "unknown to this version" });
    let event = decode_event(serde_json::from_value(record).unwrap()).unwrap();
    assert_eq!((event.kind, event.sequence, event.time), (EventKind::Created, 1, at(0)));
    assert_eq!((event.id, event.subject), (self::event(), ImageId::new(Ulid(1))));
}

fn limited(bytes: u64) -> Change {
    reserved().within(Limits { bytes, images: 3 })
}

#[tokio::test]
async fn a_quota_is_asked_in_the_transaction_that_uses_it_up() {
    let wire = Wire::default();
    commit(&wire, None, &limited(100)).await.unwrap();
    let quota = wire.transaction()[2]["Update"].clone();
    let values = &quota["ExpressionAttributeValues"];
    assert_eq!(
        (&values[":bytes_before"], &values[":images_before"]),
        (&json!({ "N": "90" }), &json!({ "N": "2" }))
    );
    let condition = quota["ConditionExpression"].as_str().unwrap();
    assert!(condition.starts_with("attribute_not_exists(#used) OR"), "{condition}");

    // An upload that is larger than the limit does not get in as the first one either.
    let wire = Wire::default();
    commit(&wire, None, &limited(9)).await.unwrap();
    let condition = wire.transaction()[2]["Update"]["ConditionExpression"].clone();
    assert!(!condition.as_str().unwrap().contains("attribute_not_exists"), "{condition}");

    let full = Wire::answering([cancelled(&["None", "None", "ConditionalCheckFailed", "None"])]);
    assert!(matches!(commit(&full, None, &limited(100)).await, Err(CommitError::QuotaExceeded)));
}

#[tokio::test]
async fn a_request_that_took_effect_is_told_from_its_record() {
    let record = attempt().done(vec![IMAGE.into()], at(0));
    let change = reserved().once(Some(record.clone()));
    let wire = Wire::default();
    commit(&wire, None, &change).await.unwrap();
    let put = wire.transaction()[4]["Put"].clone();
    assert_eq!(put["Item"]["PK"], json!({ "S": format!("P#{PROJECT}#IDEM#5#key_1#a") }));
    assert_eq!(put["ConditionExpression"], "attribute_not_exists(PK) OR expires_at <= :now");

    let mut cancelled = cancelled(&["None", "None", "None", "None", "ConditionalCheckFailed"]);
    cancelled.1["CancellationReasons"][4]["Item"] = put["Item"].clone();
    match commit(&Wire::answering([cancelled]), None, &change).await {
        Err(CommitError::Repeated(found)) => assert_eq!(*found, record),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_transaction_that_meets_another_is_sent_again() {
    let met = || cancelled(&["None", "None", "TransactionConflict", "None"]);
    let wire = Wire::answering([met(), met()]);
    commit(&wire, None, &reserved()).await.unwrap();
    assert_eq!(wire.sent().len(), 3);
    let wire = Wire::answering(std::iter::repeat_with(met).take(5));
    assert!(matches!(commit(&wire, None, &reserved()).await, Err(CommitError::Conflict)));
}

#[tokio::test]
async fn a_write_that_met_a_transaction_is_sent_again() {
    let met = || refused("TransactionConflictException");
    let before = reserved().image;
    let image = Image { revision: 1, ..before.clone() };
    let change = Change { image, event: None, within: None, once: None, spends: None };
    let wire = Wire::answering([met(), met()]);
    commit(&wire, Some(&before), &change).await.unwrap();
    assert_eq!(wire.sent().len(), 3);
    let wire = Wire::answering(std::iter::repeat_with(met).take(5));
    assert!(matches!(commit(&wire, Some(&before), &change).await, Err(CommitError::Conflict)));

    let (record, now) = (attempt().done(vec![], at(0)), at(0));
    let wire = Wire::answering([met()]);
    assert_eq!(wire.store().record_attempt(&record, now).await.unwrap(), None);
    assert_eq!(wire.sent().len(), 2);
    let wire = Wire::answering([met()]);
    wire.store().finish_attempt(&record).await.unwrap();
    assert_eq!(wire.sent().len(), 2);
}

#[tokio::test]
async fn tags_and_owner_are_rows_while_the_image_is_live() {
    let tagged =
        |tags: &[&str]| Details { tags: serde_json::from_value(json!(tags)).unwrap(), ..Details::default() };
    let owner = Some("ana".parse().unwrap());
    let image = Image { details: tagged(&["boats", "sea"]), owner, ..reserved().image };
    let edited = Image { details: tagged(&["sea", "sky"]), version: 2, ..image.clone() };
    let rows = |wire: &Wire| -> Vec<String> {
        let key = |write: &Value| {
            let (kind, write) = write.as_object().unwrap().iter().next().unwrap();
            let key = if kind == "Put" { &write["Item"] } else { &write["Key"] };
            let count = &write["ExpressionAttributeValues"][":by"]["N"];
            format!("{kind} {} {}", key["SK"]["S"].as_str().unwrap(), count.as_str().unwrap_or_default())
        };
        let keys = wire.transaction().iter().map(key).collect::<Vec<_>>();
        keys.into_iter().filter(|key| key.contains("TAG#") || key.contains("OWNER#")).collect()
    };
    let change =
        |image: &Image| Change { image: image.clone(), event: None, within: None, once: None, spends: None };
    let wire = Wire::default();
    commit(&wire, None, &change(&image)).await.unwrap();
    let expected =
        ["Put TAG#boats ", "Update TAG#boats 1", "Put TAG#sea ", "Update TAG#sea 1", "Put OWNER#ana "];
    assert_eq!(rows(&wire), expected);
    let wire = Wire::default();
    commit(&wire, Some(&image), &change(&edited)).await.unwrap();
    assert_eq!(rows(&wire), ["Delete TAG#boats ", "Update TAG#boats -1", "Put TAG#sky ", "Update TAG#sky 1"]);
    let wire = Wire::default();
    let trashed = edited.trash(std::time::Duration::ZERO, at(9)).unwrap().unwrap();
    commit(&wire, Some(&edited), &trashed).await.unwrap();
    let expected =
        ["Delete TAG#sea ", "Update TAG#sea -1", "Delete TAG#sky ", "Update TAG#sky -1", "Delete OWNER#ana "];
    assert_eq!(rows(&wire), expected);
}

/// The write to the original's row, and what the project then holds more.
fn original_and_quota(wire: &Wire) -> (Value, i64) {
    let sent = wire.sent();
    let writes = sent.last().unwrap().1["TransactItems"].as_array().unwrap().clone();
    let is = |write: &Value, text: &str| write.to_string().contains(text);
    let row = writes.iter().find(|write| is(write, "#BLOB#")).unwrap().clone();
    let quota = writes.iter().find(|write| is(write, "\"STORED\""));
    let stored = quota
        .map_or("0", |write| write["Update"]["ExpressionAttributeValues"][":stored"]["N"].as_str().unwrap());
    (row, stored.parse().unwrap())
}

#[tokio::test]
async fn the_same_bytes_are_charged_once_and_only_if_they_are_still_there() {
    let image = reserved().image;
    let wire = Wire::default();
    commit(&wire, Some(&image), &image.become_ready(picture(), at(9))).await.unwrap();
    let (row, stored) = original_and_quota(&wire);
    assert_eq!(row["Put"]["Item"]["references"], json!({ "N": "1" }));
    assert_eq!(row["Put"]["ConditionExpression"], "attribute_not_exists(PK)");
    assert_eq!(stored, 8);

    let shared = Picture { original: Some(original("prj/img_other/upl_other.jpg")), ..picture() };
    let wire = Wire::default();
    commit(&wire, Some(&image), &image.become_ready(shared, at(9))).await.unwrap();
    let (row, stored) = original_and_quota(&wire);
    assert_eq!(row["Update"]["ConditionExpression"], "#key = :key");
    assert_eq!(stored, 0);
}

#[tokio::test]
async fn the_last_one_to_give_up_an_original_dooms_it() {
    let state = State::Purging { picture: Some(picture()) };
    let image = Image { state, ..reserved().image };
    for (references, key, doomed, stored) in
        [(1, ORIGINAL, Some("Delete"), -8), (2, ORIGINAL, Some("Update"), 0), (1, "another's", None, 0)]
    {
        let row = json!({ "Item": {
            "sha256": { "S": "ab" },
            "key": { "S": key },
            "bytes": { "N": "8" },
            "references": { "N": references.to_string() },
        } });
        let wire = Wire::answering([(200, row)]);
        let released = wire.store().release_originals(&image, event(), at(9)).await.unwrap();
        let last = doomed == Some("Delete");
        assert_eq!(released.doomed, if last { vec![ORIGINAL.to_owned()] } else { vec![] });
        assert_eq!(released.originals().count(), 0);
        if let Some(kind) = doomed {
            let (row, held) = original_and_quota(&wire);
            assert!(row[kind]["ConditionExpression"].as_str().unwrap().contains("#key = :key"), "{row}");
            assert_eq!(held, stored);
        }
    }
}
