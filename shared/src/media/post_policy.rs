//! Presigned POST: an upload as a browser's form.
//!
//! The Rust SDK does not presign POST, so the policy is signed here with the SDK's signer.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html>

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use aws_credential_types::Credentials;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::domain::Time;

/// What a form may upload, and in whose name.
pub struct Form<'a> {
    pub bucket: &'a str,
    pub key: &'a str,
    pub content_type: &'a str,
    /// How many bytes the file has, at least and at most.
    pub bytes: RangeInclusive<u64>,
    pub region: &'a str,
    pub credentials: &'a Credentials,
    pub now: Time,
    pub expires_at: Time,
}

/// The fields that the form must send before its file: exactly this key, type and size.
pub fn fields(form: &Form<'_>) -> BTreeMap<String, String> {
    let date = form.now.compact();
    let day = &date[..8];
    let credential = format!("{}/{day}/{}/s3/aws4_request", form.credentials.access_key_id(), form.region);
    let mut fields = BTreeMap::from([
        ("key".to_owned(), form.key.to_owned()),
        ("Content-Type".to_owned(), form.content_type.to_owned()),
        ("success_action_status".to_owned(), "201".to_owned()),
        ("x-amz-algorithm".to_owned(), "AWS4-HMAC-SHA256".to_owned()),
        ("x-amz-credential".to_owned(), credential),
        ("x-amz-date".to_owned(), date.clone()),
    ]);
    if let Some(token) = form.credentials.session_token() {
        fields.insert("x-amz-security-token".to_owned(), token.to_owned());
    }
    let (least, most) = (form.bytes.start(), form.bytes.end());
    let mut conditions = vec![json!({ "bucket": form.bucket }), json!(["content-length-range", least, most])];
    conditions.extend(fields.iter().map(|(name, value)| json!({ name: value })));
    let policy = json!({ "expiration": form.expires_at, "conditions": conditions });
    let policy = STANDARD.encode(policy.to_string());
    let signing_key =
        generate_signing_key(form.credentials.secret_access_key(), form.now.into(), form.region, "s3");
    let signature = calculate_signature(signing_key, policy.as_bytes());
    fields.insert("policy".to_owned(), policy);
    fields.insert("x-amz-signature".to_owned(), signature);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields_for(token: Option<&str>) -> BTreeMap<String, String> {
        let credentials = Credentials::new("AKID", "secret", token.map(str::to_owned), None, "test");
        let now = Time::from_secs(1_700_000_000);
        fields(&Form {
            bucket: "uploads",
            key: "prj_1/img_1/upl_1",
            content_type: "image/jpeg",
            bytes: 42..=42,
            region: "eu-west-1",
            credentials: &credentials,
            now,
            expires_at: now.after(std::time::Duration::from_mins(1)),
        })
    }

    fn policy(fields: &BTreeMap<String, String>) -> serde_json::Value {
        serde_json::from_slice(&STANDARD.decode(&fields["policy"]).unwrap()).unwrap()
    }

    #[test]
    fn the_policy_pins_key_type_and_size() {
        let fields = fields_for(Some("token"));
        let policy = policy(&fields);
        let conditions = policy["conditions"].as_array().unwrap();
        for expected in [
            json!({"bucket": "uploads"}),
            json!({"key": "prj_1/img_1/upl_1"}),
            json!({"Content-Type": "image/jpeg"}),
            json!({"x-amz-security-token": "token"}),
            json!(["content-length-range", 42, 42]),
        ] {
            assert!(conditions.contains(&expected), "{expected}");
        }
        assert_eq!(policy["expiration"], "2023-11-14T22:14:20.000Z");
        assert_eq!(fields["x-amz-signature"].len(), 64);
    }

    /// S3 refuses a form with a field that no condition names.
    #[test]
    fn every_field_of_the_form_is_a_condition() {
        for token in [None, Some("token")] {
            let fields = fields_for(token);
            assert_eq!(fields.contains_key("x-amz-security-token"), token.is_some());
            let policy = policy(&fields);
            let conditions = policy["conditions"].as_array().unwrap();
            for (name, value) in &fields {
                let itself = ["policy", "x-amz-signature"].contains(&name.as_str());
                assert_eq!(conditions.contains(&json!({ name: value })), !itself, "{name}");
            }
        }
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-UsingHTTPPOST.html>
    #[test]
    fn the_signature_is_made_as_the_documentation_says() {
        use hmac::{Hmac, Mac as _};
        let mac = |key: &[u8], message: &str| {
            let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
            mac.update(message.as_bytes());
            mac.finalize().into_bytes().to_vec()
        };
        let fields = fields_for(None);
        assert_eq!(fields["x-amz-credential"], "AKID/20231114/eu-west-1/s3/aws4_request");
        assert_eq!(fields["x-amz-date"], "20231114T221320Z");
        let steps = ["20231114", "eu-west-1", "s3", "aws4_request"];
        let key = steps.iter().fold(b"AWS4secret".to_vec(), |key, step| mac(&key, step));
        assert_eq!(fields["x-amz-signature"], crate::domain::key::hex(&mac(&key, &fields["policy"])));
    }
}
