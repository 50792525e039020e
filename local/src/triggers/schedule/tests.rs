use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;
use crate::triggers::fakes::Fakes;

#[track_caller]
fn next(expression: &str, after: &str) -> String {
    let expression = Expression::parse(expression).unwrap();
    expression.next_after(after.parse().unwrap()).map_or_else(|| "never".to_owned(), |time| time.to_string())
}

#[test]
fn rates() {
    assert_eq!(next("rate(1 minute)", "2026-03-01T10:00:30Z"), "2026-03-01T10:01:30Z");
    assert_eq!(next("rate(5 minutes)", "2026-03-01T10:00:00Z"), "2026-03-01T10:05:00Z");
    assert_eq!(next("rate(12 hours)", "2026-03-01T10:00:00Z"), "2026-03-01T22:00:00Z");
    assert_eq!(next("rate(7 days)", "2026-03-01T10:00:00Z"), "2026-03-08T10:00:00Z");
}

#[test]
fn the_cron_expressions_of_the_manual() {
    // 2026-03-01 is a Sunday.
    for (expression, after, expected) in [
        ("cron(0 10 * * ? *)", "2026-03-01T10:00:00Z", "2026-03-02T10:00:00Z"),
        ("cron(15 12 * * ? *)", "2026-03-01T10:00:00Z", "2026-03-01T12:15:00Z"),
        ("cron(0 18 ? * MON-FRI *)", "2026-03-01T10:00:00Z", "2026-03-02T18:00:00Z"),
        ("cron(0 8 1 * ? *)", "2026-03-01T10:00:00Z", "2026-04-01T08:00:00Z"),
        ("cron(0/15 * * * ? *)", "2026-03-01T10:01:00Z", "2026-03-01T10:15:00Z"),
        ("cron(0/5 8-17 ? * 2-6 *)", "2026-03-06T17:55:00Z", "2026-03-09T08:00:00Z"),
        ("cron(0 4 ? * 1 *)", "2026-03-01T10:00:00Z", "2026-03-08T04:00:00Z"),
        ("cron(0 4 ? * 7 *)", "2026-03-01T10:00:00Z", "2026-03-07T04:00:00Z"),
        ("cron(0 4 ? * SUN *)", "2026-03-01T10:00:00Z", "2026-03-08T04:00:00Z"),
        ("cron(0 4 ? * L *)", "2026-03-01T10:00:00Z", "2026-03-07T04:00:00Z"),
        ("cron(0 4 L * ? *)", "2026-02-01T10:00:00Z", "2026-02-28T04:00:00Z"),
        ("cron(0 4 ? * 6L *)", "2026-03-01T10:00:00Z", "2026-03-27T04:00:00Z"),
        ("cron(0 4 ? * 3#2 *)", "2026-03-01T10:00:00Z", "2026-03-10T04:00:00Z"),
        // The 15th is a Sunday, the nearest weekday Monday the 16th.
        ("cron(0 4 15W * ? *)", "2026-03-01T10:00:00Z", "2026-03-16T04:00:00Z"),
        ("cron(0 4 1 jan,Jul ? *)", "2026-03-01T10:00:00Z", "2026-07-01T04:00:00Z"),
        ("cron(0 4 29 2 ? *)", "2026-03-01T10:00:00Z", "2028-02-29T04:00:00Z"),
        ("cron(0 4 1 1 ? 2027-2030)", "2028-03-01T10:00:00Z", "2029-01-01T04:00:00Z"),
        ("cron(0 4 1 1 ? 2025)", "2026-03-01T10:00:00Z", "never"),
    ] {
        assert_eq!(next(expression, after), expected, "{expression}");
    }
}

#[test]
fn what_aws_refuses_is_refused() {
    for expression in [
        "every minute",
        "at(2026-01-01T00:00:00)",
        "rate(0 minutes)",
        "rate(1 minutes)",
        "rate(5 minute)",
        "rate(5 seconds)",
        "rate(-5 minutes)",
        "cron(* * * * *)",
        "cron(0 0 * * ? * *)",
        "cron(0 4 * * * *)",
        "cron(0 4 ? * ? *)",
        "cron(60 4 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 4 ? * 0 *)",
        "cron(0 4 ? * 8 *)",
        "cron(0 4 32 * ? *)",
        "cron(0 4 ? * +2 *)",
        "cron(@daily 4 * * ? *)",
        "cron(a b c d ? f)",
        "cron()",
        "",
    ] {
        assert!(Expression::parse(expression).is_err(), "{expression}");
    }
}

