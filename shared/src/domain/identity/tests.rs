use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::json;

use super::*;

const NOW: i64 = 1_795_237_200;

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn ed25519(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn jwk(key: &Ed25519KeyPair, id: &str) -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "kid": id, "use": "sig", "x": encode(key.public_key()) })
}

fn keys(of: &[Value]) -> SigningKeys {
    SigningKeys::read(json!({ "keys": of }).to_string().as_bytes()).unwrap()
}

fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encode(header.to_string()), encode(claims.to_string()))
}

fn signed(key: &Ed25519KeyPair, header: &Value, claims: &Value) -> String {
    let message = unsigned(header, claims);
    format!("{message}.{}", encode(key.sign(message.as_bytes())))
}

fn header() -> Value {
    json!({ "alg": "EdDSA", "typ": "JWT", "kid": "a" })
}

fn claims() -> Value {
    json!({ "iss": "https://id.example.org", "aud": "app", "sub": "ann", "exp": NOW + 300, "iat": NOW })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    claims
}

fn issuer() -> Issuer {
    let issuer = json!({ "issuer": "https://id.example.org", "audience": "app" });
    serde_json::from_value(issuer).unwrap()
}

fn prove_with(issuer: &Issuer, keys: &SigningKeys, token: &str) -> Result<Identity, Refused> {
    UnprovenToken::read(token)?.prove(keys, issuer, Time::from_secs(NOW))
}

fn prove(token: &str) -> Result<Identity, Refused> {
    prove_with(&issuer(), &keys(&[jwk(&ed25519(1), "a")]), token)
}

#[test]
fn a_good_token_names_a_user_who_may_what_users_may() {
    let token = signed(&ed25519(1), &header(), &claims());
    let unproven = UnprovenToken::read(&token).unwrap();
    assert_eq!((unproven.issuer(), unproven.key_id()), ("https://id.example.org", Some("a")));
    assert_eq!(unproven.audiences(), ["app"]);
    let identity = prove(&token).unwrap();
    assert_eq!((identity.user.as_str(), identity.scopes.as_slice()), ("ann", &Scope::OF_USERS[..]));
}

#[test]
fn the_times_of_a_token_are_kept_to_the_minute() {
    for (name, value, expected) in [
        ("exp", json!(NOW - 59), None),
        ("exp", json!(NOW - 60), Some(Refused::Expired)),
        ("exp", serde_json::from_str(&format!("{}.5", NOW - 60)).unwrap(), Some(Refused::Expired)),
        ("exp", json!("tomorrow"), Some(Refused::Expired)),
        ("exp", Value::Null, Some(Refused::Expired)),
        ("exp", json!(i64::MAX), None),
        ("exp", json!(1e300), None),
        ("nbf", json!(NOW + 60), None),
        ("nbf", json!(NOW + 61), Some(Refused::TooEarly)),
        ("nbf", json!("yesterday"), Some(Refused::TooEarly)),
        ("iat", json!(NOW + 61), Some(Refused::TooEarly)),
        ("iat", Value::Null, None),
    ] {
        let answer = prove(&signed(&ed25519(1), &header(), &with(name, value.clone())));
        assert_eq!(answer.err(), expected, "{name}: {value}");
    }
}

#[test]
fn a_token_is_for_one_application_of_one_issuer() {
    for (name, value, expected) in [
        ("aud", json!("other"), Some(Refused::Audience)),
        ("aud", json!(["other", "app"]), None),
        ("aud", json!([]), Some(Refused::Audience)),
        ("aud", Value::Null, Some(Refused::Audience)),
        ("iss", json!("https://id.example.org/"), Some(Refused::Audience)),
        ("iss", Value::Null, Some(Refused::Audience)),
    ] {
        let answer = prove(&signed(&ed25519(1), &header(), &with(name, value.clone())));
        assert_eq!(answer.err(), expected, "{name}: {value}");
    }
    // As Cognito's access tokens have it; where there is an audience, it counts.
    let mut of_client = with("aud", Value::Null);
    of_client["client_id"] = json!("app");
    assert!(prove(&signed(&ed25519(1), &header(), &of_client)).is_ok());
    of_client["aud"] = json!("other");
    assert_eq!(prove(&signed(&ed25519(1), &header(), &of_client)), Err(Refused::Audience));
}

#[test]
fn another_key_and_a_changed_token_are_refused() {
    let token = signed(&ed25519(2), &header(), &claims());
    assert_eq!(prove(&token), Err(Refused::Signature));
    let good = signed(&ed25519(1), &header(), &claims());
    let (_, signature) = good.rsplit_once('.').unwrap();
    let forged = format!("{}.{signature}", unsigned(&header(), &with("sub", json!("bob"))));
    assert_eq!(prove(&forged), Err(Refused::Signature));
    let unknown = json!({ "alg": "EdDSA", "kid": "b" });
    assert_eq!(prove(&signed(&ed25519(1), &unknown, &claims())), Err(Refused::UnknownKey));
    assert!(
        prove(&signed(&ed25519(1), &json!({ "alg": "EdDSA" }), &claims())).is_ok(),
        "any key may be meant"
    );
}

