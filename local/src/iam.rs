//! Who may do what: the policies of `template.yaml`, enforced on a laptop.
//!
//! Every function runs under an access key of its own. S3, `DynamoDB` and SQS ask here before they act,
//! so a permission that is missing from the template fails on the first run and not in production.

mod condition;
mod hint;
mod statement;
mod wildcard;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use self::condition::Operator;
pub use self::hint::References;
pub use self::statement::StatementError;

/// One statement of an identity policy, as the template wrote it (intrinsics resolved).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The statement's name: by convention the port that needs it.
    pub sid: Option<String>,
    /// `true` for `Effect: Allow`.
    pub allow: bool,
    /// Action patterns such as `dynamodb:GetItem` or `s3:*`.
    pub actions: Vec<String>,
    /// Resource ARN patterns.
    pub resources: Vec<String>,
    /// `Condition`: operator -> key -> value or values; empty when there is none.
    pub conditions: serde_json::Map<String, Value>,
}

/// A caller of the emulated services: a function, or the stack itself.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The function's logical id (`CreateUpload`), or `root`.
    pub name: String,
    /// Its access key id, which is how requests name it.
    pub access_key: String,
    /// Its secret key, which is how requests prove it.
    pub secret_key: String,
    /// What it may do; `None` means everything (`root`).
    pub statements: Option<Vec<Statement>>,
    /// How the template writes the resources, for the hint that goes with a refusal.
    pub references: References,
}

/// What somebody asks to do.
#[derive(Debug, Clone)]
pub struct AccessRequest<'a> {
    /// For example `dynamodb:GetItem`.
    pub action: &'a str,
    /// The full ARN of what is touched.
    pub resource: &'a str,
    /// Condition keys that the service knows of this request, with their values
    /// (`dynamodb:LeadingKeys`, `s3:prefix`, ...).
    pub context: &'a [(&'a str, Vec<String>)],
}

/// A refusal. The log has already been told which statement would allow it.
#[derive(Debug, thiserror::Error)]
#[error("{identity} is not authorized to perform {action} on resource {resource}")]
pub struct Denied {
    /// Who asked.
    pub identity: String,
    /// What for.
    pub action: String,
    /// On what.
    pub resource: String,
}

/// Everybody who may call the emulated services, by access key id.
#[derive(Debug, Default)]
pub struct Identities(HashMap<String, Arc<Identity>>);

impl Identities {
    /// Gathers the identities of a stack.
    pub fn new(all: impl IntoIterator<Item = Identity>) -> Self {
        Self(all.into_iter().map(|i| (i.access_key.clone(), Arc::new(i))).collect())
    }

    /// The identity that owns an access key id.
    pub fn get(&self, access_key: &str) -> Option<&Arc<Identity>> {
        self.0.get(access_key)
    }
}

