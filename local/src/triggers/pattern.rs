//! Filter patterns of event source mappings.
//! <https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html>

use serde_json::{Map, Value};

/// Why a pattern is not one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{path}: {reason}")]
pub struct PatternError {
    /// Where in the pattern.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// A parsed pattern: matching cannot fail.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern(Vec<Clause>);

/// One of the things that must all hold of an object.
#[derive(Debug, Clone, PartialEq)]
enum Clause {
    /// The field's value is an object of this kind.
    Below(String, Vec<Clause>),
    /// The field's value passes one of these tests.
    Field(String, Vec<Test>),
    /// `$or`
    AnyOf(Vec<Vec<Clause>>),
}

/// A test of one value.
#[derive(Debug, Clone, PartialEq)]
enum Test {
    Equals(Value),
    EqualsIgnoreCase(String),
    Prefix { text: String, ignore_case: bool },
    Suffix { text: String, ignore_case: bool },
    AnythingBut(Vec<Test>),
    Numeric(Vec<(Comparison, f64)>),
    Exists(bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Pattern {
    /// Reads a pattern.
    pub fn parse(pattern: &Value) -> Result<Self, PatternError> {
        match pattern {
            Value::Object(object) => clauses(object, "pattern").map(Self),
            _ => Err(error("pattern", "expected an object")),
        }
    }

    /// Whether an event matches.
    pub fn matches(&self, event: &Value) -> bool {
        all_hold(&self.0, Some(event))
    }

    /// Whether an SQS record matches. Its body is text; a pattern that looks into it needs JSON there,
    /// and one that compares the text needs there to be none.
    pub fn matches_message(&self, record: &Value) -> bool {
        let looks_into = |clause: &Clause| matches!(clause, Clause::Below(field, _) if field == "body");
        let compares = |clause: &Clause| matches!(clause, Clause::Field(field, _) if field == "body");
        let json = record["body"].as_str().and_then(|body| serde_json::from_str::<Value>(body).ok());
        let json = json.filter(|body| body.is_object() || body.is_array());
        match json {
            Some(body) if self.0.iter().any(|clause| mentions(clause, &looks_into)) => {
                let mut record = record.clone();
                record["body"] = body;
                self.matches(&record)
            }
            Some(_) if self.0.iter().any(|clause| mentions(clause, &compares)) => false,
            _ => self.matches(record),
        }
    }
}

/// Whether a clause, or an alternative of it, is of a kind.
fn mentions(clause: &Clause, kind: &impl Fn(&Clause) -> bool) -> bool {
    match clause {
        Clause::AnyOf(alternatives) => alternatives.iter().flatten().any(|clause| mentions(clause, kind)),
        clause => kind(clause),
    }
}

fn all_hold(clauses: &[Clause], value: Option<&Value>) -> bool {
    // Of the objects in a list, one has to satisfy everything.
    if let Some(Value::Array(items)) = value
        && !items.is_empty()
    {
        return items.iter().any(|item| all_hold(clauses, Some(item)));
    }
    clauses.iter().all(|clause| match clause {
        Clause::Below(field, below) => all_hold(below, value.and_then(|value| value.get(field))),
        Clause::Field(field, tests) => {
            let leaves = leaves(value.and_then(|value| value.get(field)));
            tests.iter().any(|test| test.passes_any(&leaves))
        }
        Clause::AnyOf(alternatives) => alternatives.iter().any(|clauses| all_hold(clauses, value)),
    })
}

/// The values to be tested: those in a list one by one; an object has none of its own.
fn leaves(value: Option<&Value>) -> Vec<&Value> {
    match value {
        None | Some(Value::Object(_)) => Vec::new(),
        Some(Value::Array(items)) => items.iter().flat_map(|item| leaves(Some(item))).collect(),
        Some(leaf) => vec![leaf],
    }
}

impl Test {
    fn passes_any(&self, leaves: &[&Value]) -> bool {
        match self {
            Self::Exists(expected) => *expected != leaves.is_empty(),
            test => leaves.iter().any(|leaf| test.passes(leaf)),
        }
    }

    fn passes(&self, leaf: &Value) -> bool {
        match (self, leaf) {
            (Self::Equals(Value::Number(expected)), Value::Number(actual)) => {
                expected.as_f64() == actual.as_f64()
            }
            (Self::Equals(expected), actual) => expected == actual,
            (Self::EqualsIgnoreCase(expected), Value::String(actual)) => fold(expected) == fold(actual),
            (Self::Prefix { text, ignore_case: false }, Value::String(actual)) => {
                actual.starts_with(text.as_str())
            }
            (Self::Prefix { text, ignore_case: true }, Value::String(actual)) => {
                fold(actual).starts_with(&fold(text))
            }
            (Self::Suffix { text, ignore_case: false }, Value::String(actual)) => {
                actual.ends_with(text.as_str())
            }
            (Self::Suffix { text, ignore_case: true }, Value::String(actual)) => {
                fold(actual).ends_with(&fold(text))
            }
            (Self::AnythingBut(excluded), actual) => !excluded.iter().any(|test| test.passes(actual)),
            (Self::Numeric(bounds), Value::Number(actual)) => actual
                .as_f64()
                .is_some_and(|actual| bounds.iter().all(|(op, bound)| op.holds(actual, *bound))),
            (Self::Exists(expected), _) => *expected,
            _ => false,
        }
    }
}

impl Comparison {
    #[expect(clippy::float_cmp, reason = "a pattern's number means exactly this number")]
    fn holds(self, actual: f64, bound: f64) -> bool {
        match self {
            Self::Equal => actual == bound,
            Self::Less => actual < bound,
            Self::LessOrEqual => actual <= bound,
            Self::Greater => actual > bound,
            Self::GreaterOrEqual => actual >= bound,
        }
    }
}

fn fold(text: &str) -> String {
    text.to_lowercase()
}

fn clauses(object: &Map<String, Value>, path: &str) -> Result<Vec<Clause>, PatternError> {
    let mut clauses = Vec::with_capacity(object.len());
    for (field, value) in object {
        let path = format!("{path}.{field}");
        clauses.push(match value {
            Value::Array(items) if field == "$or" => {
                let alternatives = items.iter().map(|item| match item {
                    Value::Object(item) if !item.is_empty() => self::clauses(item, &path),
                    _ => Err(error(&path, "expected objects that are not empty")),
                });
                if items.is_empty() {
                    return Err(error(&path, "expected alternatives"));
                }
                Clause::AnyOf(alternatives.collect::<Result<_, _>>()?)
            }
            Value::Object(below) if below.is_empty() => {
                return Err(error(&path, "an empty object matches nothing"));
            }
            Value::Object(below) => Clause::Below(field.clone(), self::clauses(below, &path)?),
            Value::Array(items) if items.is_empty() => {
                return Err(error(&path, "an empty list matches nothing"));
            }
            Value::Array(items) => Clause::Field(
                field.clone(),
                items.iter().map(|item| test(item, &path)).collect::<Result<_, _>>()?,
            ),
            _ => return Err(error(&path, "expected a list of alternatives or an object")),
        });
    }
    Ok(clauses)
}

fn test(value: &Value, path: &str) -> Result<Test, PatternError> {
    let object = match value {
        Value::Object(object) => object,
        Value::Array(_) => return Err(error(path, "a list in a list")),
        scalar => return Ok(Test::Equals(scalar.clone())),
    };
    let Some((operator, operand)) = object.iter().next().filter(|_| object.len() == 1) else {
        return Err(error(path, "expected one operator"));
    };
    let path = &format!("{path}.{operator}");
    match operator.as_str() {
        "exists" => operand.as_bool().map(Test::Exists).ok_or_else(|| error(path, "expected true or false")),
        "numeric" => numeric(operand, path),
        "anything-but" => anything_but(operand, path),
        _ => text_test(operator, operand, path),
    }
}

/// The operators on text, which `anything-but` can hold as well.
fn text_test(operator: &str, operand: &Value, path: &str) -> Result<Test, PatternError> {
    let (text, ignore_case) = match operand {
        Value::String(text) => (text.clone(), false),
        Value::Object(object) if object.len() == 1 && operator != "equals-ignore-case" => {
            match object.get("equals-ignore-case").and_then(Value::as_str) {
                Some(text) => (text.to_owned(), true),
                None => return Err(error(path, "expected a text or `equals-ignore-case`")),
            }
        }
        _ if ["prefix", "suffix", "equals-ignore-case"].contains(&operator) => {
            return Err(error(path, "expected a text"));
        }
        _ => (String::new(), false),
    };
    match operator {
        "prefix" => Ok(Test::Prefix { text, ignore_case }),
        "suffix" => Ok(Test::Suffix { text, ignore_case }),
        "equals-ignore-case" => Ok(Test::EqualsIgnoreCase(text)),
        _ => Err(error(path, "not an operator of Lambda's filters")),
    }
}

fn anything_but(operand: &Value, path: &str) -> Result<Test, PatternError> {
    let many = |value: &Value| match value {
        Value::Array(items) if !items.is_empty() => items.clone(),
        other => vec![other.clone()],
    };
    let excluded = match operand {
        Value::Object(object) => {
            let Some((operator, values)) = object.iter().next().filter(|_| object.len() == 1) else {
                return Err(error(path, "expected one operator"));
            };
            many(values).iter().map(|value| text_test(operator, value, path)).collect::<Result<_, _>>()?
        }
        values => many(values)
            .into_iter()
            .map(|value| match value {
                Value::String(_) | Value::Number(_) => Ok(Test::Equals(value)),
                _ => Err(error(path, "expected texts or numbers")),
            })
            .collect::<Result<_, _>>()?,
    };
    Ok(Test::AnythingBut(excluded))
}

fn numeric(operand: &Value, path: &str) -> Result<Test, PatternError> {
    let wrong = || error(path, "expected comparisons such as [\">\", 0, \"<=\", 5]");
    let (pairs, rest) =
        operand.as_array().filter(|items| !items.is_empty()).ok_or_else(wrong)?.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(wrong());
    }
    let bounds = pairs.iter().map(|[operator, bound]| {
        let comparison = match operator.as_str() {
            Some("=") => Comparison::Equal,
            Some("<") => Comparison::Less,
            Some("<=") => Comparison::LessOrEqual,
            Some(">") => Comparison::Greater,
            Some(">=") => Comparison::GreaterOrEqual,
            _ => return Err(wrong()),
        };
        Ok((comparison, bound.as_f64().ok_or_else(wrong)?))
    });
    bounds.collect::<Result<_, _>>().map(Test::Numeric)
}

fn error(path: &str, reason: &str) -> PatternError {
    PatternError { path: path.to_owned(), reason: reason.to_owned() }
}

/// The patterns of a mapping: any of them lets a record pass, and so does having none.
#[derive(Debug, Clone)]
pub struct Filters(Vec<Pattern>);

impl Filters {
    /// Reads a mapping's patterns.
    pub fn parse(patterns: &[Value]) -> Result<Self, PatternError> {
        patterns.iter().map(Pattern::parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a stream's record passes.
    pub fn pass(&self, record: &Value) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| pattern.matches(record))
    }

    /// Whether a queue's record passes.
    pub fn pass_message(&self, record: &Value) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| pattern.matches_message(record))
    }
}

#[cfg(test)]
mod tests;
