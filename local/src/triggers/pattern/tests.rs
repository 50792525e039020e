use proptest::prelude::*;
use serde_json::json;

use super::*;

#[track_caller]
fn matches(pattern: &Value, event: &Value) -> bool {
    Pattern::parse(pattern).unwrap().matches(event)
}

#[test]
fn fields_are_anded_and_alternatives_ored() {
    let pattern = json!({ "eventName": ["INSERT", "MODIFY"], "dynamodb": { "Keys": { "PK": { "S": [{ "prefix": "P#" }] } } } });
    let record = |name: &str, pk: &str| json!({ "eventName": name, "dynamodb": { "Keys": { "PK": { "S": pk }, "SK": { "S": "e" } } } });
    assert!(matches(&pattern, &record("INSERT", "P#1")));
    assert!(matches(&pattern, &record("MODIFY", "P#1")));
    assert!(!matches(&pattern, &record("REMOVE", "P#1")));
    assert!(!matches(&pattern, &record("INSERT", "K#1")));
    assert!(!matches(&pattern, &json!({ "eventName": "INSERT" })));
}

#[test]
fn each_operator() {
    let cases = [
        (json!([null]), json!(null), true),
        (json!([null]), json!(""), false),
        (json!([""]), json!(""), true),
        (json!([5]), json!(5.0), true),
        (json!([5]), json!("5"), false),
        (json!([true]), json!(true), true),
        (json!([{ "suffix": ".png" }]), json!("a.png"), true),
        (json!([{ "suffix": { "equals-ignore-case": ".PNG" } }]), json!("a.png"), true),
        (json!([{ "prefix": { "equals-ignore-case": "IMG" } }]), json!("image"), false),
        (json!([{ "equals-ignore-case": "READY" }]), json!("Ready"), true),
        (json!([{ "anything-but": "ready" }]), json!("failed"), true),
        (json!([{ "anything-but": ["ready", "failed"] }]), json!("failed"), false),
        (json!([{ "anything-but": [1, 2] }]), json!(3), true),
        (json!([{ "anything-but": { "prefix": "image." } }]), json!("image.ready"), false),
        (json!([{ "anything-but": { "prefix": ["a", "b"] } }]), json!("c"), true),
        (json!([{ "numeric": [">", 0, "<=", 5] }]), json!(5), true),
        (json!([{ "numeric": [">", 0, "<=", 5] }]), json!(0), false),
        (json!([{ "numeric": ["=", 3.0] }]), json!(3), true),
        (json!([{ "numeric": ["=", 3] }]), json!("3"), false),
        (json!([{ "exists": true }]), json!(null), true),
        (json!([{ "exists": true }]), json!({ "a": 1 }), false),
        (json!([{ "exists": false }]), json!([]), true),
        (json!(["b"]), json!(["a", "b"]), true),
        (json!(["c"]), json!(["a", "b"]), false),
    ];
    for (tests, value, expected) in cases {
        let pattern = json!({ "field": tests });
        assert_eq!(matches(&pattern, &json!({ "field": value })), expected, "{pattern} on {value}");
    }
}

#[test]
fn an_absent_field_passes_exists_false_alone() {
    for (tests, expected) in [
        (json!([{ "exists": false }]), true),
        (json!([{ "exists": true }]), false),
        (json!([{ "anything-but": "a" }]), false),
        (json!([null]), false),
    ] {
        assert_eq!(matches(&json!({ "a": { "b": tests } }), &json!({})), expected);
    }
}

#[test]
fn objects_in_lists_match_as_wholes() {
    let pattern = json!({ "items": { "kind": ["a"], "size": [1] } });
    assert!(matches(&pattern, &json!({ "items": [{ "kind": "b" }, { "kind": "a", "size": 1 }] })));
    assert!(!matches(
        &pattern,
        &json!({ "items": [{ "kind": "a", "size": 2 }, { "kind": "b", "size": 1 }] })
    ));
}

#[test]
fn or_chooses_between_fields() {
    let pattern =
        json!({ "source": ["s3"], "$or": [{ "size": [{ "numeric": [">", 10] }] }, { "kind": ["raw"] }] });
    assert!(matches(&pattern, &json!({ "source": "s3", "size": 11 })));
    assert!(matches(&pattern, &json!({ "source": "s3", "size": 1, "kind": "raw" })));
    assert!(!matches(&pattern, &json!({ "source": "s3", "size": 1 })));
    assert!(!matches(&pattern, &json!({ "source": "sqs", "size": 11 })));
}

