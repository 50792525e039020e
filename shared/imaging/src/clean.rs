use crate::container::{gif, jpeg, png, webp};
use crate::{Format, Header, Orientation, Reject};

/// Takes out of a file everything that is not the picture, without touching the picture.
///
/// Camera data, places, thumbnails, comments, editors' notes and what is hidden after the end of the
/// image are gone. The coded pixels and the colour profile stay byte for byte, and of the EXIF block the
/// orientation, where there is one to apply. It is an allow-list: what is not known is not kept.
pub fn clean(bytes: &[u8], header: &Header) -> Result<Vec<u8>, Reject> {
    let exif = (header.orientation != Orientation::Upright).then(|| exif(header.orientation));
    let exif = exif.as_ref().map(<[u8; 26]>::as_slice);
    match header.format {
        Format::Jpeg => jpeg::clean(bytes, exif),
        Format::Png => png::clean(bytes, exif),
        Format::Webp => webp::clean(bytes, exif),
        Format::Gif => gif::clean(bytes),
    }
}

/// The smallest EXIF block that holds an orientation: a big-endian TIFF header, then one directory with
/// one entry (tag 0x0112, type SHORT, count 1) and no next one.
fn exif(orientation: Orientation) -> [u8; 26] {
    let [high, low] = orientation.to_exif().to_be_bytes();
    [
        b'M', b'M', 0, 42, 0, 0, 0, 8, //
        0, 1, //
        0x01, 0x12, 0, 3, 0, 0, 0, 1, high, low, 0, 0, //
        0, 0, 0, 0,
    ]
}
