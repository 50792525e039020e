//! Expiring signatures of delivery paths: `?exp=<seconds>&sig=<base64url>`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::{ImageId, PictureName, Project, ProjectId, Secret, Time, UploadId, Visibility};

/// Signatures last to the end of the next such window: at least one, at most two.
///
/// Everybody who asks within a window gets the same path, so that browsers and CDNs can cache it.
pub const WINDOW: Duration = Duration::from_hours(1);

/// How many bytes of the MAC go into the path. 128 bits cannot be guessed.
const MAC_LENGTH: usize = 16;

/// Why a signature does not open a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not made by this project for this path and time.
    #[error("the signature is not valid for this path")]
    Invalid,
    /// It was good once.
    #[error("the signature has expired")]
    Expired,
}

/// When a signature made now expires.
pub fn expiry(now: Time) -> Time {
    let window = i64::try_from(WINDOW.as_secs()).unwrap_or(i64::MAX);
    Time::from_secs((now.as_secs() / window + 2) * window)
}

/// Where a picture is served: `/i/{project}/{image}/{upload}/{preset}.{ext}`, one picture for ever.
pub fn delivery_path(project: ProjectId, image: ImageId, upload: UploadId, name: PictureName) -> String {
    format!("/i/{project}/{image}/{upload}/{name}")
}

/// The path as it is handed out: signed if the picture is private. A project without a key has none to
/// sign with, and its private paths stay closed.
pub fn hand_out(path: String, visibility: Visibility, project: &Project, now: Time) -> String {
    match (visibility, project.signing_keys.first()) {
        (Visibility::Private, Some(key)) => sign(&path, expiry(now), key),
        (Visibility::Private, None) | (Visibility::Public, _) => path,
    }
}

/// Appends a signature to a path.
pub fn sign(path: &str, expires: Time, key: &Secret) -> String {
    let tag = mac(path, expires.as_secs(), key).finalize().into_bytes();
    format!("{path}?exp={}&sig={}", expires.as_secs(), URL_SAFE_NO_PAD.encode(&tag[..MAC_LENGTH]))
}

/// Checks a signature against a project's keys and gives the time it expires at.
pub fn verify(path: &str, exp: &str, sig: &str, keys: &[Secret], now: Time) -> Result<Time, Refused> {
    let expires: i64 = exp.parse().map_err(|_| Refused::Invalid)?;
    let tag = URL_SAFE_NO_PAD.decode(sig).map_err(|_| Refused::Invalid)?;
    // A shorter tag would be easier to guess, and would verify.
    let genuine =
        |key: &Secret| tag.len() == MAC_LENGTH && mac(path, expires, key).verify_truncated_left(&tag).is_ok();
    if !keys.iter().any(genuine) {
        return Err(Refused::Invalid);
    }
    let expires = Time::from_secs(expires);
    if now < expires { Ok(expires) } else { Err(Refused::Expired) }
}

fn mac(path: &str, expires: i64, key: &Secret) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes keys of any length");
    mac.update(format!("path\n{path}\n{expires}").as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PATH: &str = "/i/prj_1/img_1/upl_1/w640.webp";

    fn parts(signed: &str) -> (String, String) {
        let (_, query) = signed.split_once("?exp=").unwrap();
        let (exp, sig) = query.split_once("&sig=").unwrap();
        (exp.to_owned(), sig.to_owned())
    }

    #[test]
    fn a_signature_opens_its_path_until_it_expires() {
        let now = Time::from_secs(1_700_000_000);
        let keys = [Secret::new([2; 32]), Secret::new([1; 32])];
        let (exp, sig) = parts(&sign(PATH, expiry(now), &keys[1]));
        assert_eq!(verify(PATH, &exp, &sig, &keys, now), Ok(expiry(now)));
        assert_eq!(verify(PATH, &exp, &sig, &keys, expiry(now)), Err(Refused::Expired));
        assert_eq!(verify(PATH, &exp, &sig, &keys[..1], now), Err(Refused::Invalid));
        assert_eq!(verify("/i/other", &exp, &sig, &keys, now), Err(Refused::Invalid));
        let later = (exp.parse::<i64>().unwrap() + 1).to_string();
        assert_eq!(verify(PATH, &later, &sig, &keys, now), Err(Refused::Invalid));
        assert_eq!(verify(PATH, &exp, &sig[..4], &keys, now), Err(Refused::Invalid));
        assert_eq!(verify(PATH, &exp, "", &keys, now), Err(Refused::Invalid));
    }

    proptest! {
        #[test]
        fn a_signature_lasts_between_one_and_two_windows(secs in 0_i64..4_000_000_000) {
            let lasts = expiry(Time::from_secs(secs)).since(Time::from_secs(secs));
            prop_assert!(lasts > WINDOW && lasts <= WINDOW * 2);
        }
    }
}
