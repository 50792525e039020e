//! Who is asking, as the authorizer found out.

use std::borrow::Cow;

use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt as _};
use serde_json::Value;

use super::Problem;
use crate::domain::upload_token::Grant;
use crate::domain::{Access, KeyId, ProjectId, Scope, TokenId, TraceParent, UserId, Visibility};

/// The trace that a request says it belongs to. A header that names none is passed over, as the specification
/// wants.
pub fn trace(request: &Request) -> Option<TraceParent> {
    request.headers().get("traceparent").and_then(|value| value.to_str().ok()?.parse().ok())
}

/// Who proved to be somebody, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The project that the credential opens.
    pub project: ProjectId,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// The user whom it names, who sees what is theirs; who has a key sees all of the project.
    pub user: Option<UserId>,
    /// Who it is within the project, for what is remembered of each: `key:...`, `user:...` or `token:...`.
    pub id: String,
    /// The trace that the request belongs to.
    pub trace: Option<TraceParent>,
    credential: Credential,
}

/// What it was proved with.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Credential {
    Key(KeyId),
    Identity(UserId),
    Upload(TokenId, Box<Grant>),
}

impl Caller {
    /// Reads the authorizer's context. Nothing that the client sent is looked at.
    pub fn from_request(request: &Request) -> Result<Self, Problem> {
        Self::of(request).ok_or_else(Problem::unauthenticated)
    }

    /// The caller, if there is one.
    pub fn of(request: &Request) -> Option<Self> {
        let Some(RequestContext::ApiGatewayV2(context)) = request.request_context_ref() else { return None };
        let fields = &context.authorizer.as_ref()?.fields;
        let text = |name| fields.get(name).and_then(Value::as_str);
        let project = text("project")?.parse().ok()?;
        let scopes = Scope::parse_list(text("scopes").unwrap_or_default());
        let credential = match (text("key"), text("user"), text("token")) {
            (Some(key), None, None) => Credential::Key(key.parse().ok()?),
            // A user of a key is less than the key.
            (_, Some(user), None) => Credential::Identity(user.parse().ok()?),
            // An upload token's limits are read, or it is none.
            (None, None, Some(token)) => {
                let grant = serde_json::from_str(text("grant")?).ok()?;
                Credential::Upload(token.parse().ok()?, Box::new(grant))
            }
            _ => return None,
        };
        let user = match &credential {
            Credential::Key(_) => None,
            Credential::Identity(user) => Some(user.clone()),
            Credential::Upload(_, grant) => grant.user.clone(),
        };
        let id = match &credential {
            Credential::Key(key) => format!("key:{key}"),
            Credential::Identity(user) => of_user(user),
            Credential::Upload(token, _) => format!("token:{token}"),
        };
        Some(Self { project, scopes, user, id, trace: trace(request), credential })
    }

    #[cfg(test)]
    pub(crate) fn for_tests(project: ProjectId, id: &str) -> Self {
        let credential = Credential::Key(KeyId::new(1.into()));
        Self { project, scopes: vec![], user: None, id: id.to_owned(), trace: None, credential }
    }

    /// Goes on only with somebody who has the scope, or is an administrator. Upload tokens open nothing but
    /// the places that ask for them, see [`Self::require_upload`] and [`Self::require_or_upload`].
    pub fn require(self, scope: Scope) -> Result<Self, Problem> {
        if matches!(self.credential, Credential::Upload(..)) {
            return Err(Problem::forbidden("An upload token is good for its own uploads alone."));
        }
        self.having(scope)
    }

    /// Goes on only with somebody who may upload. [`Self::grant`] says within which limits.
    pub fn require_upload(self) -> Result<Self, Problem> {
        self.having(Scope::CreateUploads)
    }

    /// Goes on with somebody who has the scope; or with an upload token, which sees what it reserved and no more
    /// ([`Access::sees`]).
    pub fn require_or_upload(self, scope: Scope) -> Result<Self, Problem> {
        match &self.credential {
            Credential::Key(_) | Credential::Identity(_) => self.having(scope),
            Credential::Upload(..) => self.require_upload(),
        }
    }

    /// Goes on only with an operator, or with an administrator of this very project. Another one's is not there.
    pub fn require_project(&self, project: ProjectId) -> Result<(), Problem> {
        let operator = self.clone().require(Scope::Operator).is_ok();
        if operator {
            return Ok(());
        }
        if self.project != project {
            return Err(Problem::not_found("project"));
        }
        self.clone().require(Scope::Admin).map(drop)
    }

    fn having(self, scope: Scope) -> Result<Self, Problem> {
        if scope.is_in(&self.scopes) {
            Ok(self)
        } else {
            Err(Problem::forbidden(format!("This needs the scope `{}`.", scope.name())))
        }
    }

