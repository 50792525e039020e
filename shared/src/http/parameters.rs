//! Parameters that several operations take, as the reference describes them.

use utoipa::IntoParams;

/// For reads: what the client has already.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IfNoneMatch {
    /// The `ETag` that you have. If nothing has changed, the answer is 304 without a body.
    #[param(rename = "If-None-Match", example = "\"1.2\"")]
    pub if_none_match: Option<String>,
}

/// For changes: which version the client wants to change.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IfMatch {
    /// The `ETag` that you read. If somebody has changed it since, the answer is 412 and nothing happens.
    #[param(rename = "If-Match", example = "\"1.2\"", pattern = r#"^(\*|(W/)?"?[0-9]{1,18}(\.[0-9]+)*"?)$"#)]
    pub if_match: Option<String>,
}

/// For whatever creates: which attempt this is.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IdempotencyKey {
    /// A name of your own for this attempt, such as a UUID. The same request with the same name has one effect, and
    /// is answered again; another request with it is refused.
    #[param(
        rename = "Idempotency-Key",
        example = "5b1e3f0a-7c22-4f0e-9f58-0e8f3c0d9a11",
        pattern = "^(\"[!#-~]{1,255}\"|[!#-~]{1,255})$"
    )]
    pub idempotency_key: Option<String>,
}
