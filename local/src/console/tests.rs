use tracing_subscriber::layer::SubscriberExt;

use super::*;

/// What a console wrote.
#[derive(Clone, Default)]
pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn console(format: Format, quiet: bool) -> (Console, Written) {
    let written = Written::default();
    (Console::to(Box::new(written.clone()), format, quiet, false), written)
}

/// The lines without their times.
fn lines(written: &Written) -> Vec<String> {
    written.text().lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
}

#[test]
fn prints_what_tracing_subscriber_writes() {
    let (console, written) = console(Format::Text, false);
    console.make_room_for("ProcessUpload");
    console.function_line(
        "GetImage",
        r#"{"timestamp":"2026-01-02T03:04:05Z","level":"INFO","fields":{"message":"image found","image":"img_1","count":2,"title":"two words"},"target":"get_image","span":{"requestId":"8f3","xrayTraceId":"Root=1","project":"p_1","name":"Lambda runtime invoke"}}"#,
    );
    assert_eq!(
        lines(&written),
        [r#"GetImage      INFO  image found count=2 image=img_1 project=p_1 title="two words""#]
    );
}

#[test]
fn prints_the_flat_records_of_lambda() {
    let (console, written) = console(Format::Text, false);
    console.function_line(
        "GetImage",
        r#"{"timestamp":"2026-01-02T03:04:05Z","level":"WARN","requestId":"8f3","message":"slow"}"#,
    );
    assert_eq!(lines(&written), ["GetImage WARN  slow"]);
}

#[test]
fn prints_anything_else_as_it_came() {
    let (console, written) = console(Format::Text, true);
    console.function_line("GetImage", "thread 'main' panicked at src/main.rs:1:1:\n");
    console.function_line("GetImage", r#"{"answer":42}"#);
    console.function_line("GetImage", "\n");
    assert_eq!(
        lines(&written),
        ["GetImage       thread 'main' panicked at src/main.rs:1:1:", r#"GetImage       {"answer":42}"#]
    );
}

#[test]
fn marks_cold_starts() {
    let (console, written) = console(Format::Text, false);
    let mut invocation = Invocation {
        function: "GetImage",
        outcome: "200",
        level: Level::INFO,
        duration: Duration::from_micros(3140),
        cold_start: Some(Duration::from_millis(12)),
        detail: "GET /v1/images/img_1",
    };
    console.invocation(&invocation);
    invocation.cold_start = None;
    invocation.detail = "";
    console.invocation(&invocation);
    assert_eq!(
        lines(&written),
        ["GetImage INFO  200 3.1 ms GET /v1/images/img_1 (cold start 12.0 ms)", "GetImage INFO  200 3.1 ms"]
    );
}

#[test]
fn a_quiet_console_keeps_warnings() {
    let (console, written) = console(Format::Text, true);
    console.function_line("GetImage", r#"{"level":"INFO","message":"fine"}"#);
    console.function_line("GetImage", r#"{"level":"ERROR","message":"broken"}"#);
    console.event("GetImage", Level::INFO, "fine");
    assert_eq!(lines(&written), ["GetImage ERROR broken"]);
}

#[test]
fn scripts_get_every_field() {
    let (console, written) = console(Format::Json, false);
    console.function_line("GetImage", r#"{"level":"INFO","fields":{"message":"a"},"target":"t"}"#);
    console.function_line("GetImage", "not JSON");
    let lines: Vec<Value> = written.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        lines[0],
        serde_json::json!({"function":"GetImage","level":"INFO","fields":{"message":"a"},"target":"t"})
    );
    assert_eq!(lines[1]["message"], "not JSON");
    assert_eq!(lines[1]["function"], "GetImage");
}

#[test]
fn takes_the_events_of_the_stack() {
    let (console, written) = console(Format::Text, false);
    let subscriber = tracing_subscriber::registry().with(console);
    tracing::subscriber::with_default(subscriber, || {
        tracing::warn!(queue = "uploads", depth = 3, "queue is filling up");
    });
    assert_eq!(lines(&written), ["tintype WARN  queue is filling up depth=3 queue=uploads"]);
}

#[test]
fn colours_only_when_asked() {
    let written = Written::default();
    let console = Console::to(Box::new(written.clone()), Format::Text, false, true);
    console.event("GetImage", Level::ERROR, "broken");
    assert!(written.text().contains("\u{1b}["));
}

#[test]
fn clients_do_not_control_the_terminal() {
    let (console, written) = console(Format::Text, false);
    console.function_line("GetImage", r#"{"level":"INFO","message":"title \u001b[2J","title":"\u001b[2J"}"#);
    assert_eq!(lines(&written), [r#"GetImage INFO  title \u{1b}[2J title="\u001b[2J""#]);
}
