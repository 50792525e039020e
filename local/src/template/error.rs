//! What can be wrong with a template, said with the place where it is wrong.

use std::path::PathBuf;

use crate::iam::StatementError;
use crate::triggers::pattern::PatternError;
use crate::triggers::schedule::ExpressionError;

/// Why a template cannot be run.
///
/// `path` is written as a person would look for it: `Resources.GetImage.Events.Api.Path`.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The text is not YAML.
    #[error("the template is not valid YAML")]
    Syntax {
        /// Where and why.
        source: serde_norway::Error,
    },
    /// A value has another shape than its property needs.
    #[error("{path}: expected {expected}")]
    Expected {
        /// Where.
        path: String,
        /// Which shape.
        expected: &'static str,
    },
    /// A property that must be there is not.
    #[error("{path}: required, but absent")]
    Missing {
        /// Where it should be.
        path: String,
    },
    /// A name leads nowhere.
    #[error("{path}: there is no {kind} `{name}`{}", did_you_mean(.suggestion.as_deref()))]
    Unknown {
        /// Where it is used.
        path: String,
        /// What it should name: `resource`, `parameter`, `authorizer`...
        kind: &'static str,
        /// The name as written.
        name: String,
        /// The nearest name that exists.
        suggestion: Option<String>,
    },
    /// `CloudFormation` knows this, the local stack does not.
    #[error("{path}: {what}")]
    Unsupported {
        /// Where.
        path: String,
        /// What, and what to write instead.
        what: String,
    },
    /// A value of the right shape that cannot be right.
    #[error("{path}: {reason}")]
    Invalid {
        /// Where.
        path: String,
        /// Why.
        reason: String,
    },
    /// Two events claim the same route.
    #[error("{path}: `{route}` is already the route of {other}")]
    DuplicateRoute {
        /// The later one.
        path: String,
        /// `GET /v1/images`.
        route: String,
        /// The earlier one.
        other: String,
    },
    /// A policy statement that cannot be enforced.
    #[error("{path}: not a statement that can be enforced")]
    Statement {
        /// Where.
        path: String,
        /// Why not.
        source: StatementError,
    },
    /// A filter that is not a pattern.
    #[error("{path}: not a filter pattern")]
    Pattern {
        /// Where.
        path: String,
        /// Why not.
        source: PatternError,
    },
    /// A schedule that is not one.
    #[error("{path}: not a schedule")]
    Schedule {
        /// Where.
        path: String,
        /// Why not.
        source: ExpressionError,
    },
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// The candidate nearest to a name, if one is near enough to be what was meant.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    candidates
        .into_iter()
        .map(|candidate| {
            let (name, lower) = (name.to_lowercase(), candidate.to_lowercase());
            (strsim::jaro_winkler(&name, &lower), candidate)
        })
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.to_owned())
}
