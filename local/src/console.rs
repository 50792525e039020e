//! One readable stream of everything that happens: the functions' logs, their invocations and the
//! stack's own events.
//!
//! A function logs JSON lines, as it does in production. Here they become
//! `12:00:01.250 GetImage     INFO  image found image=img_01J`; a line that is not JSON, such as a
//! panic, is printed as it came. [`Format::Json`] passes everything on as JSON lines for scripts.

#[cfg(test)]
pub(crate) mod tests;

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// How the stream looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people; coloured if standard error is a terminal and `NO_COLOR` is unset.
    Text,
    /// One JSON object a line, for scripts.
    Json,
}

/// The stream of logs, on standard error. Clones write to the same stream.
///
/// It is a [`Layer`] too, so that the stack's own `tracing` events end up in the same place.
#[derive(Clone)]
pub struct Console(Arc<Stream>);

struct Stream {
    format: Format,
    threshold: Level,
    colour: bool,
    /// The width of the column of names: that of the longest.
    width: AtomicUsize,
    out: Mutex<Box<dyn Write + Send>>,
}

/// What is said about one finished invocation.
#[derive(Debug, Clone, Copy)]
pub struct Invocation<'a> {
    /// The function's name.
    pub function: &'a str,
    /// `200`, `ok`, `failed` ...
    pub outcome: &'a str,
    /// [`Level::INFO`], or higher for what deserves attention.
    pub level: Level,
    /// How long the function worked.
    pub duration: Duration,
    /// How long it took to start, if it had to.
    pub cold_start: Option<Duration>,
    /// More, such as `GET /v1/images`; empty for nothing.
    pub detail: &'a str,
}

/// The name under which the stack's own events appear.
const STACK: &str = "tintype";

/// Fields that repeat on every line of an invocation and say nothing to a person who reads along;
/// [`Format::Json`] has them.
const NOISE: [&str; 10] = [
    "filename",
    "line_number",
    "requestId",
    "span",
    "spans",
    "target",
    "threadId",
    "threadName",
    "timestamp",
    "xrayTraceId",
];

impl Console {
    /// The stream on standard error. A `quiet` one has warnings, errors and lines that are not logs.
    pub fn new(format: Format, quiet: bool) -> Self {
        let colour = format == Format::Text
            && io::stderr().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self::to(Box::new(io::stderr()), format, quiet, colour)
    }

    /// The stream on any writer.
    pub fn to(out: Box<dyn Write + Send>, format: Format, quiet: bool, colour: bool) -> Self {
        Self(Arc::new(Stream {
            format,
            threshold: if quiet { Level::WARN } else { Level::TRACE },
            colour,
            width: AtomicUsize::new(STACK.len()),
            out: Mutex::new(out),
        }))
    }

    /// Makes room for a name, so that the columns line up from the first line on.
    pub fn make_room_for(&self, name: &str) {
        self.0.width.fetch_max(name.len(), Ordering::Relaxed);
    }

    /// A line that a function wrote to its standard output or error.
    pub fn function_line(&self, function: &str, line: &str) {
        let line = line.trim_end();
        if line.is_empty() {
            return;
        }
        match serde_json::from_str::<Map<String, Value>>(line) {
            Ok(record) => self.record(function, line, record),
            Err(_) => self.plain(function, line),
        }
    }

    /// One finished invocation.
    pub fn invocation(&self, invocation: &Invocation<'_>) {
        if invocation.level > self.0.threshold {
            return;
        }
        let milliseconds = invocation.duration.as_secs_f64() * 1000.0;
        if self.0.format == Format::Json {
            let mut record = serde_json::json!({
                "timestamp": now().to_string(),
                "level": invocation.level.as_str(),
                "function": invocation.function,
                "message": "invocation",
                "outcome": invocation.outcome,
                "milliseconds": milliseconds,
            });
            if let Some(cold) = invocation.cold_start {
                record["cold_start_milliseconds"] = (cold.as_secs_f64() * 1000.0).into();
            }
            if !invocation.detail.is_empty() {
                record["detail"] = invocation.detail.into();
            }
            return self.write(&format!("{record}\n"));
        }
        let mut text = self.head(invocation.function, Some(invocation.level));
        let outcome = match invocation.outcome.as_bytes().first() {
            Some(b'2' | b'3' | b'o') => AnsiColor::Green,
            Some(b'4') => AnsiColor::Yellow,
            _ => AnsiColor::Red,
        };
        self.paint(&mut text, outcome.on_default(), invocation.outcome);
        // Writing to a string cannot fail.
        let _ = write!(text, " {milliseconds:.1} ms");
        if !invocation.detail.is_empty() {
            text.push(' ');
            text.push_str(invocation.detail);
        }
        if let Some(cold) = invocation.cold_start {
            let cold = format!(" (cold start {:.1} ms)", cold.as_secs_f64() * 1000.0);
            self.paint(&mut text, AnsiColor::Cyan.on_default(), &cold);
        }
        text.push('\n');
        self.write(&text);
    }

    /// An event of the stack, or of one of its functions that the stack speaks for.
    pub fn event(&self, source: &str, level: Level, message: &str) {
        self.entry(source, level, message, &Map::new());
    }

