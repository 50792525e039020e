//! Object keys. They contain the upload's id, are never used again for other bytes, and are made of
//! characters that URL-encode to themselves.

use crate::domain::image::Image;
use crate::domain::{ImageId, PictureName, ProjectId, UploadId, Visibility};

/// Where a client puts its bytes.
pub fn upload(project: ProjectId, image: ImageId, upload: UploadId) -> String {
    format!("{project}/{image}/{upload}")
}

/// Reads the key of an upload. `None` for a key that this project never handed out.
pub fn parse_upload(key: &str) -> Option<(ProjectId, ImageId, UploadId)> {
    let mut parts = key.split('/');
    let ids = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next().is_none().then_some(ids)
}

/// Where a cleaned original is kept.
pub fn original(image: &Image, extension: &str) -> String {
    format!("{}{}.{extension}", originals_of(image), image.upload)
}

/// What every original of an image, and every upload for it, starts with.
pub fn originals_of(image: &Image) -> String {
    format!("{}/{}/", image.project, image.id)
}

/// Where a rendering belongs.
pub fn variant(image: &Image, name: PictureName) -> String {
    variant_in(image, image.shown_to(), name)
}

/// Where a rendering is if it belongs there, or did before somebody changed who may see the image.
pub fn variant_in(image: &Image, visibility: Visibility, name: PictureName) -> String {
    format!("{}{}/{name}", variants_of(image, visibility), image.upload)
}

/// What every rendering of an image starts with. A CDN reads `public/` and nothing else.
pub fn variants_of(image: &Image, visibility: Visibility) -> String {
    format!("{}/{}/{}/", folder_of(visibility), image.project, image.id)
}

/// The key of the same rendering on the other side.
pub fn on_other_side(key: &str) -> Option<String> {
    let (folder, rest) = key.split_once('/')?;
    let sides = [Visibility::Private, Visibility::Public];
    let side = sides.into_iter().find(|side| folder_of(*side) == folder)?;
    Some(format!("{}/{rest}", folder_of(side.other())))
}

const fn folder_of(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Private => "private",
        Visibility::Public => "public",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ulid::Ulid;

    #[test]
    fn a_rendering_has_one_key_on_each_side() {
        assert_eq!(on_other_side("public/p/i/u/w1.webp").unwrap(), "private/p/i/u/w1.webp");
        assert_eq!(on_other_side("private/p/i/u/w1.webp").unwrap(), "public/p/i/u/w1.webp");
        assert_eq!(on_other_side("p/i/u"), None);
    }

    proptest! {
        #[test]
        fn an_upload_key_reads_back(p: u128, i: u128, u: u128) {
            let ids = (ProjectId::new(Ulid(p)), ImageId::new(Ulid(i)), UploadId::new(Ulid(u)));
            let key = upload(ids.0, ids.1, ids.2);
            prop_assert!(key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '/'));
            prop_assert_eq!(parse_upload(&key), Some(ids));
            prop_assert_eq!(parse_upload(&format!("{key}/")), None);
        }

        #[test]
        fn other_keys_are_not_ours(key in ".{0,120}") {
            prop_assert_eq!(parse_upload(&key), None);
        }
    }
}
