//! The tables as an AWS SDK sees them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{TableError, Tables};
use crate::aws_json::tests::identity;
use crate::faults::Faults;
use crate::iam::{Identities, Identity, Statement};
use crate::template::model::Table;

const NAME: &str = "tintype-Table-1";

/// A table such as the template declares.
pub(super) fn table() -> Table {
    Table {
        id: "Table".to_owned(),
        name: "tintype-Table-1".to_owned(),
        arn: "arn:aws:dynamodb:eu-west-1:123456789012:table/tintype-Table-1".to_owned(),
        create: json!({
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [
                { "AttributeName": "PK", "KeyType": "HASH" },
                { "AttributeName": "SK", "KeyType": "RANGE" },
            ],
            "AttributeDefinitions": [
                { "AttributeName": "PK", "AttributeType": "S" },
                { "AttributeName": "SK", "AttributeType": "S" },
                { "AttributeName": "GSI1PK", "AttributeType": "S" },
                { "AttributeName": "GSI1SK", "AttributeType": "S" },
            ],
            "GlobalSecondaryIndexes": [{
                "IndexName": "GSI1",
                "KeySchema": [
                    { "AttributeName": "GSI1PK", "KeyType": "HASH" },
                    { "AttributeName": "GSI1SK", "KeyType": "RANGE" },
                ],
                "Projection": { "ProjectionType": "INCLUDE", "NonKeyAttributes": ["summary"] },
            }],
            "StreamSpecification": { "StreamViewType": "NEW_AND_OLD_IMAGES" },
            "TimeToLiveSpecification": { "AttributeName": "expires_at", "Enabled": true },
            "PointInTimeRecoverySpecification": { "PointInTimeRecoveryEnabled": true },
            "DeletionProtectionEnabled": true,
            "SSESpecification": { "SSEEnabled": true },
            "Tags": [{ "Key": "app", "Value": "tintype" }],
        }),
        ttl_attribute: Some("expires_at".to_owned()),
    }
}

/// Tables that are served until the test ends.
struct Served {
    tables: Tables,
    faults: Faults,
    endpoint: String,
    _stop: DropGuard,
}

