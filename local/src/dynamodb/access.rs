//! What a request touches: the actions, resources and partition keys that a policy can speak about.
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html>

use std::collections::HashMap;

use indexmap::IndexMap;
use serde_json::Value;

use crate::template::model::Table;

/// The tables as policies and keys name them.
pub(super) struct Catalogue {
    tables: HashMap<String, Entry>,
    /// What comes before a table's name in its ARN.
    prefix: String,
}

struct Entry {
    arn: String,
    partition_key: String,
    /// The partition keys of the indexes.
    indexes: HashMap<String, String>,
}

/// One permission that a request needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) action: String,
    pub(super) resource: String,
    /// The partition key values that the request names; empty where it names none, as a scan.
    pub(super) leading_keys: Vec<String>,
}

impl Catalogue {
    pub(super) fn new(tables: &[Table]) -> Self {
        let prefix = tables
            .first()
            .and_then(|t| t.arn.strip_suffix(t.name.as_str()))
            .unwrap_or("arn:aws:dynamodb:eu-west-1:000000000000:table/")
            .to_owned();
        let tables = tables
            .iter()
            .map(|table| {
                let indexes = ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"]
                    .into_iter()
                    .filter_map(|kind| table.create.get(kind)?.as_array())
                    .flatten()
                    .map(|index| (text(index, "IndexName").to_owned(), partition_key(index)))
                    .collect();
                let entry =
                    Entry { arn: table.arn.clone(), partition_key: partition_key(&table.create), indexes };
                (table.name.clone(), entry)
            })
            .collect();
        Self { tables, prefix }
    }

    /// What comes before a table's name in its ARN.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The permissions that a request needs, each once.
    pub(super) fn needed(&self, operation: &str, request: &Value) -> Vec<Access> {
        let mut needed = Needed { catalogue: self, found: IndexMap::new() };
        needed.collect(operation, request);
        needed
            .found
            .into_iter()
            .map(|((action, resource), leading_keys)| Access { action, resource, leading_keys })
            .collect()
    }

    fn arn(&self, table: &str) -> String {
        self.tables.get(table).map_or_else(|| format!("{}{table}", self.prefix), |entry| entry.arn.clone())
    }
}

struct Needed<'a> {
    catalogue: &'a Catalogue,
    found: IndexMap<(String, String), Vec<String>>,
}

impl Needed<'_> {
    fn collect(&mut self, operation: &str, request: &Value) {
        let table = table_name(text(request, "TableName"));
        let index = request.get("IndexName").and_then(Value::as_str);
        match operation {
            "PutItem" => self.item(operation, table, request.get("Item")),
            "GetItem" | "UpdateItem" | "DeleteItem" => {
                self.item(operation, table, request.get("Key"));
            }
            "Query" => {
                let keys = self.queried_keys(table, index, request);
                self.on_index(operation, table, index, keys);
            }
            "Scan" => self.on_index(operation, table, index, Vec::new()),
            "BatchGetItem" => {
                for (table, of_table) in members(request.get("RequestItems")) {
                    for key in elements(of_table.get("Keys")) {
                        self.item(operation, table_name(table), Some(key));
                    }
                }
            }
            "BatchWriteItem" => {
                for (table, writes) in members(request.get("RequestItems")) {
                    for write in elements(Some(writes)) {
                        let put = write.get("PutRequest").and_then(|p| p.get("Item"));
                        let delete = write.get("DeleteRequest").and_then(|d| d.get("Key"));
                        self.item(operation, table_name(table), put.or(delete));
                    }
                }
            }
            "TransactWriteItems" | "TransactGetItems" => {
                for part in elements(request.get("TransactItems")) {
                    for (kind, part) in members(Some(part)) {
                        self.part(kind, part);
                    }
                }
            }
            "ListTables" => self.add(operation, "*".to_owned(), Vec::new()),
            _ => self.add(operation, self.catalogue.arn(table), Vec::new()),
        }
    }

    /// A part of a transaction needs the permission of what it does; there is none for transactions.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html>
    fn part(&mut self, kind: &str, part: &Value) {
        let (action, item) = match kind {
            "Put" => ("PutItem", "Item"),
            "Update" => ("UpdateItem", "Key"),
            "Delete" => ("DeleteItem", "Key"),
            "ConditionCheck" => ("ConditionCheckItem", "Key"),
            "Get" => ("GetItem", "Key"),
            // The engine refuses what it does not know.
            _ => return,
        };
        self.item(action, table_name(text(part, "TableName")), part.get(item));
    }

    fn item(&mut self, action: &str, table: &str, item: Option<&Value>) {
        let key = self.catalogue.tables.get(table).and_then(|entry| scalar(item?.get(&entry.partition_key)?));
        self.add(action, self.catalogue.arn(table), key.into_iter().collect());
    }

    fn on_index(&mut self, action: &str, table: &str, index: Option<&str>, keys: Vec<String>) {
        let table = self.catalogue.arn(table);
        let resource = match index {
            Some(index) => format!("{table}/index/{index}"),
            None => table,
        };
        self.add(action, resource, keys);
    }

    fn add(&mut self, action: &str, resource: String, keys: Vec<String>) {
        let known = self.found.entry((format!("dynamodb:{action}"), resource)).or_default();
        for key in keys {
            if !known.contains(&key) {
                known.push(key);
            }
        }
    }

    /// The value that a query's key condition compares the partition key with.
    fn queried_keys(&self, table: &str, index: Option<&str>, request: &Value) -> Vec<String> {
        let partition_key = self.catalogue.tables.get(table).and_then(|entry| match index {
            Some(index) => entry.indexes.get(index),
            None => Some(&entry.partition_key),
        });
        let Some(partition_key) = partition_key else {
            return Vec::new();
        };
        let legacy = || {
            let condition = request.get("KeyConditions")?.get(partition_key)?;
            scalar(condition.get("AttributeValueList")?.get(0)?)
        };
        let expression = text(request, "KeyConditionExpression");
        equal_to(expression, partition_key, request).or_else(legacy).into_iter().collect()
    }
}

