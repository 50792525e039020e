//! The `Condition` block.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>

use serde_json::Value;

use super::wildcard;

/// How several values of one key in the request are taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Single,
    All,
    Any,
}

/// How a value of the request compares with one of the policy.
#[derive(Debug, Clone, Copy)]
enum Test {
    Equals,
    EqualsIgnoreCase,
    Like,
    Arn,
    Bool,
    Numeric(fn(&f64, &f64) -> bool),
    Null,
}

/// A condition operator, taken apart: `ForAllValues:StringNotLikeIfExists`.
#[derive(Debug, Clone, Copy)]
pub struct Operator {
    set: Set,
    test: Test,
    negated: bool,
    if_exists: bool,
}

impl Operator {
    /// Understands an operator's name; `None` if it is not known.
    pub fn parse(name: &str) -> Option<Self> {
        let (set, name) = match name.split_once(':') {
            Some(("ForAllValues", name)) => (Set::All, name),
            Some(("ForAnyValue", name)) => (Set::Any, name),
            Some(_) => return None,
            None => (Set::Single, name),
        };
        let (if_exists, name) = match name.strip_suffix("IfExists") {
            Some(name) => (true, name),
            None => (false, name),
        };
        let (test, negated) = match name {
            "StringEquals" => (Test::Equals, false),
            "StringNotEquals" => (Test::Equals, true),
            "StringEqualsIgnoreCase" => (Test::EqualsIgnoreCase, false),
            "StringNotEqualsIgnoreCase" => (Test::EqualsIgnoreCase, true),
            "StringLike" => (Test::Like, false),
            "StringNotLike" => (Test::Like, true),
            "ArnEquals" | "ArnLike" => (Test::Arn, false),
            "ArnNotEquals" | "ArnNotLike" => (Test::Arn, true),
            "Bool" => (Test::Bool, false),
            "NumericEquals" => (Test::Numeric(f64::eq), false),
            "NumericNotEquals" => (Test::Numeric(f64::eq), true),
            "NumericLessThan" => (Test::Numeric(f64::lt), false),
            "NumericLessThanEquals" => (Test::Numeric(f64::le), false),
            "NumericGreaterThan" => (Test::Numeric(f64::gt), false),
            "NumericGreaterThanEquals" => (Test::Numeric(f64::ge), false),
            "Null" if set == Set::Single && !if_exists => (Test::Null, false),
            _ => return None,
        };
        Some(Self { set, test, negated, if_exists })
    }

    /// Whether the policy's values can be compared with at all: `NumericLessThan` needs a number.
    pub fn accepts(self, expected: &str) -> bool {
        match self.test {
            Test::Numeric(_) => expected.parse::<f64>().is_ok(),
            Test::Bool | Test::Null => ["true", "false"].contains(&expected.to_lowercase().as_str()),
            Test::Equals | Test::EqualsIgnoreCase | Test::Like | Test::Arn => true,
        }
    }

    /// Whether the request's values for a key satisfy the policy's.
    pub fn holds(self, key: &str, expected: &[String], context: &[(&str, Vec<String>)]) -> bool {
        let found = context.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
        // A key without values is as good as absent.
        let actual = found.map(|(_, values)| values.as_slice()).filter(|values| !values.is_empty());
        if matches!(self.test, Test::Null) {
            let absent = actual.is_none();
            return expected.iter().any(|it| it.eq_ignore_ascii_case(if absent { "true" } else { "false" }));
        }
        let Some(actual) = actual else {
            return match self.set {
                Set::All => true,
                Set::Any => self.if_exists,
                Set::Single => self.if_exists || self.negated,
            };
        };
        let passes = |value: &String| expected.iter().any(|it| self.compare(value, it)) != self.negated;
        match self.set {
            Set::All => actual.iter().all(passes),
            // Several values under an operator for one: every value has to avoid what is excluded.
            Set::Single if self.negated => actual.iter().all(passes),
            Set::Single | Set::Any => actual.iter().any(passes),
        }
    }

