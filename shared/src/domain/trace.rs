//! Which trace something belongs to (W3C Trace Context, <https://www.w3.org/TR/trace-context/>).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The header `traceparent`: the trace, and the caller's place in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TraceParent(String);

/// A text that names no trace. The specification wants such a header to be passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent")]
pub struct InvalidTraceParent;

impl TraceParent {
    /// The trace, in hex, which logs are searched by.
    pub fn trace_id(&self) -> &str {
        &self.0[3..35]
    }
}

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    /// Version, trace, parent and flags, in lower-case hex. Later versions may have more, which is cut off.
    fn from_str(text: &str) -> Result<Self, InvalidTraceParent> {
        let mut parts = text.split('-');
        let mut part = |length: usize| {
            let part = parts.next().filter(|part| part.len() == length).ok_or(InvalidTraceParent)?;
            let hex = part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
            if hex { Ok(part) } else { Err(InvalidTraceParent) }
        };
        let (version, trace, parent, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        let is_nothing = |id: &str| id.bytes().all(|byte| byte == b'0');
        if version == "ff" || is_nothing(trace) || is_nothing(parent) {
            return Err(InvalidTraceParent);
        }
        if version == "00" && parts.next().is_some() {
            return Err(InvalidTraceParent);
        }
        Ok(Self(format!("00-{trace}-{parent}-{flags}")))
    }
}

impl TryFrom<String> for TraceParent {
    type Error = InvalidTraceParent;

    fn try_from(text: String) -> Result<Self, InvalidTraceParent> {
        text.parse()
    }
}

impl From<TraceParent> for String {
    fn from(trace: TraceParent) -> Self {
        trace.0
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_reads_back() {
        let trace: TraceParent = TRACE.parse().unwrap();
        assert_eq!(
            (trace.to_string().as_str(), trace.trace_id()),
            (TRACE, "0af7651916cd43dd8448eb211c80319c")
        );
        let later: TraceParent = format!("{}-what-comes", TRACE.replacen("00", "01", 1)).parse().unwrap();
        assert_eq!(later, trace);
    }

    #[test]
    fn what_names_no_trace_is_refused() {
        for bad in [
            "",
            "00",
            &TRACE.to_uppercase(),
            &format!("{TRACE}-more"),
            &TRACE.replacen("00", "ff", 1),
            &TRACE.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &TRACE.replace("b7ad6b7169203331", &"0".repeat(16)),
            &TRACE[..54],
        ] {
            assert_eq!(bad.parse::<TraceParent>(), Err(InvalidTraceParent), "{bad}");
        }
    }
}
