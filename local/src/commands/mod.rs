//! The commands. Each is a file with its options and what it does.

pub mod fire;
pub mod inspect;
pub mod invoke;
pub mod render;
pub mod up;
pub mod upload;

use std::error::Error;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

/// What a command comes to: its exit code, or the reason why it could not do its work.
pub type Outcome = Result<std::process::ExitCode, Box<dyn Error + Send + Sync>>;

/// What a picture may take on a laptop: a minute, as in a function, and more memory than any function has.
pub fn budget() -> imaging::Budget {
    imaging::Budget { deadline: Instant::now() + Duration::from_mins(1), memory: 2 << 30 }
}

/// Says on standard error why a command failed, with all that led to it.
pub fn complain(error: &dyn Error) {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let style = if colour { anstyle::AnsiColor::Red.on_default().bold() } else { anstyle::Style::new() };
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    note(&format!("{style}error{style:#}: {text}"));
}

/// Writes a line to standard error; that nobody reads it is no reason to fail.
pub fn note(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Writes a line to standard output. A reader that has gone away has read enough.
pub fn print_line(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// An HTTP client. A stack here needs no TLS, a deployment does, and which library does it is ours to say.
pub fn client() -> reqwest::Result<reqwest::Client> {
    // That another client installed it first is just as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().build()
}
