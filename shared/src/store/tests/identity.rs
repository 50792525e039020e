//! Keys, issuers, upload tokens and rates.

use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::{Value, json};
use ulid::Ulid;

use super::super::*;
use super::{PROJECT, Wire, at, cancelled, refused};
use crate::domain::error::WriteError;
use crate::domain::issuer::Issuer;
use crate::domain::page::PlainQuery;
use crate::domain::rate::{Rate, micros};
use crate::domain::upload_token::{Grant, TokenBearer, UploadToken};
use crate::domain::{ApiKey, KeyId, KeyToken, Project, ProjectId, Scope, Secret, TokenId};

fn api_key() -> ApiKey {
    let token = KeyToken { id: KeyId::new(Ulid(5)), secret: Secret::new([7; 32]) };
    ApiKey {
        name: Some("CI".into()),
        ..ApiKey::new(&token, ProjectId::new(Ulid(3)), vec![Scope::ReadImages], at(0))
    }
}

#[tokio::test]
async fn a_key_is_read_strongly_and_as_it_was_written() {
    let wire = Wire::default();
    let token = KeyToken { id: api_key().id, secret: Secret::new([8; 32]) };
    let key = api_key().rotate(&token, DAY, at(9)).unwrap().unwrap();
    let key = ApiKey { good_until: Some(at(99)), last_used_at: Some(at(5)), ..key };
    wire.store().commit_key(Some(&api_key()), &key, None).await.unwrap();
    let (operation, put) = wire.sent().remove(0);
    assert_eq!(
        (operation.as_str(), &put["ExpressionAttributeValues"]),
        ("PutItem", &json!({ ":version": { "N": "1" } }))
    );
    assert!(put["ConditionExpression"].as_str().unwrap().starts_with("attribute_exists(PK)"));
    // Seconds, thirty days after it has expired.
    assert_eq!(put["Item"]["expires_at"], json!({ "N": (at(99).as_secs() + 30 * 24 * 3600).to_string() }));
    let wire = Wire::answering([(200, json!({ "Item": put["Item"] })), (200, json!({}))]);
    assert_eq!(wire.store().find_key(key.id).await.unwrap(), Some(key.clone()));
    assert_eq!(wire.sent()[0].1["ConsistentRead"], true);
    assert_eq!(wire.store().find_key(key.id).await.unwrap(), None);
}

const DAY: Duration = Duration::from_hours(24);

/// They had neither a version nor a summary.
#[tokio::test]
async fn a_key_of_the_first_form_still_opens() {
    let item = json!({
        "PK": { "S": "K#key_00000000000000000000000005" },
        "SK": { "S": "KEY" },
        "id": { "S": "key_00000000000000000000000005" },
        "project": { "S": PROJECT },
        "scopes": { "L": [{ "S": "admin" }] },
        "secret_hash": { "S": "ab" },
        "created_at": { "S": "2026-11-21T05:00:00.000Z" },
    });
    let wire = Wire::answering([(200, json!({ "Item": item }))]);
    let key = wire.store().find_key(KeyId::new(Ulid(5))).await.unwrap().unwrap();
    assert_eq!((key.version, key.scopes.as_slice()), (0, &[Scope::Admin][..]));
}

#[tokio::test]
async fn a_key_is_written_over_what_it_was_decided_on() {
    let key = api_key();
    for (answer, conflict) in
        [(refused("ConditionalCheckFailedException"), true), (refused("ThrottlingException"), false)]
    {
        let error = Wire::answering([answer]).store().commit_key(Some(&key), &key, None).await.unwrap_err();
        assert_eq!(matches!(error, WriteError::Conflict), conflict, "{error:?}");
    }
}

#[tokio::test]
async fn a_keys_use_is_written_unless_its_owner_changes_it() {
    let seen = api_key().seen(at(9)).unwrap();
    let wire = Wire::answering([(200, json!({})), refused("ConditionalCheckFailedException")]);
    for _ in 0..2 {
        wire.store().mark_key_seen(&seen).await.unwrap();
    }
    let (operation, update) = wire.sent().remove(0);
    assert_eq!(operation, "UpdateItem");
    assert_eq!(update["ConditionExpression"], "version = :version AND attribute_not_exists(revoked_at)");
    let values = &update["ExpressionAttributeValues"];
    assert_eq!(values[":summary"]["M"]["last_used_at"], values[":seen"]);
    assert!(Wire::answering([refused("ThrottlingException")]).store().mark_key_seen(&seen).await.is_err());
}