impl Served {
    async fn start(path: Option<&Path>) -> Self {
        let faults = Faults::default();
        let tables = Tables::open(path, &[table()], faults.clone()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let identities = Arc::new(Identities::new([identity("root"), reader()]));
        let stop = CancellationToken::new();
        let served = tables.clone();
        let shutdown = stop.clone();
        tokio::spawn(async move { served.serve(listener, identities, shutdown).await });
        Self { tables, faults, endpoint, _stop: stop.drop_guard() }
    }

    fn client(&self, who: &Identity) -> Client {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .credentials_provider(Credentials::new(
                &who.access_key,
                &who.secret_key,
                Some("session".to_owned()),
                None,
                "test",
            ))
            .retry_config(RetryConfig::disabled())
            .endpoint_url(&self.endpoint)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        Client::from_conf(config)
    }

    fn root(&self) -> Client {
        self.client(&identity("root"))
    }

    /// The records of a consumer as (event name, sort key, sequence number).
    async fn records(&self, consumer: &str) -> Vec<(String, String, String)> {
        let records = self.tables.stream("Table", consumer, 100).await.unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        records
            .into_iter()
            .map(|r| {
                let key = text(&r.event["dynamodb"]["Keys"]["SK"]["S"]);
                (text(&r.event["eventName"]), key, r.sequence_number)
            })
            .collect()
    }
}

/// May read project `P#1` and check it in transactions.
fn reader() -> Identity {
    let conditions = json!({ "ForAllValues:StringLike": { "dynamodb:LeadingKeys": ["P#1*"] } });
    let statement = Statement {
        sid: None,
        allow: true,
        actions: vec!["dynamodb:GetItem".to_owned(), "dynamodb:ConditionCheckItem".to_owned()],
        resources: vec![table().arn],
        conditions: conditions.as_object().unwrap().clone(),
    };
    Identity { statements: Some(vec![statement]), ..identity("Reader") }
}

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn n(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

async fn put(client: &Client, sk: &str, version: u64) {
    client
        .put_item()
        .table_name(NAME)
        .item("PK", s("P#1"))
        .item("SK", s(sk))
        .item("version", n(version))
        .send()
        .await
        .unwrap();
}

async fn version(client: &Client, sk: &str) -> Option<AttributeValue> {
    let got = client.get_item().table_name(NAME).key("PK", s("P#1")).key("SK", s(sk)).send().await;
    got.unwrap().item?.remove("version")
}

/// The error code, as a client's retry policy sees it.
fn code<E: ProvideErrorMetadata + std::fmt::Debug, T: std::fmt::Debug>(
    result: Result<T, SdkError<E>>,
) -> String {
    result.unwrap_err().code().unwrap_or_default().to_owned()
}

fn put_part(sk: &str) -> TransactWriteItem {
    let put = Put::builder().table_name(NAME).item("PK", s("P#1")).item("SK", s(sk));
    TransactWriteItem::builder().put(put.build().unwrap()).build()
}

#[tokio::test]
async fn a_failed_condition_undoes_its_transaction_and_shows_the_old_item() {
    let served = Served::start(None).await;
    let client = served.root();
    put(&client, "image", 4).await;
    let update = Update::builder()
        .table_name(NAME)
        .key("PK", s("P#1"))
        .key("SK", s("image"))
        .update_expression("SET version = version + :one")
        .condition_expression("version = :expected")
        .expression_attribute_values(":one", n(1))
        .expression_attribute_values(":expected", n(3))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let update = TransactWriteItem::builder().update(update.build().unwrap()).build();
    let error = client
        .transact_write_items()
        .transact_items(put_part("event"))
        .transact_items(update)
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    let error = match error {
        aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(e) => e,
        other => panic!("{other:?}"),
    };
    let reasons = error.cancellation_reasons();
    assert_eq!(reasons[0].code(), Some("None"));
    assert_eq!(reasons[1].code(), Some("ConditionalCheckFailed"));
    assert_eq!(reasons[1].item().unwrap()["version"], n(4));
    assert_eq!(version(&client, "image").await, Some(n(4)));
    let event = client.get_item().table_name(NAME).key("PK", s("P#1")).key("SK", s("event"));
    assert!(event.send().await.unwrap().item.is_none());
}

#[tokio::test]
async fn an_index_is_queried_in_order_and_holds_what_it_projects() {
    let served = Served::start(None).await;
    let client = served.root();
    for (sk, order) in [("a", "2"), ("b", "3"), ("c", "1")] {
        let item = client.put_item().table_name(NAME).item("PK", s("P#1")).item("SK", s(sk));
        let item = item.item("GSI1PK", s("list")).item("GSI1SK", s(order));
        item.item("summary", s(sk)).item("secret", s("x")).send().await.unwrap();
    }
    put(&client, "unlisted", 1).await;
    let page = client
        .query()
        .table_name(NAME)
        .index_name("GSI1")
        .key_condition_expression("GSI1PK = :p AND GSI1SK > :from")
        .expression_attribute_values(":p", s("list"))
        .expression_attribute_values(":from", s("1"))
        .scan_index_forward(false)
        .limit(1)
        .send()
        .await
        .unwrap();
    assert_eq!(page.items()[0]["summary"], s("b"));
    assert!(!page.items()[0].contains_key("secret"));
    assert!(page.last_evaluated_key().is_some());
}

#[tokio::test]
async fn a_stream_tells_each_consumer_every_change_in_order_and_no_update_without_one() {
    let served = Served::start(None).await;
    let client = served.root();
    let mut changes = served.tables.changes();
    put(&client, "a", 1).await;
    put(&client, "a", 1).await;
    put(&client, "b", 1).await;
    put(&client, "a", 2).await;
    client.delete_item().table_name(NAME).key("PK", s("P#1")).key("SK", s("b")).send().await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), changes.changed()).await.unwrap().unwrap();

    let all = served.records("publish").await;
    let seen: Vec<_> = all.iter().map(|(name, key, _)| (name.as_str(), key.as_str())).collect();
    assert_eq!(seen, [("INSERT", "a"), ("INSERT", "b"), ("MODIFY", "a"), ("REMOVE", "b")]);
    assert!(all.is_sorted_by(|x, y| x.2 < y.2), "{all:?}");

    served.records("purge").await;
    served.tables.advance("Table", "publish", &all[2].2).await.unwrap();
    assert_eq!(served.records("publish").await, all[3..]);
    assert_eq!(served.records("purge").await, all, "another consumer still needs them");
    served.tables.advance("Table", "purge", &all[3].2).await.unwrap();
    assert_eq!(served.records("late").await, all[2..], "what all were done with is gone");
}

#[tokio::test]
async fn a_record_has_the_shape_of_the_lambda_event() {
    let served = Served::start(None).await;
    put(&served.root(), "a", 1).await;
    let record = served.tables.stream("Table", "publish", 1).await.unwrap().remove(0);
    let image = json!({ "PK": { "S": "P#1" }, "SK": { "S": "a" }, "version": { "N": "1" } });
    assert_eq!(record.event["dynamodb"]["NewImage"], image);
    assert_eq!(record.event["dynamodb"]["Keys"], json!({ "PK": { "S": "P#1" }, "SK": { "S": "a" } }));
    assert_eq!(record.event["dynamodb"]["StreamViewType"], "NEW_AND_OLD_IMAGES");
    assert_eq!(record.event["dynamodb"]["SequenceNumber"], record.sequence_number.as_str());
    assert!(record.event["dynamodb"]["ApproximateCreationDateTime"].is_i64());
    assert_eq!(record.event["eventSource"], "aws:dynamodb");
    assert_eq!(record.event["awsRegion"], "eu-west-1");
    let arn = record.event["eventSourceARN"].as_str().unwrap();
    assert!(arn.starts_with(&format!("{}/stream/", table().arn)), "{arn}");
}

