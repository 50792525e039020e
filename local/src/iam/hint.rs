//! What a refusal tells the developer: the statement that would allow the request, ready to paste.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{AccessRequest, Verdict};

/// How the template writes the resources that it makes: their logical ids by ARN.
#[derive(Debug, Clone, Default)]
pub struct References(Arc<BTreeMap<String, String>>);

impl FromIterator<(String, String)> for References {
    /// Gathers pairs of an ARN and the logical id.
    fn from_iter<T: IntoIterator<Item = (String, String)>>(pairs: T) -> Self {
        Self(Arc::new(pairs.into_iter().collect()))
    }
}

impl References {
    /// An ARN as a template would write it: `!GetAtt Table.Arn`, `!Sub ${Originals.Arn}/*`.
    fn write(&self, arn: &str) -> String {
        if let Some(id) = self.0.get(arn) {
            return format!("!GetAtt {id}.Arn");
        }
        let Some((parent, id, below)) = self.0.iter().find_map(|(parent, id)| {
            let below = arn.strip_prefix(parent.as_str())?.strip_prefix('/')?;
            Some((parent, id, below))
        }) else {
            return arn.to_owned();
        };
        // An index has a name worth saying; objects and stream labels come and go.
        let below = match below.split_once('/') {
            Some(("stream", _)) => "stream/*",
            _ if parent.starts_with("arn:aws:s3:") => "*",
            _ => below,
        };
        format!("!Sub ${{{id}.Arn}}/{below}")
    }
}

/// Logs a refusal.
pub(super) fn log(
    function: &str, request: &AccessRequest<'_>, verdict: &Verdict<'_>, references: &References,
) {
    let advice = advice(request, verdict, references);
    tracing::warn!(function, action = request.action, resource = request.resource, "access denied: {advice}");
}

fn advice(request: &AccessRequest<'_>, verdict: &Verdict<'_>, references: &References) -> String {
    let sid = |sid: &Option<String>| sid.clone().unwrap_or_else(|| "without Sid".to_owned());
    match verdict {
        Verdict::Forbidden(statement) => {
            format!("the statement `{}` forbids it", sid(&statement.sid))
        }
        Verdict::NotAllowed(Some(statement)) => {
            format!("the condition of the statement `{}` does not hold", sid(&statement.sid))
        }
        Verdict::NotAllowed(None) | Verdict::Allowed => format!(
            "this statement under `Policies` would allow it:\n\
             \x20 - Sid: NameOfThePort\n    Effect: Allow\n    Action: {}\n    Resource: {}",
            request.action,
            references.write(request.resource),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references() -> References {
        [
            ("arn:aws:dynamodb:eu-west-1:000000000000:table/tintype-Table", "Table"),
            ("arn:aws:s3:::tintype-originals", "Originals"),
        ]
        .map(|(arn, id)| (arn.to_owned(), id.to_owned()))
        .into_iter()
        .collect()
    }

    #[test]
    fn resources_are_written_as_the_template_writes_them() {
        let cases = [
            ("arn:aws:dynamodb:eu-west-1:000000000000:table/tintype-Table", "!GetAtt Table.Arn"),
            (
                "arn:aws:dynamodb:eu-west-1:000000000000:table/tintype-Table/index/GSI1",
                "!Sub ${Table.Arn}/index/GSI1",
            ),
            ("arn:aws:s3:::tintype-originals/private/prj/img", "!Sub ${Originals.Arn}/*"),
            ("arn:aws:s3:::tintype-originals-2/x", "arn:aws:s3:::tintype-originals-2/x"),
        ];
        for (arn, written) in cases {
            assert_eq!(references().write(arn), written);
        }
    }

    #[test]
    fn the_advice_is_a_statement_that_allows_the_request() {
        let arn = "arn:aws:s3:::tintype-originals/a";
        let request = AccessRequest { action: "s3:GetObject", resource: arn, context: &[] };
        let advice = advice(&request, &Verdict::NotAllowed(None), &references());
        let (_, yaml) = advice.split_once('\n').unwrap();
        assert_eq!(
            yaml,
            "  - Sid: NameOfThePort\n    Effect: Allow\n    Action: s3:GetObject\n    Resource: !Sub ${Originals.Arn}/*"
        );
    }
}