#[tokio::test]
async fn a_page_of_keys_is_one_query() {
    let row = |id: u128| {
        let key = ApiKey { id: KeyId::new(Ulid(id)), ..api_key() };
        json!({ "summary": { "M": {
            "id": { "S": key.id }, "name": { "S": "CI" }, "scopes": { "L": [] }, "created_at": { "S": at(0) },
        } } })
    };
    let wire = Wire::answering([(200, json!({ "Items": [row(9), row(8)] }))]);
    let query = PlainQuery { limit: 1, after: Some(KeyId::new(Ulid(11))) };
    let page = wire.store().list_keys(ProjectId::new(Ulid(3)), &query).await.unwrap();
    assert_eq!((page.rows.len(), page.after), (1, Some(KeyId::new(Ulid(9)))));
    let (operation, sent) = wire.sent().remove(0);
    assert_eq!((operation.as_str(), &sent["Limit"]), ("Query", &json!(2)));
    assert_eq!(
        sent["ExpressionAttributeValues"],
        json!({ ":partition": { "S": format!("P#{PROJECT}#KEY") } })
    );
    assert_eq!(sent["ExclusiveStartKey"]["PK"], json!({ "S": "K#key_0000000000000000000000000B" }));
}

fn rate() -> Rate {
    Rate::new(NonZeroU32::new(10).unwrap(), NonZeroU32::new(5).unwrap())
}

fn counted() -> Counted {
    Counted { project: ProjectId::new(Ulid(3)), caller: "key:a".into(), class: "write" }
}

fn spent(micros: u64) -> Value {
    json!({ "spent": { "N": micros.to_string() } })
}

fn behind(micros: u64) -> (u16, Value) {
    let (status, mut answer) = refused("ConditionalCheckFailedException");
    answer["Item"] = spent(micros);
    (status, answer)
}

/// Whoever was idle needs one write, whoever is known to be busy needs one, too.
#[tokio::test]
async fn a_request_is_taken_off_in_one_conditional_write() {
    let now = micros(at(0));
    let wire = Wire::answering([
        (200, json!({ "Attributes": spent(now + 100_000) })),
        (200, json!({ "Attributes": spent(now + 300_000) })),
    ]);
    let store = wire.store();
    let taken = store.take_cells(&counted(), rate(), 1, 0, at(0)).await.unwrap();
    assert_eq!(taken, Taken::Had(now + 100_000));
    let taken = store.take_cells(&counted(), rate(), 2, now + 100_000, at(0)).await.unwrap();
    assert_eq!(taken, Taken::Had(now + 300_000));
    let sent = wire.sent();
    let (idle, busy) = (&sent[0].1, &sent[1].1);
    assert_eq!((sent.len(), sent[0].0.as_str()), (2, "UpdateItem"));
    let key = json!({ "PK": { "S": format!("RATE#{PROJECT}#key:a") }, "SK": { "S": "write" } });
    assert_eq!(idle["Key"], key);
    assert_eq!(idle["ConditionExpression"], "attribute_not_exists(spent) OR spent <= :now");
    let values = &idle["ExpressionAttributeValues"];
    assert_eq!(values[":begun"], json!({ "N": (now + 100_000).to_string() }));
    // The burst comes back within half a second; the row goes an hour later.
    assert_eq!(values[":expires"], json!({ "N": at(3600).as_secs().to_string() }));
    assert_eq!(busy["ConditionExpression"], "spent > :now AND spent <= :most");
    let values = &busy["ExpressionAttributeValues"];
    assert_eq!(values[":cost"], json!({ "N": "200000" }));
    assert_eq!(values[":most"], json!({ "N": (now + 300_000).to_string() }));
}

#[tokio::test]
async fn a_wrong_guess_costs_one_more_request_and_a_refusal_none() {
    let now = micros(at(0));
    let wire = Wire::answering([behind(now + 200_000), (200, json!({ "Attributes": spent(now + 300_000) }))]);
    let taken = wire.store().take_cells(&counted(), rate(), 1, 0, at(0)).await.unwrap();
    assert_eq!((taken, wire.sent().len()), (Taken::Had(now + 300_000), 2));

    let full = now + 500_000;
    let wire = Wire::answering([behind(full)]);
    let taken = wire.store().take_cells(&counted(), rate(), 1, 0, at(0)).await.unwrap();
    assert_eq!((taken, wire.sent().len()), (Taken::Refused(full), 1));
    let taken = wire.store().take_cells(&counted(), rate(), 1, full, at(0)).await.unwrap();
    assert_eq!((taken, wire.sent().len()), (Taken::Refused(full), 1), "nobody is asked");

    let outage = Wire::answering([refused("ThrottlingException")]);
    assert!(outage.store().take_cells(&counted(), rate(), 1, 0, at(0)).await.unwrap_err().throttled);
}

fn issuer(audience: &str) -> Issuer {
    serde_json::from_value(json!({ "issuer": "https://id.example.org", "audience": audience })).unwrap()
}

