//! Issuers of identity tokens that a project trusts: "Sign in with Google", Cognito, Auth0, one's own.

use std::net::IpAddr;

use http::Uri;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::key::hex;
use super::{ProjectId, Scope};

/// How many issuers a project may trust.
pub const MAXIMUM_ISSUERS: usize = 5;
const MAXIMUM_TEXT: usize = 255;

/// An issuer that a project trusts, and what it makes of the tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Issuer {
    /// The issuer's URL, letter by letter as `iss` has it.
    pub issuer: String,
    /// What `aud` has to name: the client id of the application.
    pub audience: String,
    /// The claim that says who the user is.
    #[serde(default = "subject")]
    pub user_claim: String,
    /// What is put before it, so that users of two issuers are never taken for each other.
    #[serde(default)]
    pub user_prefix: String,
    /// What its users may do.
    #[serde(default = "of_users")]
    pub scopes: Vec<Scope>,
    /// The claim that says which of these a user has; all of them, if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes_claim: Option<String>,
}

fn subject() -> String {
    "sub".into()
}

fn of_users() -> Vec<Scope> {
    Scope::OF_USERS.into()
}

/// An issuer, and whose it is: what is found by the `iss` and `aud` of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustedIssuer {
    /// The project that its users come to.
    pub project: ProjectId,
    /// What it trusts.
    #[serde(flatten)]
    pub issuer: Issuer,
}

/// What is wrong with an issuer: the place within it, and what is expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {expected}")]
pub struct InvalidIssuer {
    /// Which one, counted from zero.
    pub index: usize,
    /// The name of the field.
    pub field: &'static str,
    /// What it has to be.
    pub expected: &'static str,
}

impl Issuer {
    /// Where it is looked up. The length keeps the two parts apart.
    pub fn fingerprint(issuer: &str, audience: &str) -> String {
        hex(&Sha256::digest(format!("{}\n{issuer}\n{audience}", issuer.len())))
    }

    /// Checks what a project wants to trust. Issuers on this machine are for development.
    pub fn check_all(issuers: &[Self], reach: Reach) -> Result<(), InvalidIssuer> {
        if issuers.len() > MAXIMUM_ISSUERS {
            let expected = "is one too many: there may be five";
            return Err(InvalidIssuer { index: MAXIMUM_ISSUERS, field: "", expected });
        }
        for (index, issuer) in issuers.iter().enumerate() {
            let invalid = |field, expected| InvalidIssuer { index, field, expected };
            issuer.check(reach).map_err(|(field, expected)| invalid(field, expected))?;
            for other in &issuers[..index] {
                if (&other.issuer, &other.audience) == (&issuer.issuer, &issuer.audience) {
                    return Err(invalid("audience", "is there already"));
                }
                if other.issuer != issuer.issuer && overlap(&other.user_prefix, &issuer.user_prefix) {
                    let expected = "must tell this issuer's users from the other issuers'";
                    return Err(invalid("user_prefix", expected));
                }
            }
        }
        Ok(())
    }

    fn check(&self, reach: Reach) -> Result<(), (&'static str, &'static str)> {
        let plain = |text: &str| {
            (1..=MAXIMUM_TEXT).contains(&text.len()) && !text.contains(|letter: char| letter.is_control())
        };
        if !reach.allows(&self.issuer) || self.issuer.contains('?') {
            return Err(("issuer", "must be the https URL of an issuer on the public internet"));
        }
        if !plain(&self.audience) {
            return Err(("audience", "must have 1 to 255 characters"));
        }
        if !plain(&self.user_claim) {
            return Err(("user_claim", "must be the name of a claim"));
        }
        let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | ':' | '.');
        if self.user_prefix.len() > 32 || !self.user_prefix.chars().all(fits) {
            return Err(("user_prefix", "must have at most 32 letters, digits and `-_:.`"));
        }
        if self.scopes.contains(&Scope::Operator) {
            return Err(("scopes", "cannot hold `operator`"));
        }
        if self.scopes_claim.as_ref().is_some_and(|claim| !plain(claim)) {
            return Err(("scopes_claim", "must be the name of a claim"));
        }
        Ok(())
    }
}

/// Whether some user of one prefix could be some user of the other.
fn overlap(a: &str, b: &str) -> bool {
    a.starts_with(b) || b.starts_with(a)
}

/// Where a project's issuer may be. Whoever names one makes us send requests there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// On the public internet, by https.
    Internet,
    /// Also on this machine, by http.
    ThisMachine,
}

impl Reach {
    /// Whether this URL may be fetched, as far as its text tells. Names are looked at again once they are
    /// resolved, see [`Self::allows_address`].
    pub fn allows(self, url: &str) -> bool {
        let Ok(uri) = url.parse::<Uri>() else { return false };
        let Some(authority) = uri.authority() else { return false };
        let strange = |letter: char| !letter.is_ascii_graphic();
        if url.len() > MAXIMUM_TEXT
            || authority.as_str().contains('@')
            || url.contains('#')
            || url.contains(strange)
        {
            return false;
        }
        let host = authority.host();
        match uri.scheme_str() {
            // Numbers at the end make an address of the whole, in some spelling or other.
            Some("https") => {
                let last = host.rsplit('.').next().unwrap_or_default();
                host.contains('.') && last.starts_with(|letter: char| letter.is_ascii_alphabetic())
            }
            Some("http") => self == Self::ThisMachine && matches!(host, "127.0.0.1" | "[::1]" | "localhost"),
            _ => false,
        }
    }