    /// Whose rate the request counts against: a user's tokens do not add to what the user may ask.
    pub fn counted_as(&self) -> Cow<'_, str> {
        match (&self.credential, &self.user) {
            (Credential::Upload(..), Some(user)) => Cow::Owned(of_user(user)),
            (Credential::Key(_) | Credential::Identity(_) | Credential::Upload(..), _) => {
                Cow::Borrowed(&self.id)
            }
        }
    }

    /// What of the project they get to see.
    pub fn access(&self) -> Access {
        let token = self.grant().map(|(token, _)| token);
        Access { project: self.project, user: self.user.clone(), token, trace: self.trace.clone() }
    }

    /// The upload token in use, if it is one, and its limits.
    pub fn grant(&self) -> Option<(TokenId, &Grant)> {
        match &self.credential {
            Credential::Key(_) | Credential::Identity(_) => None,
            Credential::Upload(token, grant) => Some((*token, grant)),
        }
    }

    /// Who may see a new image of theirs if they ask for this. An upload token has said it already, which must not
    /// be passed over; the error says so.
    pub fn visibility(&self, asked: Option<Visibility>) -> Result<Visibility, &'static str> {
        let granted = self.grant().map(|(_, grant)| grant.visibility);
        match (asked, granted) {
            (Some(asked), Some(granted)) if asked != granted => {
                Err("is not what the upload token says; leave it out")
            }
            (asked, granted) => Ok(asked.or(granted).unwrap_or_default()),
        }
    }

    /// The key in use, if it is one.
    pub fn key(&self) -> Option<KeyId> {
        match &self.credential {
            Credential::Key(key) => Some(*key),
            Credential::Identity(_) | Credential::Upload(..) => None,
        }
    }
}

fn of_user(user: &UserId) -> String {
    format!("user:{user}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const KEY: &str = "key_01M5GZNY40K8C2E4G6J8M1P3RT";
    const PROJECT: &str = "prj_01M5GZNY40J4Q2W8N5R7X3Z9BD";
    const TOKEN: &str = "tok_01M5GZNY40K8C2E4G6J8M1P3RT";

    fn caller(context: Value) -> Option<Caller> {
        let mut event: Value =
            serde_json::from_str(include_str!("../../../events/list-images.json")).unwrap();
        event["requestContext"]["authorizer"]["lambda"] = context;
        Caller::of(&lambda_http::request::from_str(&event.to_string()).unwrap())
    }

    fn grant() -> String {
        json!({ "max_bytes": 5, "user": "ann" }).to_string()
    }

    #[test]
    fn each_kind_of_caller_has_a_name_of_its_own() {
        let of = |extra: Value| {
            let mut context = json!({ "project": PROJECT, "scopes": "uploads:create" });
            context.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            caller(context)
        };
        let key = of(json!({ "key": KEY })).unwrap();
        assert_eq!((key.id, key.user), (format!("key:{KEY}"), None));
        let user = of(json!({ "user": "ann" })).unwrap();
        assert_eq!((user.id, user.user.unwrap().as_str()), ("user:ann".into(), "ann"));
        let token = of(json!({ "token": TOKEN, "grant": grant() })).unwrap();
        assert_eq!(
            (token.id.clone(), token.user.as_ref().unwrap().as_str()),
            (format!("token:{TOKEN}"), "ann")
        );
        assert_eq!(token.grant().unwrap().1.max_bytes, Some(5));
        assert_eq!(token.counted_as(), "user:ann", "many tokens are not many callers");
        let nobodys = of(json!({ "token": TOKEN, "grant": "{}" })).unwrap();
        assert_eq!(nobodys.counted_as(), format!("token:{TOKEN}"));
        for strange in [
            json!({}),
            json!({ "key": "key_x" }),
            json!({ "user": "" }),
            json!({ "token": TOKEN }),
            json!({ "token": TOKEN, "grant": grant(), "user": "ann" }),
            json!({ "token": TOKEN, "grant": "{" }),
        ] {
            assert_eq!(of(strange.clone()), None, "{strange}");
        }
    }

    #[test]
    fn an_upload_token_opens_nothing_but_uploads() {
        let context = json!({
            "project": PROJECT, "scopes": "uploads:create admin", "token": TOKEN, "grant": grant(),
        });
        let token = caller(context).unwrap();
        for scope in Scope::ALL {
            assert_eq!(token.clone().require(scope).unwrap_err().code(), "forbidden");
        }
        assert!(token.clone().require_upload().is_ok());
        let token = token.require_or_upload(Scope::ReadImages).unwrap();
        assert_eq!(token.access().token, Some(TOKEN.parse().unwrap()));
    }
}