fn project(issuers: Vec<Issuer>) -> Project {
    Project { issuers, ..Project::new(ProjectId::new(Ulid(3)), "Harbour".into(), vec![], at(0)) }
}

/// A token leads to one project, whatever others write.
#[tokio::test]
async fn a_project_changes_with_where_its_issuers_lead() {
    let (before, after) = (project(vec![issuer("a"), issuer("b")]), project(vec![issuer("b"), issuer("c")]));
    let wire = Wire::default();
    wire.store().commit_project(&before, &after).await.unwrap();
    let writes = wire.transaction();
    let place = |audience: &str| format!("ISS#{}", Issuer::fingerprint("https://id.example.org", audience));
    assert_eq!(writes.len(), 3, "the project, one that goes, one that comes: {writes:#?}");
    assert_eq!(writes[0]["Put"]["ExpressionAttributeValues"], json!({ ":version": { "N": "1" } }));
    assert_eq!(writes[1]["Delete"]["Key"]["PK"], json!({ "S": place("a") }));
    let put = &writes[2]["Put"];
    assert_eq!(put["Item"]["PK"], json!({ "S": place("c") }));
    assert_eq!(put["Item"]["project"], json!({ "S": PROJECT }));
    assert_eq!(put["ConditionExpression"], "attribute_not_exists(PK) OR #project = :project");

    let item = json!({ "Item": put["Item"] });
    let wire = Wire::answering([(200, item), (200, json!({}))]);
    let found = wire.store().find_issuer("https://id.example.org", "c").await.unwrap().unwrap();
    assert_eq!((found.project, found.issuer), (after.id, issuer("c")));
    assert_eq!(wire.store().find_issuer("https://id.example.org", "d").await.unwrap(), None);

    let taken = Wire::answering([cancelled(&["None", "None", "ConditionalCheckFailed"])]);
    let error = taken.store().commit_project(&before, &after).await.unwrap_err();
    assert!(matches!(error, WriteError::Taken(1)), "{error:?}");
    let stale = Wire::answering([cancelled(&["ConditionalCheckFailed", "None", "None"])]);
    let error = stale.store().commit_project(&before, &after).await.unwrap_err();
    assert!(matches!(error, WriteError::Conflict), "{error:?}");
}

#[tokio::test]
async fn an_upload_token_is_read_as_it_was_written_and_goes_by_itself() {
    let bearer = TokenBearer { id: TokenId::new(Ulid(5)), secret: Secret::new([7; 32]) };
    let grant = Grant { max_bytes: Some(5), ..Grant::default() };
    let (project, life) = (ProjectId::new(Ulid(3)), Duration::from_mins(15));
    let token = UploadToken::new(&bearer, project, grant, 2, life, at(0));
    let wire = Wire::default();
    wire.store().create_upload_token(&token, None).await.unwrap();
    let (operation, put) = wire.sent().remove(0);
    assert_eq!(operation, "PutItem");
    let expires = (at(900).as_secs() + 24 * 3600).to_string();
    assert_eq!(put["Item"]["expires_at"], json!({ "N": expires }));
    assert!(!put.to_string().contains(&bearer.secret.expose_text()));
    let wire = Wire::answering([(200, json!({ "Item": put["Item"] }))]);
    assert_eq!(wire.store().find_upload_token(token.id).await.unwrap(), Some(token));
}

/// The use and the reservation are one transaction: no more uploads than the token is good for, whoever races.
#[tokio::test]
async fn a_reservation_is_one_use_of_its_token() {
    let change = super::reserved().spending(Some(TokenId::new(Ulid(5))));
    let wire = Wire::default();
    super::commit(&wire, None, &change).await.unwrap();
    let writes = wire.transaction();
    let spends: Vec<_> = writes.iter().filter(|write| write["Update"]["Key"]["SK"]["S"] == "TOKEN").collect();
    let [spend] = spends.as_slice() else { panic!("one use: {writes:#?}") };
    let update = &spend["Update"];
    assert_eq!(update["Key"]["PK"], json!({ "S": "K#tok_00000000000000000000000005" }));
    assert_eq!(update["UpdateExpression"], "SET used = used + :one");
    let condition = "used < #count AND good_until > :now AND #project = :project";
    assert_eq!(update["ConditionExpression"], condition);

    let place = writes.iter().position(|write| write["Update"]["Key"]["SK"]["S"] == "TOKEN").unwrap();
    let reasons: Vec<_> =
        (0..writes.len()).map(|n| if n == place { "ConditionalCheckFailed" } else { "None" }).collect();
    let used_up = Wire::answering([cancelled(&reasons)]);
    let error = super::commit(&used_up, None, &change).await.unwrap_err();
    assert!(matches!(error, crate::domain::error::CommitError::TokenSpent), "{error:?}");
}