/// What the statements say about a request.
#[derive(Debug, PartialEq, Eq)]
enum Verdict<'a> {
    Allowed,
    /// A `Deny` applies.
    Forbidden(&'a Statement),
    /// No `Allow` applies; this one would, but for its conditions.
    NotAllowed(Option<&'a Statement>),
}

impl Identity {
    /// Evaluates this identity's statements: an explicit deny wins, then an allow, else the request is
    /// refused and the statement that would allow it is logged.
    pub fn authorize(&self, request: &AccessRequest<'_>) -> Result<(), Denied> {
        let Some(statements) = &self.statements else {
            return Ok(());
        };
        let verdict = evaluate(statements, request);
        if verdict == Verdict::Allowed {
            return Ok(());
        }
        hint::log(&self.name, request, &verdict, &self.references);
        Err(Denied {
            identity: self.name.clone(),
            action: request.action.to_owned(),
            resource: request.resource.to_owned(),
        })
    }
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>
fn evaluate<'a>(statements: &'a [Statement], request: &AccessRequest<'_>) -> Verdict<'a> {
    let mut verdict = Verdict::NotAllowed(None);
    for statement in statements.iter().filter(|statement| statement.covers(request)) {
        match (statement.allow, statement.conditions_hold(request)) {
            (false, Some(true) | None) => return Verdict::Forbidden(statement),
            (true, Some(true)) => verdict = Verdict::Allowed,
            (true, _) if verdict != Verdict::Allowed => {
                verdict = Verdict::NotAllowed(Some(statement));
            }
            _ => {}
        }
    }
    verdict
}

impl Statement {
    fn covers(&self, request: &AccessRequest<'_>) -> bool {
        let action = request.action.to_lowercase();
        self.actions.iter().any(|pattern| wildcard::matches(&pattern.to_lowercase(), &action))
            && self.resources.iter().any(|pattern| wildcard::matches_arn(pattern, request.resource))
    }

    /// `None` if a condition is not one that [`Statement::parse`] lets through; whoever asks then
    /// takes the stricter answer.
    fn conditions_hold(&self, request: &AccessRequest<'_>) -> Option<bool> {
        let mut all = true;
        for (operator, keys) in &self.conditions {
            let operator = Operator::parse(operator)?;
            for (key, expected) in keys.as_object()? {
                all &= operator.holds(key, &condition::values(expected)?, request.context);
            }
        }
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const TABLE: &str = "arn:aws:dynamodb:eu-west-1:000000000000:table/tintype-Table";

    fn asks(statements: &Value, action: &str, resource: &str, context: &[(&str, Vec<String>)]) -> bool {
        let statements: Vec<Statement> =
            statements.as_array().unwrap().iter().map(|it| Statement::parse(it).unwrap()).collect();
        let identity = Identity {
            name: "CreateUpload".to_owned(),
            access_key: String::new(),
            secret_key: String::new(),
            statements: Some(statements),
            references: References::default(),
        };
        identity.authorize(&AccessRequest { action, resource, context }).is_ok()
    }

    fn leading_keys(keys: &[&str]) -> Vec<(&'static str, Vec<String>)> {
        vec![("dynamodb:LeadingKeys", keys.iter().map(|&key| key.to_owned()).collect())]
    }

    #[test]
    fn nothing_is_allowed_by_silence() {
        assert!(!asks(&json!([]), "dynamodb:GetItem", TABLE, &[]));
    }

    #[test]
    fn only_the_named_action_on_the_named_resource_is_allowed() {
        let policy = json!([{ "Effect": "Allow", "Action": ["dynamodb:GetItem"], "Resource": TABLE }]);
        assert!(asks(&policy, "dynamodb:GetItem", TABLE, &[]));
        assert!(asks(&policy, "DynamoDB:getitem", TABLE, &[]));
        assert!(!asks(&policy, "dynamodb:PutItem", TABLE, &[]));
        assert!(!asks(&policy, "dynamodb:GetItem", &format!("{TABLE}/index/GSI1"), &[]));
    }

    #[test]
    fn a_deny_wins_wherever_it_stands() {
        for order in [[0, 1], [1, 0]] {
            let statements = [
                json!({ "Effect": "Allow", "Action": "s3:*", "Resource": "*" }),
                json!({ "Effect": "Deny", "Action": "s3:Delete*", "Resource": "arn:aws:s3:::tintype-originals/*" }),
            ];
            let policy = Value::from(order.map(|index| statements[index].clone()).to_vec());
            assert!(asks(&policy, "s3:GetObject", "arn:aws:s3:::tintype-originals/a", &[]));
            assert!(!asks(&policy, "s3:DeleteObject", "arn:aws:s3:::tintype-originals/a", &[]));
            assert!(asks(&policy, "s3:DeleteObject", "arn:aws:s3:::tintype-uploads/a", &[]));
        }
    }

    #[test]
    fn conditions_restrict_an_allow_and_a_deny() {
        let keys = json!({ "ForAllValues:StringLike": { "dynamodb:LeadingKeys": ["P#*", "K#*"] } });
        let allow =
            json!([{ "Effect": "Allow", "Action": "dynamodb:*", "Resource": TABLE, "Condition": keys }]);
        assert!(asks(&allow, "dynamodb:GetItem", TABLE, &leading_keys(&["P#1", "K#2"])));
        assert!(!asks(&allow, "dynamodb:GetItem", TABLE, &leading_keys(&["P#1", "S#2"])));

        let deny = json!([
            { "Effect": "Allow", "Action": "dynamodb:*", "Resource": "*" },
            { "Effect": "Deny", "Action": "dynamodb:*", "Resource": "*", "Condition": keys },
        ]);
        assert!(!asks(&deny, "dynamodb:GetItem", TABLE, &leading_keys(&["P#1"])));
        assert!(asks(&deny, "dynamodb:GetItem", TABLE, &leading_keys(&["S#1"])));
    }

    #[test]
    fn a_statement_that_was_not_parsed_fails_closed() {
        let mut conditions = serde_json::Map::new();
        conditions.insert("DateLessThan".to_owned(), json!({ "aws:CurrentTime": "2030-01-01" }));
        let statement = |allow| Statement {
            sid: None,
            allow,
            actions: vec!["*".to_owned()],
            resources: vec!["*".to_owned()],
            conditions: conditions.clone(),
        };
        let everything = Statement { conditions: serde_json::Map::new(), ..statement(true) };
        let request = AccessRequest { action: "s3:GetObject", resource: "arn:aws:s3:::b/k", context: &[] };
        assert_ne!(evaluate(&[statement(true)], &request), Verdict::Allowed);
        assert_ne!(evaluate(&[everything, statement(false)], &request), Verdict::Allowed);
    }

    proptest! {
        #[test]
        fn adding_a_deny_never_allows_more(
            action in "[a-c]{1,2}", allowed in "[a-c*?]{1,3}", denied in "[a-c*?]{1,3}",
        ) {
            let allow = json!({ "Effect": "Allow", "Action": format!("x:{allowed}"), "Resource": "*" });
            let deny = json!({ "Effect": "Deny", "Action": format!("x:{denied}"), "Resource": "*" });
            let action = format!("x:{action}");
            let before = asks(&json!([allow]), &action, "arn", &[]);
            let after = asks(&json!([allow, deny]), &action, "arn", &[]);
            prop_assert!(before || !after);
            prop_assert_eq!(after, before && !wildcard::matches(&format!("x:{denied}"), &action));
        }
    }
}