#[test]
fn no_algorithm_is_none_and_a_public_key_is_no_secret() {
    for alg in ["none", "None", "NONE", "", "HS256", "HS512", "ES384", "RS512"] {
        let header = json!({ "alg": alg, "kid": "a" });
        let unsigned = format!("{}.", unsigned(&header, &claims()));
        assert!(prove(&unsigned).is_err(), "{alg}");
    }
    let header = json!({ "alg": "HS256", "kid": "a" });
    let (message, public) = (unsigned(&header, &claims()), ed25519(1).public_key().as_ref().to_vec());
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &public), message.as_bytes());
    assert_eq!(prove(&format!("{message}.{}", encode(tag))), Err(Refused::UnknownKey));
    // Nor is a secret among the issuer's keys one of ours.
    let secret = json!({ "kty": "oct", "kid": "a", "k": encode(&public) });
    assert!(!keys(&[secret]).has("a"));
    let critical = json!({ "alg": "EdDSA", "kid": "a", "crit": ["b64"], "b64": true });
    assert_eq!(prove(&signed(&ed25519(1), &critical, &claims())), Err(Refused::Critical));
}

#[test]
fn the_key_says_which_algorithms_count() {
    let document =
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    let key =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &SystemRandom::new())
            .unwrap();
    let point = key.public_key().as_ref();
    let mut jwk = json!({
        "kty": "EC", "crv": "P-256", "kid": "a", "x": encode(&point[1..33]), "y": encode(&point[33..]),
    });
    let message = unsigned(&json!({ "alg": "ES256", "kid": "a" }), &claims());
    let signature = key.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    let token = format!("{message}.{}", encode(signature));
    assert!(prove_with(&issuer(), &keys(&[jwk.clone()]), &token).is_ok());
    // The same key, kept for something else.
    for (name, value) in [("use", "enc"), ("alg", "ES384"), ("crv", "P-384")] {
        let mut jwk = jwk.clone();
        jwk[name] = json!(value);
        assert_eq!(prove_with(&issuer(), &keys(&[jwk]), &token), Err(Refused::UnknownKey), "{name}");
    }
    jwk["alg"] = json!("ES256");
    assert!(prove_with(&issuer(), &keys(&[jwk]), &token).is_ok());
}

#[test]
fn a_set_is_read_past_the_keys_that_are_of_no_use() {
    let strange = [
        json!({ "kty": "EC", "crv": "secp256k1", "kid": "x", "x": "AA", "y": "AA" }),
        json!({ "kty": "AKP", "alg": "ML-DSA-65", "kid": "y", "pub": "AA" }),
        json!({ "kid": "z" }),
        json!(7),
        jwk(&ed25519(1), "a"),
    ];
    let keys = keys(&strange);
    assert!(keys.has("a") && !keys.has("x") && !keys.has("y") && !keys.has("z"));
    for bad in ["", "[]", "{}", r#"{"keys":7}"#] {
        assert!(SigningKeys::read(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn claims_become_users_and_scopes_as_the_project_says() {
    let mail = Issuer { user_claim: "email".into(), user_prefix: "g:".into(), ..issuer() };
    let keys = keys(&[jwk(&ed25519(1), "a")]);
    let prove =
        |issuer: &Issuer, claims: &Value| prove_with(issuer, &keys, &signed(&ed25519(1), &header(), claims));
    let identity = prove(&mail, &with("email", json!("ann@example.org"))).unwrap();
    assert_eq!(identity.user.as_str(), "g:ann@example.org");
    for nobody in [Value::Null, json!(7), json!(""), json!("ann "), json!("a\nb"), json!("x".repeat(200))] {
        let claims = with("email", nobody.clone());
        let plain = Issuer { user_prefix: String::new(), ..mail.clone() };
        assert_eq!(prove(&plain, &claims).err(), Some(Refused::NoUser), "{nobody}");
    }
    let scoped = Issuer { scopes_claim: Some("scope".into()), ..issuer() };
    for (claim, scopes) in [
        (json!("openid images:read"), vec![Scope::ReadImages]),
        (json!(["images:write", "uploads:create admin"]), vec![Scope::WriteImages, Scope::CreateUploads]),
        (json!("admin operator"), vec![]),
        (Value::Null, vec![]),
        (json!({ "images:read": true }), vec![]),
    ] {
        let identity = prove(&scoped, &with("scope", claim.clone())).unwrap();
        assert_eq!(identity.scopes, scopes, "{claim}");
    }
}

#[test]
fn what_is_no_token_is_refused_without_a_look() {
    let long = signed(&ed25519(1), &header(), &with("padding", json!("x".repeat(9000))));
    for text in ["", ".", "..", "a.b.c", "a.b", &long, &format!("{}.x.y", encode("{}"))] {
        assert!(UnprovenToken::read(text).is_err());
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "[A-Za-z0-9_.{}\":,-]{0,80}") {
        let _ = UnprovenToken::read(&text);
    }

    #[test]
    fn no_claims_panic(header in ".{0,40}", claims in ".{0,80}") {
        let text = format!("{}.{}.AAAA", encode(header), encode(claims));
        if let Ok(token) = UnprovenToken::read(&text) {
            let _ = token.prove(&keys(&[jwk(&ed25519(1), "a")]), &issuer(), Time::from_secs(NOW));
        }
    }
}
