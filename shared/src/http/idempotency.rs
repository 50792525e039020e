//! The header `Idempotency-Key`.

use lambda_http::{Body, Request};
use sha2::{Digest as _, Sha256};

use super::{Caller, Problem};
use crate::domain::idempotency::{Attempt, Record};
use crate::domain::key::hex;

/// The attempt that a request is, if it says so.
pub fn attempt(request: &Request, caller: &Caller) -> Result<Option<Attempt>, Problem> {
    let mut values = request.headers().get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().ok().and_then(|value| value.trim().trim_matches('"').parse().ok());
    let key = key.filter(|_| values.next().is_none()).ok_or_else(|| {
        Problem::invalid_request("`Idempotency-Key` takes one name of 1 to 255 visible ASCII characters.")
    })?;
    let fingerprint = fingerprint(request);
    Ok(Some(Attempt { project: caller.project, key, caller: caller.id.clone(), fingerprint }))
}

/// What tells one request from another: what it wants of which address, on which condition.
fn fingerprint(request: &Request) -> String {
    let mut hash = Sha256::new();
    let if_match = request.headers().get("if-match").map_or(&[][..], |value| value.as_bytes());
    let query = request.uri().query().unwrap_or_default().as_bytes();
    let parts = [
        request.method().as_str().as_bytes(),
        request.uri().path().as_bytes(),
        query,
        if_match,
        bytes(request),
    ];
    for part in parts {
        // The lengths keep the parts apart.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex(&hash.finalize())
}

fn bytes(request: &Request) -> &[u8] {
    match request.body() {
        Body::Text(text) => text.as_bytes(),
        Body::Binary(bytes) => bytes,
        // `Body` is not exhaustive; what is neither has no bytes.
        _ => &[],
    }
}

/// The record to answer from, if the request is the one that it was made of.
pub fn same_request(attempt: &Attempt, record: Record) -> Result<Record, Problem> {
    if record.attempt == *attempt { Ok(record) } else { Err(Problem::idempotency_mismatch()) }
}

/// The record to answer from, when it was found only on writing it.
pub fn repeated(attempt: Option<Attempt>, record: Record) -> Result<Record, Problem> {
    let attempt = attempt.ok_or_else(|| Problem::internal("a record without an attempt"))?;
    same_request(&attempt, record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ProjectId;

    fn caller() -> Caller {
        Caller::for_tests(ProjectId::new(1.into()), "key:1")
    }

    fn request(keys: &[&str], path: &str, body: &str) -> Request {
        let request = ::http::Request::builder().method("POST").uri(path);
        let request = keys.iter().fold(request, |request, key| request.header("idempotency-key", *key));
        request.body(Body::Text(body.into())).unwrap()
    }

    #[test]
    fn another_body_or_address_is_another_request() {
        let first = attempt(&request(&["a"], "/v1/uploads", "{}"), &caller()).unwrap().unwrap();
        let record = first.done(vec![], crate::domain::Time::from_secs(0));
        assert!(same_request(&first, record.clone()).is_ok());
        for other in [request(&["a"], "/v1/uploads", "{ }"), request(&["a"], "/v1/keys", "{}")] {
            let other = attempt(&other, &caller()).unwrap().unwrap();
            let problem = same_request(&other, record.clone()).unwrap_err();
            assert_eq!((problem.status().as_u16(), problem.code()), (422, "idempotency-mismatch"));
        }
    }

    #[test]
    fn a_key_that_cannot_be_read_is_not_no_key() {
        assert_eq!(attempt(&request(&[], "/v1/uploads", "{}"), &caller()).unwrap(), None);
        for keys in [&[""][..], &["a b"], &["a", "b"], &["a", "a"]] {
            let problem = attempt(&request(keys, "/v1/uploads", "{}"), &caller()).unwrap_err();
            assert_eq!(problem.status(), 400, "{keys:?}");
        }
    }
}
