//! Who is asking, as the authorizer found out.

use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt as _};
use serde_json::Value;

use super::Problem;
use crate::domain::{Access, ProjectId, Scope, TraceParent, UserId};

/// The trace that a request says it belongs to. A header that names none is passed over, as the specification
/// wants.
pub fn trace(request: &Request) -> Option<TraceParent> {
    request.headers().get("traceparent").and_then(|value| value.to_str().ok()?.parse().ok())
}

/// The bearer of a valid key or token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The project that it opens.
    pub project: ProjectId,
    /// The user of the application that a token names. A key speaks for the application itself.
    pub user: Option<UserId>,
    /// Who this is, among all callers of the project.
    pub id: String,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// The trace that the request belongs to.
    pub trace: Option<TraceParent>,
}

impl Caller {
    /// Reads the authorizer's context. Nothing that the client sent is looked at.
    pub fn from_request(request: &Request) -> Result<Self, Problem> {
        let context = request.request_context_ref();
        let Some(RequestContext::ApiGatewayV2(context)) = context else {
            return Err(Problem::unauthenticated());
        };
        let lambda = context.authorizer.as_ref().map(|authorizer| &authorizer.fields);
        let text = |name| lambda.and_then(|fields| fields.get(name)).and_then(Value::as_str);
        let project = text("project").and_then(|id| id.parse().ok()).ok_or_else(Problem::unauthenticated)?;
        let scopes = Scope::parse_list(text("scopes").unwrap_or_default());
        let user = match text("user") {
            // Whoever cannot be read must not become the application itself.
            Some(user) => Some(user.parse::<UserId>().map_err(|_| Problem::unauthenticated())?),
            None => None,
        };
        let id = match (&user, text("key")) {
            (Some(user), _) => format!("user:{user}"),
            (None, key) => key.unwrap_or_default().to_owned(),
        };
        Ok(Self { project, user, id, scopes, trace: trace(request) })
    }

    /// What of the project they get to see.
    pub fn access(&self) -> Access {
        Access { project: self.project, user: self.user.clone(), trace: self.trace.clone() }
    }

    /// Goes on only with a key that has the scope, or is an administrator's.
    pub fn require(self, scope: Scope) -> Result<Self, Problem> {
        if self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin) {
            Ok(self)
        } else {
            Err(Problem::forbidden(format!("This key lacks the scope `{}`.", scope.name())))
        }
    }
}
