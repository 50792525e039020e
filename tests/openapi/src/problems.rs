//! The answers that are the same wherever they come from: problems, and what the gateway says on its own.

use serde_json::{Value, json};

/// What every operation may answer, because the gateway and the harness stand before every function.
pub const ALWAYS: [u16; 3] = [429, 500, 503];
/// What every operation may answer that needs a key.
pub const WITH_A_KEY: [u16; 2] = [401, 403];

/// An answer that is no success.
pub struct Problem {
    pub status: u16,
    /// The name of the component.
    pub name: &'static str,
    description: &'static str,
    codes: &'static [&'static str],
    /// An example's `detail`.
    detail: &'static str,
    headers: &'static [&'static str],
    /// What the gateway says with this status, where it answers on its own.
    gateway: Option<&'static str>,
}

/// All of them, by status. A function names the status; the rest stands here.
pub const PROBLEMS: [Problem; 14] = [
    Problem {
        status: 400,
        name: "InvalidRequest",
        description: "The request makes no sense; `errors` says where.",
        codes: &["invalid-request"],
        detail: "`/bytes`: must be the size of the file, at least 1",
        headers: &[],
        gateway: None,
    },
    Problem {
        status: 401,
        name: "Unauthenticated",
        description: "Nobody said who is asking. The gateway says so itself.",
        codes: &["unauthenticated"],
        detail: "Send `Authorization: Bearer <API key>`.",
        headers: &[],
        gateway: Some("Unauthorized"),
    },
    Problem {
        status: 403,
        name: "Forbidden",
        description: "The caller may not do this. To a key that is unknown, revoked or expired the gateway says \
                      so itself.",
        codes: &["forbidden", "quota-exceeded"],
        detail: "This key lacks the scope `images:write`.",
        headers: &[],
        gateway: Some("Forbidden"),
    },
    Problem {
        status: 404,
        name: "NotFound",
        description: "There is no such thing, or it is another project's.",
        codes: &["not-found"],
        detail: "There is no such image.",
        headers: &[],
        gateway: Some("Not Found"),
    },
    Problem {
        status: 409,
        name: "Conflict",
        description: "It does not go together with what is there, or with what others do at this moment.",
        codes: &["conflict"],
        detail: "Others are changing the image at this moment. Try again.",
        headers: &[],
        gateway: None,
    },
    Problem {
        status: 410,
        name: "Gone",
        description: "It was there, and is being deleted for good.",
        codes: &["gone"],
        detail: "The image is being deleted for good.",
        headers: &[],
        gateway: None,
    },
    Problem {
        status: 412,
        name: "Stale",
        description: "It has changed since you read it. The `ETag` is the current one.",
        codes: &["stale"],
        detail: "The image has changed since you read it. Read it again and decide anew.",
        headers: &["ETag"],
        gateway: None,
    },
    Problem {
        status: 413,
        name: "TooLarge",
        description: "More bytes than are taken.",
        codes: &["too-large"],
        detail: "An upload has at most 104857600 bytes.",
        headers: &[],
        gateway: Some("Request Entity Too Large"),
    },
    Problem {
        status: 415,
        name: "UnsupportedMedia",
        description: "A media type that cannot be worked with.",
        codes: &["unsupported-media"],
        detail: "Send the body as `Content-Type: application/json`.",
        headers: &[],
        gateway: None,
    },
    Problem {
        status: 422,
        name: "Unprocessable",
        description: "It is well-formed, and cannot be done.",
        codes: &["undecodable", "idempotency-mismatch"],
        detail: "This `Idempotency-Key` was used for another request. Take a new one for each request.",
        headers: &[],
        gateway: None,
    },
    Problem {
        status: 428,
        name: "PreconditionRequired",
        description: "Say with `If-Match` which version you change.",
        codes: &["precondition-required"],
        detail: "Send `If-Match` with the `ETag` that you read.",
        headers: &[],
        gateway: None,
    },
    Problem {
        status: 429,
        name: "RateLimited",
        description: "Too many requests. Wait, and try again.",
        codes: &["rate-limited"],
        detail: "You ask more often than you may. Wait as long as `Retry-After` says, and ask less often.",
        headers: &["Retry-After"],
        gateway: Some("Too Many Requests"),
    },
    Problem {
        status: 500,
        name: "Internal",
        description: "Our fault.",
        codes: &["internal"],
        detail: "Something went wrong on our side. Try again, and tell us the request id if it stays so.",
        headers: &[],
        gateway: Some("Internal Server Error"),
    },
    Problem {
        status: 503,
        name: "Unavailable",
        description: "A part of the service cannot be reached for now. Try again.",
        codes: &["unavailable"],
        detail: "A part of the service cannot be reached for now. Wait a moment and try again.",
        headers: &["Retry-After"],
        gateway: Some("Service Unavailable"),
    },
];

impl Problem {
    pub fn of(status: u16) -> Option<&'static Self> {
        PROBLEMS.iter().find(|problem| problem.status == status)
    }

    /// The reusable response.
    pub fn response(&self) -> Value {
        let reason = lambda_http::http::StatusCode::from_u16(self.status).ok();
        let reason = reason.and_then(|status| status.canonical_reason()).unwrap_or_default();
        let code = self.codes.first().copied().unwrap_or_default();
        let mut example = json!({
            "type": format!("/problems/{code}"),
            "title": reason,
            "status": self.status,
            "code": code,
            "detail": self.detail,
            "instance": "8f6e1a52-7b1c-4c39-9d0e-2f4a6c8e0b13",
        });
        if self.status == 400 {
            let detail = "must be the size of the file, at least 1";
            example["errors"] = json!([{ "pointer": "/bytes", "detail": detail }]);
        }
        let narrowed = json!({
            "type": "object",
            "properties": { "status": { "const": self.status }, "code": { "enum": self.codes } },
        });
        let schema = json!({ "allOf": [{ "$ref": "#/components/schemas/Problem" }, narrowed] });
        let mut content = json!({ "application/problem+json": { "schema": schema, "example": example } });
        if let Some(message) = self.gateway {
            let schema = json!({ "$ref": "#/components/schemas/GatewayMessage" });
            content["application/json"] = json!({ "schema": schema, "example": { "message": message } });
        }
        let mut response = json!({ "description": self.description, "content": content });
        for name in self.headers.iter().chain(&["X-Request-Id"]) {
            response["headers"][*name] = json!({});
        }
        response
    }
}

/// What the gateway answers with when it answers on its own.
pub fn gateway_message() -> Value {
    json!({
        "type": "object",
        "description": "What the gateway says when no function was asked.",
        "required": ["message"],
        "properties": { "message": { "type": ["string", "null"] } },
    })
}
