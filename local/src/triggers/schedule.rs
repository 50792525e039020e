//! Timers: `rate(...)` and `cron(...)`, in UTC.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html>

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Failure, Invoke};
use crate::template::model::{Function, Schedule, Trigger};
use crate::template::names::{ACCOUNT, REGION};

/// Why an expression is not one.
#[derive(Debug, thiserror::Error)]
pub enum ExpressionError {
    /// Neither `rate(...)` nor `cron(...)`.
    #[error("expected `rate(...)` or `cron(...)`")]
    Form,
    /// A rate that is not one.
    #[error("expected `rate(1 minute)`, `rate(5 minutes)`, and `hour` or `day` likewise")]
    Rate,
    /// A cron expression with other than six fields.
    #[error("expected six fields: minutes, hours, day of month, month, day of week, year")]
    Fields,
    /// Both days are given, or neither.
    #[error("exactly one of day of month and day of week must be `?`")]
    Days,
    /// A field that cannot be read.
    #[error("a field cannot be read")]
    Field {
        /// Why.
        source: croner::errors::CronError,
    },
}

/// When a timer fires.
#[derive(Debug, Clone)]
pub enum Expression {
    /// At this interval, counted from the start.
    Rate(SignedDuration),
    /// At these times of the calendar.
    Cron(Box<Cron>),
}

impl Expression {
    /// Reads an expression.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        let inner = |name: &str| text.trim().strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(rate) = inner("rate") {
            return parse_rate(rate);
        }
        parse_cron(inner("cron").ok_or(ExpressionError::Form)?)
    }

    /// The first time after another at which it fires; `None` if there is none.
    pub fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Rate(interval) => time.checked_add(*interval).ok(),
            Self::Cron(cron) => {
                let next = cron.find_next_occurrence(&time.to_zoned(TimeZone::UTC), false).ok()?;
                Some(next.timestamp())
            }
        }
    }
}

fn parse_rate(rate: &str) -> Result<Expression, ExpressionError> {
    let (value, unit) = rate.trim().split_once(' ').ok_or(ExpressionError::Rate)?;
    let value: u32 = value.parse().map_err(|_| ExpressionError::Rate)?;
    // AWS insists on the grammar: `1 minute`, `2 minutes`.
    let minutes = match (value, unit.trim()) {
        (1, "minute") | (2.., "minutes") => 1,
        (1, "hour") | (2.., "hours") => 60,
        (1, "day") | (2.., "days") => 24 * 60,
        _ => return Err(ExpressionError::Rate),
    };
    Ok(Expression::Rate(SignedDuration::from_mins(minutes * i64::from(value))))
}

/// AWS counts the days of the week from 1 = Sunday, has a year and no seconds, and takes `L` alone for
/// the last day of the week, Saturday.
fn parse_cron(cron: &str) -> Result<Expression, ExpressionError> {
    let fields: Vec<&str> = cron.split_whitespace().collect();
    let [minutes, hours, day, month, weekday, year] = fields.as_slice() else {
        return Err(ExpressionError::Fields);
    };
    if (*day == "?") == (*weekday == "?") {
        return Err(ExpressionError::Days);
    }
    let weekday = if weekday.eq_ignore_ascii_case("L") { "7" } else { weekday };
    // What the parser takes and AWS does not: nicknames and "both days".
    if cron.contains(['@', '+']) {
        return Err(ExpressionError::Fields);
    }
    let parser = CronParser::builder()
        .seconds(Seconds::Required)
        .year(Year::Required)
        .alternative_weekdays(true)
        .sloppy_ranges(true)
        .build();
    parser
        .parse(&format!("0 {minutes} {hours} {day} {month} {weekday} {year}"))
        .map(|cron| Expression::Cron(Box::new(cron)))
        .map_err(|source| ExpressionError::Field { source })
}

/// What the time is, and waiting for another.
pub trait Clock: Clone + Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Waits until a time has come.
    fn sleep_until(&self, time: Timestamp) -> impl Future<Output = ()> + Send;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep_until(&self, time: Timestamp) {
        // In short steps: timers stand still while a laptop sleeps, the calendar does not.
        const STEP: Duration = Duration::from_secs(15);
        while let Ok(left) = Duration::try_from(time.duration_since(self.now()))
            && !left.is_zero()
        {
            tokio::time::sleep(left.min(STEP)).await;
        }
    }
}

/// One timer of a function.
#[derive(Debug, Clone)]
struct Timer {
    /// The rule's name, the last part of its ARN.
    name: String,
    function: String,
    expression: Expression,
    schedule: Schedule,
}

