//! What lists ask of the table.

use super::*;
use crate::domain::UserId;
use crate::domain::page::{Filter, ListQuery, ListedState, Order, Position, TagQuery};

fn project() -> ProjectId {
    ProjectId::new(Ulid(3))
}

fn image_id(id: u128) -> ImageId {
    ImageId::new(Ulid(id))
}

fn at_image(id: u128) -> Position {
    Position { image: image_id(id), trashed_at: None }
}

fn query(filter: Filter) -> ListQuery {
    let (created_after, created_before) = (None, None);
    ListQuery { filter, created_after, created_before, order: Order::Newest, limit: 2, after: None }
}

fn summary(id: u128, state: &str) -> Value {
    json!({ "M": {
        "id": { "S": image_id(id) },
        "upload": { "S": UPLOAD },
        "state": { "S": state },
        "visibility": { "S": "public" },
        "created_at": { "S": "2026-11-21T05:00:00.000Z" },
    } })
}

fn page(ids: &[u128]) -> (u16, Value) {
    let row = |id: &u128| json!({ "GSI1SK": { "S": image_id(*id) }, "summary": summary(*id, "ready") });
    (200, json!({ "Items": ids.iter().map(row).collect::<Vec<_>>() }))
}

fn ids(rows: &[crate::domain::summary::ImageSummary]) -> Vec<ImageId> {
    rows.iter().map(|row| row.id).collect()
}

#[tokio::test]
async fn a_page_ends_where_the_next_begins() {
    let wire = Wire::answering([page(&[9, 8, 7]), page(&[7, 6])]);
    let store = wire.store();
    let first = store.list_images(project(), &query(Filter::Live)).await.unwrap();
    assert_eq!(ids(&first.rows), [9, 8].map(image_id));
    assert_eq!(first.after, Some(at_image(8)));
    let next = ListQuery { after: first.after, ..query(Filter::Live) };
    let last = store.list_images(project(), &next).await.unwrap();
    assert_eq!((last.rows.len(), last.after), (2, None));

    let sent = wire.sent();
    assert_eq!((&sent[0].1["Limit"], &sent[0].1["ScanIndexForward"]), (&json!(3), &json!(false)));
    assert_eq!(sent[0].1["ExclusiveStartKey"], Value::Null);
    let start = "img_00000000000000000000000008";
    assert_eq!(
        sent[1].1["ExclusiveStartKey"],
        json!({
            "PK": { "S": format!("P#{PROJECT}#I#{start}") },
            "SK": { "S": "IMAGE" },
            "GSI1PK": { "S": format!("P#{PROJECT}#IMAGE") },
            "GSI1SK": { "S": start },
        })
    );
}

#[tokio::test]
async fn each_filter_is_a_partition_and_a_page_goes_on_in_it() {
    let tag = Filter::Tag("sea".parse().unwrap());
    let owner = Filter::Owner("anna".parse::<UserId>().unwrap());
    let trashed = Position { image: image_id(8), trashed_at: Some(at(1)) };
    let time = "2026-11-21T05:00:01.000Z#";
    for (filter, after, index, partition, sort, before) in [
        (Filter::Live, at_image(8), "GSI1", "IMAGE", "IMAGE", ""),
        (tag, at_image(8), "GSI1", "TAG#sea", "TAG#sea", ""),
        (owner, at_image(8), "GSI1", "OWNER#anna", "OWNER#anna", ""),
        (Filter::State(ListedState::Trashed), trashed, "GSI1", "TRASH", "IMAGE", time),
        (Filter::State(ListedState::Pending), at_image(8), "GSI2", "STATE#pending", "IMAGE", ""),
        (Filter::State(ListedState::Processing), at_image(8), "GSI2", "STATE#processing", "IMAGE", ""),
        (Filter::State(ListedState::Failed), at_image(8), "GSI2", "STATE#failed", "IMAGE", ""),
    ] {
        let wire = Wire::default();
        let query = ListQuery { after: Some(after), order: Order::Oldest, ..query(filter) };
        assert_eq!(wire.store().list_images(project(), &query).await.unwrap().rows, []);
        let sent = wire.sent();
        assert_eq!(sent.len(), 1, "an empty page asks for no images");
        let (operation, asked) = &sent[0];
        assert_eq!((operation.as_str(), &asked["IndexName"]), ("Query", &json!(index)));
        assert_eq!(asked["ScanIndexForward"], true);
        assert_eq!(asked["KeyConditionExpression"], format!("{index}PK = :partition"));
        let (partition, id) = (format!("P#{PROJECT}#{partition}"), image_id(8));
        assert_eq!(asked["ExpressionAttributeValues"], json!({ ":partition": { "S": partition } }));
        let mut start = json!({ "PK": { "S": format!("P#{PROJECT}#I#{id}") }, "SK": { "S": sort } });
        start[format!("{index}PK")] = json!({ "S": partition });
        start[format!("{index}SK")] = json!({ "S": format!("{before}{id}") });
        assert_eq!(asked["ExclusiveStartKey"], start);
    }
}