/// Finds `name = :value` in a key condition, either way round, and looks the value up.
fn equal_to(expression: &str, attribute: &str, request: &Value) -> Option<String> {
    let spaced = expression.replace('=', " = ").replace(['(', ')', ','], " ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let is_attribute = |token: &str| {
        let named = request.get("ExpressionAttributeNames").and_then(|n| n.get(token)?.as_str());
        named.unwrap_or(token) == attribute
    };
    tokens.windows(3).find_map(|window| {
        let [left, "=", right] = window else {
            return None;
        };
        let value = match (is_attribute(left), is_attribute(right)) {
            (true, _) => right,
            (_, true) => left,
            _ => return None,
        };
        scalar(request.get("ExpressionAttributeValues")?.get(*value)?)
    })
}

/// A key's value as a policy writes it: the text of the string, number or base64.
fn scalar(value: &Value) -> Option<String> {
    value.as_object()?.values().next()?.as_str().map(str::to_owned)
}

/// The attribute of the `HASH` element of a table's or an index's key.
fn partition_key(definition: &Value) -> String {
    elements(definition.get("KeySchema"))
        .find(|element| text(element, "KeyType") == "HASH")
        .map(|element| text(element, "AttributeName").to_owned())
        .unwrap_or_default()
}

/// A request may name a table by its ARN.
fn table_name(name: &str) -> &str {
    name.rsplit_once(":table/").map_or(name, |(_, name)| name)
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

fn elements(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

fn members(value: Option<&Value>) -> impl Iterator<Item = (&str, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten().map(|(k, v)| (k.as_str(), v))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::table;
    use super::*;

    const ARN: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/tintype-Table-1";

    fn needed(operation: &str, request: &Value) -> Vec<(String, String, Vec<String>)> {
        Catalogue::new(&[table()])
            .needed(operation, request)
            .into_iter()
            .map(|a| (a.action, a.resource, a.leading_keys))
            .collect()
    }

    fn one(action: &str, resource: &str, keys: &[&str]) -> Vec<(String, String, Vec<String>)> {
        let keys = keys.iter().map(|k| (*k).to_owned()).collect();
        vec![(format!("dynamodb:{action}"), resource.to_owned(), keys)]
    }

    #[test]
    fn an_item_is_touched_under_its_partition_key() {
        let key =
            json!({ "TableName": "tintype-Table-1", "Key": { "PK": { "S": "P#1" }, "SK": { "S": "x" } } });
        assert_eq!(needed("GetItem", &key), one("GetItem", ARN, &["P#1"]));
        let by_arn = json!({ "TableName": ARN, "Item": { "PK": { "S": "P#2" } } });
        assert_eq!(needed("PutItem", &by_arn), one("PutItem", ARN, &["P#2"]));
    }

    #[test]
    fn a_query_touches_what_its_key_condition_names() {
        let query = |expression: &str| {
            json!({
                "TableName": "tintype-Table-1",
                "KeyConditionExpression": expression,
                "ExpressionAttributeNames": { "#p": "PK" },
                "ExpressionAttributeValues": { ":p": { "S": "P#1" }, ":s": { "S": "I#" } },
            })
        };
        for expression in
            ["PK=:p AND begins_with(SK,:s)", "(#p = :p) and SK = :s", "SK BETWEEN :s AND :s AND :p = PK"]
        {
            assert_eq!(needed("Query", &query(expression)), one("Query", ARN, &["P#1"]), "{expression}");
        }
        let mut index = query("GSI1PK = :p");
        index["IndexName"] = json!("GSI1");
        assert_eq!(needed("Query", &index), one("Query", &format!("{ARN}/index/GSI1"), &["P#1"]));
    }

    #[test]
    fn a_transaction_needs_the_permission_of_each_of_its_parts_once() {
        let part = |pk: &str| json!({ "TableName": "tintype-Table-1", "Key": { "PK": { "S": pk } } });
        let request = json!({ "TransactItems": [
            { "Update": part("a") },
            { "ConditionCheck": part("b") },
            { "Update": part("c") },
            { "Update": part("a") },
        ] });
        let expected = [one("UpdateItem", ARN, &["a", "c"]), one("ConditionCheckItem", ARN, &["b"])];
        assert_eq!(needed("TransactWriteItems", &request), expected.concat());
    }

    #[test]
    fn a_batch_touches_every_table_it_names_even_an_unknown_one() {
        let request = json!({ "RequestItems": {
            "Other": [{ "DeleteRequest": { "Key": { "PK": { "S": "a" } } } }],
            "tintype-Table-1": [{ "PutRequest": { "Item": { "PK": { "S": "b" } } } }],
        } });
        let other = "arn:aws:dynamodb:eu-west-1:123456789012:table/Other";
        let mut found = needed("BatchWriteItem", &request);
        found.sort();
        let expected = [one("BatchWriteItem", other, &[]), one("BatchWriteItem", ARN, &["b"])].concat();
        assert_eq!(found, expected);
    }
}