/// All timers of a stack.
#[derive(Debug, Clone)]
pub struct Timers<F, C> {
    all: Vec<Timer>,
    functions: F,
    clock: C,
}

/// Why a timer was not fired by hand.
#[derive(Debug, thiserror::Error)]
pub enum FireError {
    /// No timer, or more than one, has this name.
    #[error("no single timer is called `{name}`; there are {}", known.join(", "))]
    Unknown {
        /// The name as given.
        name: String,
        /// The names of the timers.
        known: Vec<String>,
    },
    /// The function failed.
    #[error("the function `{function}` failed")]
    Failed {
        /// The function.
        function: String,
        /// Why.
        source: Failure,
    },
}

impl<F: Invoke, C: Clock> Timers<F, C> {
    /// The timers among the functions' triggers.
    pub fn new(functions: &[Function], invoke: F, clock: C) -> Result<Self, ExpressionError> {
        let mut timers = Vec::new();
        for function in functions {
            for trigger in &function.triggers {
                let Trigger::Schedule(schedule) = trigger else {
                    continue;
                };
                timers.push(Timer {
                    name: schedule.arn.rsplit('/').next().unwrap_or_default().to_owned(),
                    function: function.name.clone(),
                    expression: Expression::parse(&schedule.expression)?,
                    schedule: schedule.clone(),
                });
            }
        }
        Ok(Self { all: timers, functions: invoke, clock })
    }

    /// Every timer's name, function and next time, seen from now.
    pub fn upcoming(&self) -> impl Iterator<Item = (&str, &str, Option<Timestamp>)> {
        let now = self.clock.now();
        self.all.iter().map(move |timer| {
            (timer.name.as_str(), timer.function.as_str(), timer.expression.next_after(now))
        })
    }

    /// Fires the timers when their times come, until the token is cancelled and the invocations under
    /// way are done.
    pub async fn run(&self, stop: &CancellationToken) {
        futures::future::join_all(self.all.iter().map(|timer| self.run_one(timer, stop))).await;
    }

    async fn run_one(&self, timer: &Timer, stop: &CancellationToken) {
        let mut due = timer.expression.next_after(self.clock.now());
        while let Some(time) = due {
            if stop.run_until_cancelled(self.clock.sleep_until(time)).await.is_none() {
                return;
            }
            if let Err(error) = self.invoke(timer, time).await {
                tracing::warn!(function = timer.function, error, "a scheduled invocation failed");
            }
            due = timer.expression.next_after(time);
            // What came due while the function ran, or while the machine slept, is not made up for.
            let now = self.clock.now();
            while let Some(missed) = due.filter(|due| *due < now) {
                due = match timer.expression {
                    Expression::Cron(_) => timer.expression.next_after(now),
                    Expression::Rate(_) => timer.expression.next_after(missed),
                };
            }
        }
    }

    /// Fires a timer now, by its own name or by its function's.
    pub async fn fire(&self, name: &str) -> Result<Bytes, FireError> {
        let named = |timer: &&Timer| timer.name == name || timer.function == name;
        let mut found = self.all.iter().filter(named);
        let (Some(timer), None) = (found.next(), found.next()) else {
            let known = self.all.iter().map(|timer| timer.name.clone()).collect();
            return Err(FireError::Unknown { name: name.to_owned(), known });
        };
        let function = timer.function.clone();
        self.invoke(timer, self.clock.now()).await.map_err(|source| FireError::Failed { function, source })
    }

    async fn invoke(&self, timer: &Timer, time: Timestamp) -> Result<Bytes, Failure> {
        let event = event(&timer.schedule, time).to_string();
        self.functions.invoke(&timer.function, Bytes::from(event)).await
    }
}

/// The event, if the template does not fix it. `EventBridge` Scheduler's differs from the rules' in its
/// source, and in that its `detail` is text.
fn event(schedule: &Schedule, time: Timestamp) -> Value {
    if let Some(input) = &schedule.input {
        return input.clone();
    }
    let scheduler = schedule.arn.starts_with("arn:aws:scheduler:");
    json!({
        "version": "0",
        "id": event_id(),
        "detail-type": "Scheduled Event",
        "source": if scheduler { "aws.scheduler" } else { "aws.events" },
        "account": ACCOUNT,
        "time": format!("{time:.0}"),
        "region": REGION,
        "resources": [schedule.arn],
        "detail": if scheduler { json!("{}") } else { json!({}) },
    })
}

/// A random UUID (RFC 9562, version 4).
fn event_id() -> String {
    let bits = rand::random::<u128>() & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests;
