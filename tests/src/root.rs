//! The stack from behind: its table and buckets with credentials that may do everything, and its control
//! routes.

use std::collections::BTreeMap;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_http_client::Builder;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{Answer, Ready, api};

/// Who may do everything.
pub struct Root {
    /// S3.
    pub s3: aws_sdk_s3::Client,
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    http: reqwest::Client,
    control: String,
    names: BTreeMap<String, String>,
}

impl Root {
    /// Clients of a stack.
    pub fn new(ready: &Ready) -> Self {
        let credentials = Credentials::new(&ready.access_key, &ready.secret_key, None, None, "root");
        // The stack speaks HTTP: the SDK's own client would read the system's root certificates first.
        let http = Builder::new().build_http();
        let s3 = aws_sdk_s3::Config::builder()
            .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
            .region(aws_sdk_s3::config::Region::new(ready.region.clone()))
            .credentials_provider(credentials.clone())
            .endpoint_url(&ready.s3)
            .force_path_style(true)
            .http_client(http.clone())
            .build();
        let dynamodb = aws_sdk_dynamodb::Config::builder()
            .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
            .region(aws_sdk_dynamodb::config::Region::new(ready.region.clone()))
            .credentials_provider(credentials)
            .endpoint_url(&ready.dynamodb)
            .http_client(http)
            .build();
        Self {
            s3: aws_sdk_s3::Client::from_conf(s3),
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb),
            http: api::http(),
            control: format!("{}/_tintype", ready.api),
            names: ready.resources.clone(),
        }
    }

    /// The physical name of a resource.
    pub fn name(&self, resource: &str) -> &str {
        &self.names[resource]
    }

    // --- Control routes

    async fn look(&self, path: &str) -> Value {
        let answer = api::answer(self.http.get(format!("{}/{path}", self.control))).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    async fn command(&self, path: &str, body: String) -> Answer {
        let request = self.http.post(format!("{}/{path}", self.control));
        api::answer(request.header("x-tintype-control", "1").body(body)).await
    }

    async fn done(&self, path: &str, body: String) -> Value {
        let answer = self.command(path, body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// How many messages each queue holds, by kind.
    pub async fn queues(&self) -> BTreeMap<String, Value> {
        serde_json::from_value(self.look("queues").await).unwrap()
    }

    /// The messages of a queue: `body`, and how often they were `received`.
    pub async fn messages(&self, queue: &str) -> Vec<Value> {
        serde_json::from_value(self.look(&format!("queues/{queue}")).await).unwrap()
    }

    /// How many messages a queue holds, whatever becomes of them.
    pub async fn depth(&self, queue: &str) -> usize {
        self.messages(queue).await.len()
    }

    /// Sends a message.
    pub async fn send(&self, queue: &str, body: &str) {
        self.done(&format!("queues/{queue}"), body.to_owned()).await;
    }

    /// Sends what S3 sends when an upload has arrived.
    pub async fn announce(&self, key: &str) {
        let bucket = self.name("UploadsBucket");
        let event = json!({ "Records": [{
            "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
            "s3": { "s3SchemaVersion": "1.0", "bucket": { "name": bucket }, "object": { "key": key } },
        }] });
        self.send("UploadsQueue", &event.to_string()).await;
    }

    /// Ends the visibility timeout of all messages in flight.
    pub async fn release(&self, queue: &str) {
        self.done(&format!("queues/{queue}/release"), String::new()).await;
    }

    /// Gives what a dead-letter queue holds back to where it came from.
    pub async fn redrive(&self, queue: &str) {
        self.done(&format!("queues/{queue}/redrive"), String::new()).await;
    }

    /// The keys of a bucket.
    pub async fn objects(&self, bucket: &str) -> Vec<String> {
        let objects = self.look(&format!("buckets/{bucket}")).await;
        objects.as_array().unwrap().iter().map(|o| o["key"].as_str().unwrap().to_owned()).collect()
    }

    /// The keys of a bucket that are an image's.
    pub async fn objects_of(&self, bucket: &str, image: &str) -> Vec<String> {
        self.objects(bucket).await.into_iter().filter(|key| key.contains(image)).collect()
    }

    /// What a function has been through: `invocations`, `errors`, `instances` ...
    pub async fn function(&self, function: &str) -> Value {
        self.look("functions").await[function].take()
    }

    /// Invokes a function.
    pub async fn invoke(&self, function: &str, event: &Value) -> Answer {
        self.command(&format!("functions/{function}/invoke"), event.to_string()).await
    }

    /// Kills a process of a function, one that works if there is any.
    pub async fn kill(&self, function: &str) -> bool {
        self.done(&format!("functions/{function}/kill"), String::new()).await["killed"] == true
    }

    /// Runs the timer's function and gives what it answered.
    pub async fn sweep(&self) -> Value {
        self.done("timers/Sweep/fire", String::new()).await
    }

    /// Begins to count what the functions ask of the table.
    pub async fn count(&self) {
        self.done("consumed", String::new()).await;
    }

    /// What was asked of the table since: requests and capacity units, by function and operation.
    pub async fn consumed(&self) -> Value {
        self.look("consumed").await
    }

    /// Lets a service fail: `dynamodb=throttle:100%`.
    pub async fn fault(&self, rate: &str) {
        self.done("faults", rate.to_owned()).await;
    }

    // --- Buckets

    /// An object's bytes.
    pub async fn object(&self, bucket: &str, key: &str) -> Vec<u8> {
        let object = self.s3.get_object().bucket(self.name(bucket)).key(key).send().await.unwrap();
        object.body.collect().await.unwrap().to_vec()
    }

    /// Stores an object.
    pub async fn put_object(&self, bucket: &str, key: &str, bytes: Vec<u8>) {
        let put = self.s3.put_object().bucket(self.name(bucket)).key(key);
        put.body(ByteStream::from(bytes)).send().await.unwrap();
    }

    /// The keys of uploads in parts that were neither completed nor aborted.
    pub async fn unfinished_uploads(&self) -> Vec<String> {
        let listed =
            self.s3.list_multipart_uploads().bucket(self.name("UploadsBucket")).send().await.unwrap();
        listed.uploads().iter().map(|upload| upload.key().unwrap().to_owned()).collect()
    }

    // --- The table

    /// Every row.
    pub async fn rows(&self) -> Vec<Value> {
        let mut rows = vec![];
        let mut start = None;
        loop {
            let scan = self.dynamodb.scan().table_name(self.name("Table")).consistent_read(true);
            let page = scan.set_exclusive_start_key(start).send().await.unwrap();
            let items = page.items.unwrap_or_default();
            rows.extend(items.into_iter().map(|item| serde_dynamo::from_item::<_, Value>(item).unwrap()));
            start = page.last_evaluated_key;
            if start.is_none() {
                return rows;
            }
        }
    }

    /// The rows that mention an image, of one type.
    pub async fn rows_of(&self, image: &str, kind: &str) -> Vec<Value> {
        let mentions = |row: &Value| ["id", "image", "subject"].iter().any(|name| row[*name] == image);
        self.rows().await.into_iter().filter(|row| row["type"] == kind && mentions(row)).collect()
    }

    /// An image's own row, if there is one.
    pub async fn image(&self, image: &str) -> Option<Value> {
        self.rows_of(image, "image").await.pop()
    }

    /// The kinds of an image's events, in their order.
    pub async fn events(&self, image: &str) -> Vec<String> {
        let mut events = self.rows_of(image, "event").await;
        events.sort_by_key(|event| event["sequence"].as_u64());
        events.iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
    }

    /// Writes a row.
    pub async fn put_row(&self, row: &Value) {
        let item = serde_dynamo::to_item(row).unwrap();
        let put = self.dynamodb.put_item().table_name(self.name("Table"));
        put.set_item(Some(item)).send().await.unwrap();
    }

    /// Deletes a row.
    pub async fn delete_row(&self, row: &Value) {
        let text = |name: &str| AttributeValue::S(row[name].as_str().unwrap().to_owned());
        let delete = self.dynamodb.delete_item().table_name(self.name("Table"));
        delete.key("PK", text("PK")).key("SK", text("SK")).send().await.unwrap();
    }

    /// Lets an image fall due a minute ago, as if so much time had passed.
    pub async fn make_due(&self, image: &str) {
        let mut row = self.image(image).await.unwrap();
        let mut due = self.rows_of(image, "due").await.pop().unwrap();
        self.delete_row(&due).await;
        let at = format!("{:.3}", Timestamp::now() - SignedDuration::from_mins(1));
        let old = due["due"]["at"].as_str().unwrap().to_owned();
        for name in ["PK", "SK"] {
            let key = due[name].as_str().unwrap().replace(&old[..10], &at[..10]);
            due[name] = key.replace(&old[10..], &at[10..]).into();
        }
        due["due"]["at"] = at.clone().into();
        row["due"]["at"] = at.into();
        self.put_row(&due).await;
        self.put_row(&row).await;
    }

    /// Lets the time pass until which a worker has an image. Only for workers that are dead: one that works
    /// would have its next write undone.
    pub async fn expire_lease(&self, image: &str) {
        let mut row = self.image(image).await.unwrap();
        assert!(row["lease"]["until"].is_string(), "nobody has {image}: {row}");
        row["lease"]["until"] = "2020-01-01T00:00:00.000Z".into();
        self.put_row(&row).await;
    }

    /// As if nobody could be working on an image any more that was trashed while somebody did.
    pub async fn end_work(&self, image: &str) {
        let mut row = self.image(image).await.unwrap();
        assert!(row["worked_on_until"].is_string(), "nobody had {image}: {row}");
        row["worked_on_until"] = "2020-01-01T00:00:00.000Z".into();
        self.put_row(&row).await;
    }
}