#[tokio::test]
async fn items_and_checkpoints_outlive_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tables.sqlite");
    let before = Served::start(Some(&path)).await;
    put(&before.root(), "a", 1).await;
    put(&before.root(), "b", 1).await;
    let records = before.records("publish").await;
    before.tables.advance("Table", "publish", &records[0].2).await.unwrap();
    // Still open, as after a kill: nothing has been closed or flushed.
    let after = Served::start(Some(&path)).await;
    assert_eq!(version(&after.root(), "a").await, Some(n(1)));
    assert_eq!(after.records("publish").await, records[1..]);
}

#[tokio::test]
async fn tables_that_the_template_has_changed_are_not_opened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tables.sqlite");
    drop(Tables::open(Some(&path), &[table()], Faults::default()).unwrap());
    let mut changed = table();
    changed.create["Tags"] = json!([]);
    assert!(Tables::open(Some(&path), &[changed.clone()], Faults::default()).is_ok());
    changed.create["GlobalSecondaryIndexes"][0]["IndexName"] = json!("Renamed");
    let refusal = Tables::open(Some(&path), &[changed], Faults::default()).err();
    assert!(matches!(refusal, Some(TableError::Changed(name)) if name == NAME));
}

#[tokio::test]
async fn what_has_expired_is_deleted_by_the_service() {
    let served = Served::start(None).await;
    let client = served.root();
    for (sk, expires_at) in [("old", 1_000_000_000), ("new", 9_000_000_000)] {
        let item = client.put_item().table_name(NAME).item("PK", s("P#1")).item("SK", s(sk));
        item.item("expires_at", n(expires_at)).send().await.unwrap();
    }
    let inserted = served.records("publish").await;
    served.tables.advance("Table", "publish", &inserted[1].2).await.unwrap();
    let tables = served.tables.clone();
    let deleted = tokio::task::spawn_blocking(move || tables.sweep_expired()).await.unwrap();
    assert_eq!(deleted.unwrap(), 1);
    let record = served.tables.stream("Table", "publish", 10).await.unwrap().remove(0);
    assert_eq!(record.event["eventName"], "REMOVE");
    assert_eq!(record.event["dynamodb"]["Keys"]["SK"]["S"], "old");
    let service = json!({ "type": "Service", "principalId": "dynamodb.amazonaws.com" });
    assert_eq!(record.event["userIdentity"], service);
}

#[tokio::test]
async fn what_no_policy_allows_is_denied() {
    let served = Served::start(None).await;
    put(&served.root(), "a", 1).await;
    let reader = served.client(&reader());
    assert_eq!(version(&reader, "a").await, Some(n(1)));
    let of_another = reader.get_item().table_name(NAME).key("PK", s("P#2")).key("SK", s("a"));
    assert_eq!(code(of_another.send().await), "AccessDeniedException");
    let check = ConditionCheck::builder()
        .table_name(NAME)
        .key("PK", s("P#1"))
        .key("SK", s("a"))
        .condition_expression("attribute_exists(PK)");
    let check = TransactWriteItem::builder().condition_check(check.build().unwrap()).build();
    reader.transact_write_items().transact_items(check.clone()).send().await.unwrap();
    let with_put = reader.transact_write_items().transact_items(check).transact_items(put_part("b"));
    assert_eq!(code(with_put.send().await), "AccessDeniedException");
    assert_eq!(version(&served.root(), "b").await, None);
}

#[tokio::test]
async fn somebody_unknown_and_a_wrong_secret_are_refused() {
    let served = Served::start(None).await;
    let list = |who: &Identity| served.client(who).list_tables().send();
    assert_eq!(code(list(&identity("Nobody")).await), "UnrecognizedClientException");
    let mut impostor = identity("root");
    impostor.secret_key = "guessed".to_owned();
    assert_eq!(code(list(&impostor).await), "InvalidSignatureException");
}

#[tokio::test]
async fn a_fault_strikes_until_it_is_taken_back() {
    let served = Served::start(None).await;
    let client = served.root();
    let list = || client.list_tables().send();
    served.faults.set("dynamodb=throttle:100%".parse().unwrap());
    assert_eq!(code(list().await), "ProvisionedThroughputExceededException");
    served.faults.set("dynamodb=throttle:0%".parse().unwrap());
    served.faults.set("dynamodb=error:100%".parse().unwrap());
    assert_eq!(code(list().await), "InternalServerError");
    served.faults.set("dynamodb=error:0%".parse().unwrap());
    assert_eq!(list().await.unwrap().table_names(), [NAME]);
}

#[tokio::test]
async fn a_table_describes_itself_as_the_template_names_it() {
    let served = Served::start(None).await;
    let described = served.root().describe_table().table_name(NAME).send().await.unwrap();
    let described = described.table.unwrap();
    assert_eq!(described.table_arn(), Some(table().arn.as_str()));
    let index = &described.global_secondary_indexes()[0];
    assert_eq!(index.index_arn(), Some(format!("{}/index/GSI1", table().arn).as_str()));
}