    /// Whether what a name stands for may be connected to.
    pub fn allows_address(self, address: IpAddr) -> bool {
        is_public(address) || (self == Self::ThisMachine && address.is_loopback())
    }
}

/// Whether an address is one of the public internet (<https://www.iana.org/assignments/iana-ipv4-special-registry>
/// and its sibling).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_documentation()
                || matches!((a, b, c), (0, ..) | (100, 64..=127, _) | (192, 0, 0) | (198, 18..=19, _))
                || a >= 224)
        }
        IpAddr::V6(v6) => {
            let [a, b, ..] = v6.segments();
            // Global unicast, without what leads to an IPv4 address in disguise.
            (0x2000..0x4000).contains(&a)
                && !matches!((a, b), (0x2001, 0x0000 | 0x0db8) | (0x2002, _) | (0x3fff, 0..=0x0fff))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(url: &str) -> Issuer {
        Issuer {
            issuer: url.into(),
            audience: "app".into(),
            user_claim: subject(),
            user_prefix: String::new(),
            scopes: of_users(),
            scopes_claim: None,
        }
    }

    #[test]
    fn an_issuer_is_on_the_public_internet() {
        for good in [
            "https://accounts.google.com",
            "https://example.eu.auth0.com/",
            "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEf",
            "https://id.example.org:8443/realms/x",
        ] {
            assert!(Reach::Internet.allows(good), "{good}");
        }
        for bad in [
            "",
            "accounts.google.com",
            "http://accounts.google.com",
            "https://169.254.169.254/latest",
            "https://127.1/",
            "https://0x7f.0.0.1",
            "https://[::1]/",
            "https://localhost/",
            "https://intranet/",
            "https://user:pass@example.org",
            "https://example.org/#x",
            "https://example.org/ü",
            "ftp://example.org/",
            "file:///etc/passwd",
            "http://127.0.0.1:8080",
        ] {
            assert!(!Reach::Internet.allows(bad), "{bad}");
        }
        for local in ["http://127.0.0.1:8080", "http://localhost:8080/realms/x", "http://[::1]:1"] {
            assert!(Reach::ThisMachine.allows(local), "{local}");
        }
        for bad in ["http://10.0.0.1:80", "http://example.org", "http://localhost.example.org"] {
            assert!(!Reach::ThisMachine.allows(bad), "{bad}");
        }
    }

    #[test]
    fn what_a_name_stands_for_is_public_too() {
        for public in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2a00:1450:4001::1", "2600:1f18::1"] {
            assert!(Reach::Internet.allows_address(public.parse().unwrap()), "{public}");
        }
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "192.0.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::1",
            "2001:db8::1",
            "ff02::1",
        ] {
            assert!(!Reach::Internet.allows_address(private.parse().unwrap()), "{private}");
        }
        assert!(Reach::ThisMachine.allows_address("127.0.0.1".parse().unwrap()));
        assert!(!Reach::ThisMachine.allows_address("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn users_of_two_issuers_cannot_be_mistaken() {
        let (a, b) = (issuer("https://a.example.org"), issuer("https://b.example.org"));
        let prefixed =
            |issuer: &Issuer, prefix: &str| Issuer { user_prefix: prefix.into(), ..issuer.clone() };
        let check =
            |issuers: &[Issuer]| Issuer::check_all(issuers, Reach::Internet).map_err(|e| (e.index, e.field));
        assert_eq!(check(&[a.clone(), b.clone()]), Err((1, "user_prefix")));
        assert_eq!(check(&[prefixed(&a, "a:"), b.clone()]), Err((1, "user_prefix")));
        assert_eq!(check(&[prefixed(&a, "a"), prefixed(&b, "ab")]), Err((1, "user_prefix")));
        assert_eq!(check(&[prefixed(&a, "a:"), prefixed(&b, "b:")]), Ok(()));
        // One issuer, two clients: the same users.
        let phone = Issuer { audience: "phone".into(), ..a.clone() };
        assert_eq!(check(&[a.clone(), phone]), Ok(()));
        assert_eq!(check(&[a.clone(), a.clone()]), Err((1, "audience")));
        assert_eq!(check(&vec![a.clone(); 6]), Err((5, "")));
        let operator = Issuer { scopes: vec![Scope::Operator], ..a };
        assert_eq!(check(&[b, operator]), Err((1, "scopes")));
    }

    #[test]
    fn two_places_are_never_one() {
        assert_ne!(Issuer::fingerprint("https://a\nb", "c"), Issuer::fingerprint("https://a", "b\nc"));
        assert_eq!(Issuer::fingerprint("https://a", "b"), Issuer::fingerprint("https://a", "b"));
    }
}
