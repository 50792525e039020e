//! An EXIF block cut down to what is read of it.
//!
//! A TIFF is one with its picture in it, and cameras put previews into others. And directories may point at
//! one another: a reader that goes wherever they point makes millions of entries of 64 KiB.

use crate::container::tiff::{size_of, u16_of, u32_of};

/// Pointers to the directories of the camera, of the place, and of what nobody asks for (EXIF 2.32, 4.6.3).
const CAMERA: u16 = 0x8769;
const PLACE: u16 = 0x8825;
const INTEROPERABILITY: u16 = 0xa005;

/// What a pointer is: a number of 32 bits (TIFF 6.0, 2).
const LONG: u16 = 4;

/// Entries of a directory. Cameras write less than a hundred.
const MOST_ENTRIES: usize = 256;

/// Longer values are previews, notes of the maker, and lists of strips.
const LARGEST_VALUE: usize = 16 << 10;

/// Copies the first directory and its two children, in the byte order that they have. What points out of the
/// block is left out, and of a directory that is cut off there is what there is.
pub(super) fn distil(bytes: &[u8]) -> Option<Vec<u8>> {
    let (mark, rest) = bytes.split_first_chunk::<4>()?;
    let block = Block { bytes, little_endian: mark == b"II*\0" };
    if !block.little_endian && mark != b"MM\0*" {
        return None;
    }
    let (pointers, mut first): (Vec<_>, Vec<_>) =
        block.directory(*rest.first_chunk()?).into_iter().partition(Entry::is_pointer);
    // Where the first directory is, is known last.
    let mut small = [*mark, [0; 4]].concat();
    for tag in [CAMERA, PLACE] {
        if let Some(pointer) = pointers.iter().find(|entry| (entry.tag, entry.kind) == (tag, LONG)) {
            let mut child = block.directory(pointer.value);
            child.retain(|entry| !entry.is_pointer());
            first.push(Entry { value: block.append(&mut small, &child), ..*pointer });
        }
    }
    let at = block.append(&mut small, &first);
    small[4..8].copy_from_slice(&at);
    Some(small)
}

struct Block<'a> {
    bytes: &'a [u8],
    little_endian: bool,
}

#[derive(Clone, Copy)]
struct Entry<'a> {
    tag: u16,
    kind: u16,
    /// Tag, type, and how many values there are, as they stand.
    head: [u8; 8],
    /// The values, or where they are.
    value: [u8; 4],
    /// The values, if they are longer than that.
    outside: &'a [u8],
}

impl Entry<'_> {
    fn is_pointer(&self) -> bool {
        matches!(self.tag, CAMERA | PLACE | INTEROPERABILITY)
    }
}

impl<'a> Block<'a> {
    fn directory(&self, at: [u8; 4]) -> Vec<Entry<'a>> {
        let rest = self.bytes.get(u32_of(at, self.little_endian) as usize..);
        let Some((count, entries)) = rest.and_then(<[u8]>::split_first_chunk) else {
            return vec![];
        };
        let entries = entries.as_chunks().0.iter().take(u16_of(*count, self.little_endian).into());
        entries.filter_map(|entry| self.entry(entry)).take(MOST_ENTRIES).collect()
    }

    fn entry(&self, entry: &[u8; 12]) -> Option<Entry<'a>> {
        let (&head, &value) = (entry.first_chunk()?, entry.last_chunk()?);
        let [t0, t1, k0, k1, count @ ..]: [u8; 8] = head;
        let kind = u16_of([k0, k1], self.little_endian);
        let length = (u32_of(count, self.little_endian) as usize).checked_mul(size_of(kind)?)?;
        let at = u32_of(value, self.little_endian) as usize;
        let outside = if length <= 4 { &[] } else { self.bytes.get(at..)?.get(..length)? };
        let entry = Entry { tag: u16_of([t0, t1], self.little_endian), kind, head, value, outside };
        (length <= LARGEST_VALUE).then_some(entry)
    }

    /// Writes a directory with what belongs to it, and says where it begins.
    fn append(&self, to: &mut Vec<u8>, entries: &[Entry]) -> [u8; 4] {
        let long = |value: usize| {
            let value = u32::try_from(value).expect("there are three directories of limited size");
            if self.little_endian { value.to_le_bytes() } else { value.to_be_bytes() }
        };
        let values: Vec<[u8; 4]> = entries
            .iter()
            .map(|entry| {
                let at = to.len();
                to.extend(entry.outside);
                if entry.outside.is_empty() { entry.value } else { long(at) }
            })
            .collect();
        let start = to.len();
        let count = long(entries.len());
        to.extend(if self.little_endian { &count[..2] } else { &count[2..] });
        for (entry, value) in entries.iter().zip(values) {
            to.extend(entry.head);
            to.extend(value);
        }
        // There is no next one.
        to.extend([0; 4]);
        long(start)
    }
}