    fn compare(self, actual: &str, expected: &str) -> bool {
        match self.test {
            Test::Equals => actual == expected,
            Test::EqualsIgnoreCase => actual.to_lowercase() == expected.to_lowercase(),
            Test::Like => wildcard::matches(expected, actual),
            Test::Arn => wildcard::matches_arn(expected, actual),
            Test::Bool => actual.eq_ignore_ascii_case(expected),
            Test::Numeric(compare) => match (actual.parse(), expected.parse()) {
                (Ok(actual), Ok(expected)) => compare(&actual, &expected),
                _ => false,
            },
            Test::Null => false,
        }
    }
}

/// The policy's value or values as text; `None` if they are neither.
pub fn values(expected: &Value) -> Option<Vec<String>> {
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    };
    match expected {
        Value::Array(items) => items.iter().map(one).collect(),
        single => one(single).map(|value| vec![value]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(operator: &str, expected: &[&str], actual: Option<&[&str]>) -> bool {
        let own = |values: &[&str]| values.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
        let context: Vec<_> = actual.map(|values| ("S3:Prefix", own(values))).into_iter().collect();
        Operator::parse(operator).unwrap().holds("s3:prefix", &own(expected), &context)
    }

    #[test]
    fn one_value_against_several() {
        assert!(holds("StringEquals", &["a", "b"], Some(&["b"])));
        assert!(!holds("StringEquals", &["a", "b"], Some(&["B"])));
        assert!(holds("StringEqualsIgnoreCase", &["a", "b"], Some(&["B"])));
        assert!(!holds("StringNotEquals", &["a", "b"], Some(&["b"])));
        assert!(holds("StringNotEquals", &["a", "b"], Some(&["c"])));
        assert!(holds("StringLike", &["public/*"], Some(&["public/x"])));
        assert!(!holds("StringNotLike", &["public/*"], Some(&["public/x"])));
        assert!(holds("ArnLike", &["arn:aws:s3:::b*"], Some(&["arn:aws:s3:::bucket"])));
        assert!(!holds("ArnLike", &["arn:*:bucket"], Some(&["arn:aws:s3:::bucket"])));
    }

    #[test]
    fn numbers_and_booleans_are_compared_as_such() {
        assert!(holds("NumericLessThanEquals", &["10"], Some(&["9.5"])));
        assert!(!holds("NumericLessThan", &["10"], Some(&["10"])));
        assert!(holds("NumericGreaterThan", &["9"], Some(&["10"])));
        assert!(!holds("NumericEquals", &["10"], Some(&["ten"])));
        assert!(holds("Bool", &["true"], Some(&["True"])));
        assert!(!Operator::parse("NumericEquals").unwrap().accepts("ten"));
        assert!(!Operator::parse("Bool").unwrap().accepts("yes"));
    }

    #[test]
    fn an_absent_key_is_decided_by_the_operator() {
        assert!(!holds("StringEquals", &["a"], None));
        assert!(holds("StringEqualsIfExists", &["a"], None));
        assert!(!holds("StringEqualsIfExists", &["a"], Some(&["b"])));
        assert!(holds("StringNotEquals", &["a"], None));
        assert!(holds("ForAllValues:StringEquals", &["a"], None));
        assert!(!holds("ForAnyValue:StringEquals", &["a"], None));
        assert!(holds("Null", &["true"], None));
        assert!(!holds("Null", &["true"], Some(&["a"])));
        assert!(holds("Null", &["false"], Some(&["a"])));
    }

    #[test]
    fn sets_are_taken_together() {
        assert!(holds("ForAllValues:StringEquals", &["a", "b"], Some(&["b", "a"])));
        assert!(!holds("ForAllValues:StringEquals", &["a", "b"], Some(&["a", "c"])));
        assert!(holds("ForAnyValue:StringEquals", &["a", "b"], Some(&["a", "c"])));
        assert!(!holds("ForAnyValue:StringEquals", &["a", "b"], Some(&["c"])));
    }

    #[test]
    fn unknown_operators_are_not_parsed() {
        for name in ["DateLessThan", "stringequals", "ForSomeValues:StringEquals", "NullIfExists", ""] {
            assert!(Operator::parse(name).is_none(), "{name}");
        }
    }
}