proptest! {
    #[test]
    fn next_is_later_and_nothing_lies_between(
        minute in 0_i32..60, hour in 0_i32..24, weekday in 1_i32..8, now in 1_600_000_000_i64..2_000_000_000,
    ) {
        let expression = Expression::parse(&format!("cron({minute} {hour} ? * {weekday} *)")).unwrap();
        let now = Timestamp::from_second(now).unwrap();
        let next = expression.next_after(now).unwrap();
        prop_assert!(next > now && next.duration_since(now) <= SignedDuration::from_hours(7 * 24));
        let zoned = next.to_zoned(TimeZone::UTC);
        prop_assert_eq!((i32::from(zoned.hour()), i32::from(zoned.minute())), (hour, minute));
        prop_assert_eq!(i32::from(zoned.weekday().to_sunday_one_offset()), weekday);
    }

    #[test]
    fn no_expression_panics(text in "(rate|cron)\\([0-9A-Z?*/#,LW -]{0,20}\\)") {
        if let Ok(expression) = Expression::parse(&text) {
            let _ = expression.next_after(Timestamp::UNIX_EPOCH);
        }
    }
}

/// A clock that jumps to wherever somebody waits for, and stops at the end.
#[derive(Debug, Clone)]
struct Jumping {
    now: Arc<Mutex<Timestamp>>,
    end: Timestamp,
}

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    async fn sleep_until(&self, time: Timestamp) {
        if time > self.end {
            std::future::pending::<()>().await;
        }
        let mut now = self.now.lock().unwrap();
        *now = time.max(*now);
    }
}

fn function(name: &str, schedules: &[(&str, &str, Option<Value>)]) -> Function {
    let triggers = schedules.iter().map(|(arn, expression, input)| {
        Trigger::Schedule(Schedule {
            arn: (*arn).to_owned(),
            expression: (*expression).to_owned(),
            input: input.clone(),
        })
    });
    Function {
        name: name.to_owned(),
        arn: String::new(),
        binary: String::new(),
        timeout: Duration::from_secs(3),
        memory_mb: 128,
        environment: std::collections::BTreeMap::new(),
        statements: Vec::new(),
        triggers: triggers.collect(),
    }
}

fn timers(functions: &[Function], fakes: &Fakes) -> Timers<Fakes, Jumping> {
    let start: Timestamp = "2026-03-01T10:00:00Z".parse().unwrap();
    let end = "2026-03-01T10:31:00Z".parse().unwrap();
    Timers::new(functions, fakes.clone(), Jumping { now: Arc::new(Mutex::new(start)), end }).unwrap()
}

const RULE: &str = "arn:aws:events:eu-west-1:000000000000:rule/tintype-SweepTimer";
const SCHEDULE: &str = "arn:aws:scheduler:eu-west-1:000000000000:schedule/default/tintype-SweepDaily";

#[tokio::test]
async fn timers_fire_when_their_time_has_come() {
    let fakes = Fakes::new(|_| Err("a failure changes nothing".to_owned()));
    let timers = timers(&[function("Sweep", &[(RULE, "rate(10 minutes)", None)])], &fakes);
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { timers.run(&stop).await }
    });
    fakes.until("three events", |state| state.events.len() == 3).await;
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), running).await.unwrap().unwrap();
    let events = fakes.state().events.clone();
    let fired: Vec<&str> = events.iter().filter_map(|event| event["time"].as_str()).collect();
    assert_eq!(fired, ["2026-03-01T10:10:00Z", "2026-03-01T10:20:00Z", "2026-03-01T10:30:00Z"]);
    assert_eq!(events[0]["source"], "aws.events");
    assert_eq!(events[0]["resources"], json!([RULE]));
    assert_eq!(events[0]["detail"], json!({}));
}

#[tokio::test]
async fn timers_are_fired_by_hand() {
    let fakes = Fakes::new(|_| Ok("\"done\"".to_owned()));
    let input = Some(json!({ "full": true }));
    let timers = timers(
        &[
            function("Sweep", &[(RULE, "rate(1 hour)", None), (SCHEDULE, "cron(0 4 * * ? *)", None)]),
            function("Reconcile", &[("arn:rule/tintype-ReconcileNightly", "rate(1 day)", input)]),
        ],
        &fakes,
    );
    assert_eq!(timers.fire("Reconcile").await.unwrap(), "\"done\"");
    assert_eq!(timers.fire("tintype-SweepDaily").await.unwrap(), "\"done\"");
    let events = fakes.state().events.clone();
    assert_eq!(events[0], json!({ "full": true }));
    assert_eq!((&events[1]["source"], &events[1]["detail"]), (&json!("aws.scheduler"), &json!("{}")));

    let ambiguous = timers.fire("Sweep").await.unwrap_err().to_string();
    assert!(ambiguous.contains("tintype-SweepTimer, tintype-SweepDaily"), "{ambiguous}");
    let failing = Fakes::new(|_| Err("crash".to_owned()));
    let timers = self::timers(&[function("Sweep", &[(RULE, "rate(1 hour)", None)])], &failing);
    assert!(matches!(timers.fire("Sweep").await, Err(FireError::Failed { .. })));
}

#[test]
fn event_ids_are_version_4_uuids() {
    let id = event_id();
    assert_eq!(id.len(), 36);
    assert_eq!(id.as_bytes()[14], b'4');
    assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{id}");
}