#[tokio::test]
async fn a_range_of_time_is_a_range_of_keys() {
    let first = |secs| ImageId::first_of(at(secs)).to_string();
    let last = ImageId::first_of(at(9)).previous().unwrap().to_string();
    for (after, before, condition, values) in [
        (Some(at(5)), None, " AND GSI1SK >= :from", json!({ ":from": { "S": first(5) } })),
        (None, Some(at(9)), " AND GSI1SK < :before", json!({ ":before": { "S": first(9) } })),
        (
            Some(at(5)),
            Some(at(9)),
            " AND GSI1SK BETWEEN :from AND :last",
            json!({ ":from": { "S": first(5) }, ":last": { "S": last } }),
        ),
    ] {
        let wire = Wire::default();
        let query = ListQuery { created_after: after, created_before: before, ..query(Filter::Live) };
        wire.store().list_images(project(), &query).await.unwrap();
        let asked = &wire.sent()[0].1;
        assert_eq!(asked["KeyConditionExpression"], format!("GSI1PK = :partition{condition}"));
        let mut values = values;
        values[":partition"] = json!({ "S": format!("P#{PROJECT}#IMAGE") });
        assert_eq!(asked["ExpressionAttributeValues"], values);
    }
}

#[tokio::test]
async fn an_empty_range_asks_nothing() {
    for (after, before) in [(at(5), at(5)), (at(6), at(5)), (Time::from_secs(0), Time::from_secs(0))] {
        let wire = Wire::default();
        let range =
            ListQuery { created_after: Some(after), created_before: Some(before), ..query(Filter::Live) };
        let page = wire.store().list_images(project(), &range).await.unwrap();
        assert_eq!((page.rows, page.after, wire.sent().len()), (vec![], None, 0));
    }
}

fn batch(rows: &[(u128, &str)], left: &[u128]) -> (u16, Value) {
    let found = rows.iter().map(|(id, state)| json!({ "summary": summary(*id, state) }));
    let key = |id: &u128| json!({ "PK": { "S": format!("P#{PROJECT}#I#{}", image_id(*id)) }, "SK": { "S": "IMAGE" } });
    let mut answer = json!({ "Responses": { "table": found.collect::<Vec<_>>() } });
    if !left.is_empty() {
        let keys: Vec<_> = left.iter().map(key).collect();
        answer["UnprocessedKeys"] = json!({ "table": { "Keys": keys, "ProjectionExpression": "summary" } });
    }
    (200, answer)
}

#[tokio::test]
async fn a_page_of_a_tag_is_a_query_and_a_batch_in_the_querys_order() {
    let tag = Filter::Tag("sea".parse().unwrap());
    let wire = Wire::answering([page(&[9, 8, 7]), batch(&[(8, "ready"), (9, "failed")], &[])]);
    let found = wire.store().list_images(project(), &query(tag)).await.unwrap();
    assert_eq!(ids(&found.rows), [9, 8].map(image_id));
    assert_eq!(found.after, Some(at_image(8)));
    let sent = wire.sent();
    let operations: Vec<_> = sent.iter().map(|(operation, _)| operation.as_str()).collect();
    assert_eq!(operations, ["Query", "BatchGetItem"]);
    let asked = &sent[1].1["RequestItems"]["table"];
    assert_eq!(
        (asked["Keys"].as_array().unwrap().len(), &asked["ProjectionExpression"]),
        (2, &json!("summary"))
    );
}