    fn entry(&self, source: &str, level: Level, message: &str, fields: &Map<String, Value>) {
        if level > self.0.threshold {
            return;
        }
        if self.0.format == Format::Json {
            let mut record = fields.clone();
            record.insert("timestamp".into(), now().to_string().into());
            record.insert("level".into(), level.as_str().into());
            record.insert("function".into(), source.into());
            record.insert("message".into(), message.into());
            return self.write(&format!("{}\n", Value::Object(record)));
        }
        let mut text = self.head(source, Some(level));
        push_visible(&mut text, message);
        self.fields(&mut text, fields);
        text.push('\n');
        self.write(&text);
    }

    /// Both shapes that functions log in: that of `tracing-subscriber`, with `fields`, and that of
    /// Lambda, which is flat.
    fn record(&self, function: &str, line: &str, mut record: Map<String, Value>) {
        let level = record.get("level").and_then(Value::as_str).and_then(|level| level.parse().ok());
        let (Some(level), true) =
            (level, record.contains_key("message") || record.get("fields").is_some_and(Value::is_object))
        else {
            return self.plain(function, line);
        };
        if level > self.0.threshold {
            return;
        }
        if self.0.format == Format::Json {
            record.insert("function".into(), function.into());
            return self.write(&format!("{}\n", Value::Object(record)));
        }
        let span = record.remove("span");
        if let Some(Value::Object(fields)) = record.remove("fields") {
            record.extend(fields);
        }
        if let Some(Value::Object(mut span)) = span {
            span.remove("name");
            record.extend(span);
        }
        record.remove("level");
        record.retain(|name, _| !NOISE.contains(&name.as_str()));
        let message = match record.remove("message") {
            Some(Value::String(message)) => message,
            Some(other) => other.to_string(),
            None => String::new(),
        };
        self.entry(function, level, &message, &record);
    }

    fn plain(&self, function: &str, line: &str) {
        if self.0.format == Format::Json {
            let record = serde_json::json!({
                "timestamp": now().to_string(), "function": function, "message": line,
            });
            return self.write(&format!("{record}\n"));
        }
        let mut text = self.head(function, None);
        text.push_str(line);
        text.push('\n');
        self.write(&text);
    }

    /// `12:00:01.250 GetImage     INFO  `.
    fn head(&self, source: &str, level: Option<Level>) -> String {
        let mut text = String::with_capacity(160);
        let time = now().strftime("%H:%M:%S%.3f ").to_string();
        self.paint(&mut text, Style::new().dimmed(), &time);
        let width = self.0.width.load(Ordering::Relaxed);
        self.paint(&mut text, colour_of(source), &format!("{source:width$}"));
        text.push(' ');
        match level {
            Some(level) => {
                let style = match level {
                    Level::ERROR => AnsiColor::Red.on_default().bold(),
                    Level::WARN => AnsiColor::Yellow.on_default(),
                    Level::INFO => AnsiColor::Green.on_default(),
                    _ => Style::new().dimmed(),
                };
                self.paint(&mut text, style, &format!("{:5}", level.as_str()));
                text.push(' ');
            }
            None => text.push_str("      "),
        }
        text
    }

    fn fields(&self, text: &mut String, fields: &Map<String, Value>) {
        for (name, value) in fields {
            text.push(' ');
            self.paint(text, Style::new().dimmed(), &format!("{name}="));
            // Writing to a string cannot fail.
            let _ = match value {
                Value::String(value)
                    if !value.is_empty()
                        && !value.contains(|c: char| c == ' ' || c == '"' || c.is_control()) =>
                {
                    write!(text, "{value}")
                }
                other => write!(text, "{other}"),
            };
        }
    }

    fn paint(&self, text: &mut String, style: Style, part: &str) {
        // Writing to a string cannot fail.
        let _ = if self.0.colour { write!(text, "{style}{part}{style:#}") } else { text.write_str(part) };
    }

    fn write(&self, text: &str) {
        let mut out = self.0.out.lock().unwrap_or_else(PoisonError::into_inner);
        // A closed standard error is no reason to stop serving, and there is nobody left to tell.
        let _ = out.write_all(text.as_bytes());
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("format", &self.0.format).finish_non_exhaustive()
    }
}

impl<S: Subscriber> Layer<S> for Console {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.entry(STACK, *event.metadata().level(), &fields.message, &fields.others);
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.others.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.others.insert(field.name().to_owned(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.others.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.others.insert(field.name().to_owned(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.others.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.others.insert(field.name().to_owned(), format!("{value:?}").into());
        }
    }
}

/// A message may quote what a client sent, which must not control the terminal.
fn push_visible(text: &mut String, message: &str) {
    for character in message.chars() {
        if character.is_control() && !matches!(character, '\n' | '\t') {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
}

/// UTC, as the logs of the deployed functions are.
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// The same colour for the same name, in every run.
fn colour_of(source: &str) -> Style {
    const COLOURS: [AnsiColor; 6] = [
        AnsiColor::Cyan,
        AnsiColor::Magenta,
        AnsiColor::Blue,
        AnsiColor::BrightCyan,
        AnsiColor::BrightMagenta,
        AnsiColor::BrightBlue,
    ];
    let hash = source.bytes().fold(0_usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    COLOURS[hash % COLOURS.len()].on_default()
}