#[test]
fn the_body_of_a_message_is_text_or_json_as_the_pattern_takes_it() {
    let inside = Pattern::parse(&json!({ "body": { "kind": ["a"] } })).unwrap();
    let text = Pattern::parse(&json!({ "body": ["plain"] })).unwrap();
    let other = Pattern::parse(&json!({ "attributes": { "SenderId": ["me"] } })).unwrap();
    let message = |body: &str| json!({ "body": body, "attributes": { "SenderId": "me" } });
    for (body, expected) in [
        (r#"{"kind":"a"}"#, [true, false, true]),
        (r#"{"kind":"b"}"#, [false, false, true]),
        ("plain", [false, true, true]),
        ("other", [false, false, true]),
    ] {
        let record = message(body);
        assert_eq!(
            [&inside, &text, &other].map(|pattern| pattern.matches_message(&record)),
            expected,
            "{body}"
        );
    }
}

#[test]
fn no_filters_let_everything_pass() {
    assert!(Filters::parse(&[]).unwrap().pass(&json!({})));
    let filters = Filters::parse(&[json!({ "a": [1] }), json!({ "a": [2] })]).unwrap();
    assert!(filters.pass(&json!({ "a": 2 })));
    assert!(!filters.pass(&json!({ "a": 3 })));
}

#[test]
fn what_is_not_a_pattern_is_refused() {
    for (pattern, path) in [
        (json!([]), "pattern"),
        (json!({ "a": "x" }), "pattern.a"),
        (json!({ "a": [] }), "pattern.a"),
        (json!({ "a": {} }), "pattern.a"),
        (json!({ "a": { "b": 5 } }), "pattern.a.b"),
        (json!({ "a": [["x"]] }), "pattern.a"),
        (json!({ "a": [{ "wildcard": "*x" }] }), "pattern.a.wildcard"),
        (json!({ "a": [{ "prefix": 5 }] }), "pattern.a.prefix"),
        (json!({ "a": [{ "numeric": [">"] }] }), "pattern.a.numeric"),
        (json!({ "a": [{ "numeric": ["~", 1] }] }), "pattern.a.numeric"),
        (json!({ "a": [{ "exists": "yes" }] }), "pattern.a.exists"),
        (json!({ "a": [{ "anything-but": [[1]] }] }), "pattern.a.anything-but"),
        (json!({ "a": [{ "prefix": "x", "suffix": "y" }] }), "pattern.a"),
        (json!({ "$or": [{}] }), "pattern.$or"),
    ] {
        assert_eq!(Pattern::parse(&pattern).unwrap_err().path, path, "{pattern}");
    }
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i32..3).prop_map(Value::from),
        "[ab]{0,2}".prop_map(Value::from),
    ]
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![scalar(), prop::collection::vec(scalar(), 1..3).prop_map(Value::from)];
    let object = |inner| {
        prop::collection::btree_map("[xyz]", inner, 0..4)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
            .boxed()
    };
    object(leaf.prop_recursive(3, 12, 3, object).boxed())
}

/// The pattern that asks for exactly what an event says.
fn pattern_of(event: &Value) -> Option<Value> {
    match event {
        Value::Object(object) if object.is_empty() => None,
        Value::Object(object) => {
            Some(object.iter().filter_map(|(key, value)| Some((key.clone(), pattern_of(value)?))).collect())
                .filter(|pattern: &Value| pattern != &json!({}))
        }
        Value::Array(items) => Some(Value::from(items.clone())),
        scalar => Some(json!([scalar])),
    }
}

proptest! {
    #[test]
    fn an_event_matches_the_pattern_that_asks_for_it(event in document()) {
        let pattern = pattern_of(&event).unwrap_or(json!({}));
        prop_assert!(matches(&pattern, &event));
    }

    #[test]
    fn more_fields_in_the_event_change_nothing(event in document(), extra in scalar()) {
        let pattern = pattern_of(&event).unwrap_or(json!({}));
        let mut more = event;
        more["other"] = extra;
        prop_assert!(matches(&pattern, &more));
    }

    #[test]
    fn exists_is_true_or_false_of_everything(event in document()) {
        let is = |expected: bool| matches(&json!({ "x": [{ "exists": expected }] }), &event);
        prop_assert_ne!(is(true), is(false));
    }

    #[test]
    fn anything_but_is_the_opposite_of_equals(value in scalar(), excluded in "[ab]{0,2}") {
        let event = json!({ "x": value });
        prop_assert_ne!(
            matches(&json!({ "x": [{ "anything-but": excluded }] }), &event),
            matches(&json!({ "x": [excluded] }), &event)
        );
    }

    #[test]
    fn or_is_either(event in document(), left in document(), right in document()) {
        if let (Some(left), Some(right)) = (pattern_of(&left), pattern_of(&right)) {
            let either = matches(&json!({ "$or": [left.clone(), right.clone()] }), &event);
            prop_assert_eq!(either, matches(&left, &event) || matches(&right, &event));
        }
    }
}