#[tokio::test]
async fn what_left_a_list_since_the_index_was_written_is_no_row_of_it() {
    let owner = Filter::Owner("anna".parse().unwrap());
    let wire = Wire::answering([page(&[9, 8, 7]), batch(&[(9, "trashed")], &[])]);
    let found = wire.store().list_images(project(), &query(owner)).await.unwrap();
    assert_eq!((found.rows, found.after), (vec![], Some(at_image(8))), "the page goes on all the same");
}

#[tokio::test]
async fn what_a_batch_leaves_is_asked_for_again_but_not_for_ever() {
    let tag = || Filter::Tag("sea".parse().unwrap());
    let wire = Wire::answering([page(&[9, 8]), batch(&[(9, "ready")], &[8]), batch(&[(8, "ready")], &[])]);
    let found = wire.store().list_images(project(), &query(tag())).await.unwrap();
    assert_eq!(ids(&found.rows), [9, 8].map(image_id));
    assert_eq!(wire.sent()[2].1["RequestItems"]["table"]["Keys"].as_array().unwrap().len(), 1);

    let endless = std::iter::repeat_with(|| batch(&[], &[9])).take(9);
    let wire = Wire::answering([page(&[9])].into_iter().chain(endless));
    let error = wire.store().list_images(project(), &query(tag())).await.unwrap_err();
    assert!(error.throttled);
    assert_eq!(wire.sent().len(), 6);
}

fn tags(rows: &[(&str, i64)], more: bool) -> (u16, Value) {
    let row =
        |(tag, images): &(&str, i64)| json!({ "tag": { "S": tag }, "images": { "N": images.to_string() } });
    let mut answer = json!({ "Items": rows.iter().map(row).collect::<Vec<_>>() });
    if more {
        let last = format!("TAG#{}", rows[rows.len() - 1].0);
        answer["LastEvaluatedKey"] = json!({ "PK": { "S": format!("P#{PROJECT}") }, "SK": { "S": last } });
    }
    (200, answer)
}

#[tokio::test]
async fn tags_that_nothing_has_any_more_are_not_shown_and_do_not_shorten_a_page() {
    let wire =
        Wire::answering([tags(&[("a", 0), ("b", 2), ("c", 0)], true), tags(&[("d", 1), ("e", 1)], true)]);
    let query = TagQuery { prefix: String::new(), limit: 2, after: None };
    let page = wire.store().list_tags(project(), &query).await.unwrap();
    let shown: Vec<_> = page.rows.iter().map(|row| (row.tag.as_str(), row.images)).collect();
    assert_eq!(shown, [("b", 2), ("d", 1)]);
    assert_eq!(page.after.map(String::from).as_deref(), Some("d"));
    let sent = wire.sent();
    assert_eq!(sent[0].1["Limit"], 3);
    assert_eq!(sent[1].1["ExclusiveStartKey"]["SK"], json!({ "S": "TAG#c" }));

    let wire = Wire::answering([tags(&[("e", 1), ("f", 0)], false)]);
    let query = TagQuery { prefix: "e".into(), limit: 2, after: Some("d".parse().unwrap()) };
    let page = wire.store().list_tags(project(), &query).await.unwrap();
    assert_eq!((page.rows.len(), page.after), (1, None));
    let asked = &wire.sent()[0].1;
    assert_eq!(asked["ExpressionAttributeValues"][":prefix"], json!({ "S": "TAG#e" }));
    assert_eq!(asked["ExclusiveStartKey"]["SK"], json!({ "S": "TAG#d" }));
}

#[tokio::test]
async fn a_page_of_nothing_but_old_tags_leads_on() {
    let old = || tags(&[("a", 0), ("b", 0)], true);
    let wire = Wire::answering([old(), old(), old(), old(), old()]);
    let query = TagQuery { prefix: String::new(), limit: 1, after: None };
    let page = wire.store().list_tags(project(), &query).await.unwrap();
    assert_eq!((page.rows.len(), wire.sent().len()), (0, 4));
    assert_eq!(page.after.map(String::from).as_deref(), Some("b"));
}
