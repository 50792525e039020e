//! JPEG: markers, segments and scans (ITU-T T.81, annex B).

use memchr::memchr;

use super::Cursor;
use crate::metadata::orientation;
use crate::{Format, Header, Reject};

pub(crate) const DEFINE_HUFFMAN: u8 = 0xc4;
const START_OF_IMAGE: u8 = 0xd8;
const END_OF_IMAGE: u8 = 0xd9;
pub(crate) const START_OF_SCAN: u8 = 0xda;
pub(crate) const DEFINE_QUANTISATION: u8 = 0xdb;
pub(crate) const RESTART_INTERVAL: u8 = 0xdd;
const APP0: u8 = 0xe0;
const APP1: u8 = 0xe1;
const APP2: u8 = 0xe2;
const APP14: u8 = 0xee;

const EXIF: &[u8] = b"Exif\0\0";
const ICC: &[u8] = b"ICC_PROFILE\0";

/// Every scan is a pass over the whole picture, and an empty one costs its sender ten bytes. Encoders
/// write about ten.
const MOST_SCANS: usize = 64;

/// Bytes that may stand before a marker and are none of a segment. A writer that is off by a few leaves few;
/// more of them are another file, hidden in this one.
const MOST_STRAY: usize = 64;

/// One piece of a file.
pub(crate) enum Part<'a> {
    /// A marker with a length: its code and what follows the length.
    Segment(u8, &'a [u8]),
    /// The entropy-coded data after a start-of-scan segment, restart markers included.
    Scan(&'a [u8]),
}

/// The pieces from the start of the image to its end. What comes after is not looked at.
pub(crate) struct Parts<'a> {
    cursor: Cursor<'a>,
    in_scan: bool,
    over: bool,
    /// Where scans end, as far as that is known.
    ends: std::vec::IntoIter<usize>,
}

impl<'a> Parts<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { cursor: Cursor::new(bytes, 2), in_scan: false, over: false, ends: Vec::new().into_iter() }
    }

    fn next_part(&mut self) -> Result<Option<Part<'a>>, Reject> {
        if self.in_scan {
            self.in_scan = false;
            let known = self.ends.next().and_then(|end| end.checked_sub(self.cursor.at));
            let length = known.or_else(|| scan_length(self.cursor.rest())).ok_or(Reject::Truncated)?;
            return self.cursor.take(length).map(|data| Some(Part::Scan(data)));
        }
        match self.marker()? {
            END_OF_IMAGE => Ok(None),
            marker @ (0xc0..=0xcf | START_OF_SCAN..=0xfe) => {
                let length = usize::from(u16::from_be_bytes(self.cursor.array()?));
                let length = length.checked_sub(2).ok_or(Reject::Undecodable("a segment's length"))?;
                self.in_scan = marker == START_OF_SCAN;
                Ok(Some(Part::Segment(marker, self.cursor.take(length)?)))
            }
            // Restart markers outside of a scan, a second image, reserved codes.
            _ => Err(Reject::Undecodable("a marker that does not belong there")),
        }
    }
}

impl Parts<'_> {
    /// The next marker. Any number of fill bytes may come before it (B.1.1.2), and in files of careless
    /// writers a few stray ones do, which libjpeg passes over as well.
    fn marker(&mut self) -> Result<u8, Reject> {
        let rest = self.cursor.rest();
        self.cursor.at += match memchr(0xff, rest.get(..MOST_STRAY).unwrap_or(rest)) {
            Some(stray) => stray,
            None if rest.len() < MOST_STRAY => return Err(Reject::Truncated),
            None => return Err(Reject::Undecodable("bytes between its segments")),
        };
        let mut marker = 0xff;
        while marker == 0xff {
            marker = self.cursor.u8()?;
        }
        Ok(marker)
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Result<Part<'a>, Reject>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let part = self.next_part().transpose();
        self.over = !matches!(part, Some(Ok(_)));
        part
    }
}

/// How far the entropy-coded data goes: to the first marker that is not a restart (B.1.1.5).
fn scan_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr(0xff, bytes.get(at..)?)?;
        match *bytes.get(at + 1)? {
            0x00 | 0xd0..=0xd7 => at += 2,
            0xff => at += 1,
            _ => return Some(at),
        }
    }
}

/// A start-of-frame segment (B.2.2).
pub(crate) struct Frame<'a> {
    progressive: bool,
    pub(crate) width: u16,
    pub(crate) height: u16,
    /// Three bytes each: identifier, sampling factors, quantisation table.
    pub(crate) components: &'a [[u8; 3]],
}

impl<'a> Frame<'a> {
    /// `None` if the segment is not a start of frame.
    fn read(marker: u8, payload: &'a [u8]) -> Result<Option<Self>, Reject> {
        let progressive = match marker {
            0xc0 | 0xc1 => false,
            0xc2 => true,
            0xc3 | 0xc7 | 0xcb | 0xcf => return Err(Reject::UnsupportedFormat("Lossless JPEG")),
            0xc5 | 0xc6 | 0xcd | 0xce => {
                return Err(Reject::UnsupportedFormat("Hierarchical JPEG"));
            }
            0xc9 | 0xca => return Err(Reject::UnsupportedFormat("Arithmetic-coded JPEG")),
            // Tables (DHT, JPG, DAC) are in the same range.
            _ => return Ok(None),
        };
        let Some((&[precision, h0, h1, w0, w1, count], components)) = payload.split_first_chunk() else {
            return Err(Reject::Undecodable("its frame header"));
        };
        if precision != 8 {
            return Err(Reject::UnsupportedFormat("JPEG with 12 bits a sample"));
        }
        let (components, rest) = components.as_chunks();
        if components.len() != usize::from(count) || !rest.is_empty() {
            return Err(Reject::Undecodable("its frame header"));
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(Reject::UnsupportedFormat("JPEG with other than 1, 3 or 4 components"));
        }
        Ok(Some(Self {
            progressive,
            width: u16::from_be_bytes([w0, w1]),
            height: u16::from_be_bytes([h0, h1]),
            components,
        }))
    }

    /// Horizontal and vertical sampling factors of each component.
    pub(crate) fn factors(&self) -> impl Iterator<Item = (u64, u64)> {
        self.components.iter().map(|&[_, sampling, _]| (u64::from(sampling >> 4), u64::from(sampling & 15)))
    }

    /// Coefficients of all components: two bytes each is what a decoder keeps of a progressive image.
    pub(crate) fn coefficients(&self) -> u64 {
        let across = self.factors().map(|(h, _)| h).max().unwrap_or(1).max(1);
        let down = self.factors().map(|(_, v)| v).max().unwrap_or(1).max(1);
        let units = u64::from(self.width).div_ceil(8 * across) * u64::from(self.height).div_ceil(8 * down);
        units * 64 * self.factors().map(|(h, v)| h * v).sum::<u64>()
    }
}

pub(crate) fn header(bytes: &[u8]) -> Result<Header, Reject> {
    let (mut size, mut exif) = (None, None);
    for part in Parts::new(bytes) {
        match part? {
            Part::Segment(START_OF_SCAN, _) => break,
            Part::Segment(APP1, payload) if payload.starts_with(EXIF) => {
                exif = exif.or(payload.get(EXIF.len()..));
            }
            Part::Segment(marker, payload) => {
                if let Some(frame) = Frame::read(marker, payload)? {
                    size = Some((u32::from(frame.width), u32::from(frame.height)));
                }
            }
            Part::Scan(_) => {}
        }
    }
    let size = size.ok_or(Reject::Undecodable("it has no frame header"))?;
    let orientation = exif.map(orientation).unwrap_or_default();
    let (width, height) = orientation.upright(size);
    Ok(Header {
        format: Format::Jpeg,
        width,
        height,
        orientation,
        frames: 1,
        alpha: false,
        largest_frame: u64::from(width) * u64::from(height),
    })
}

pub(crate) fn exif(bytes: &[u8]) -> Option<&[u8]> {
    Parts::new(bytes).map_while(Result::ok).find_map(|part| match part {
        Part::Segment(APP1, payload) if payload.starts_with(EXIF) => Some(payload),
        _ => None,
    })
}

/// The colour profile, put together from its segments (ICC.1:2022, B.4). Broken ones are no profile.
pub(crate) fn icc(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut chunks = Vec::new();
    for part in Parts::new(bytes).map_while(Result::ok) {
        match part {
            Part::Segment(START_OF_SCAN, _) => break,
            Part::Segment(APP2, payload) => {
                if let Some(chunk) = payload.strip_prefix(ICC) {
                    let ([number, count], data) = chunk.split_first_chunk()?;
                    chunks.push((*number, *count, data));
                }
            }
            _ => {}
        }
    }
    chunks.sort_by_key(|&(number, _, _)| number);
    let total = chunks.len();
    let whole = chunks
        .iter()
        .enumerate()
        .all(|(index, &(number, count, _))| usize::from(number) == index + 1 && usize::from(count) == total);
    (whole && total > 0).then(|| chunks.iter().flat_map(|&(_, _, data)| data).copied().collect())
}

/// How the coefficients are spread over the scans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Process {
    /// All of everything in one scan.
    Sequential,
    /// All of some components in each scan.
    ScanByScan,
    /// Some bits of some coefficients in each scan.
    Progressive,
}

/// What a decoder needs to know beforehand of a file that is complete.
pub(crate) struct Whole<'a> {
    pub(crate) process: Process,
    pub(crate) frame: Frame<'a>,
    /// Whether restart markers are announced.
    pub(crate) restarts: bool,
    /// Whether there is a JFIF segment.
    jfif: bool,
    /// What an Adobe segment says of the transform of colours, 0 for none (Adobe technical note 5116).
    /// That there is one says that CMYK is stored inverted.
    pub(crate) adobe: Option<u8>,
    /// Where each scan's data ends.
    ends: Vec<usize>,
}

impl Whole<'_> {
    /// The pieces of the file that this was said of, whose scans need not be gone through again to find their
    /// ends.
    pub(crate) fn parts<'a>(&self, bytes: &'a [u8]) -> Parts<'a> {
        Parts { ends: self.ends.clone().into_iter(), ..Parts::new(bytes) }
    }

    /// Where the last scan's data ends.
    pub(crate) fn data_end(&self) -> usize {
        self.ends.last().copied().unwrap_or_default()
    }

    /// Whether three components are luma and chroma and not RGB. T.81 leaves it open; this is how
    /// libjpeg, and so everyone, tells them apart.
    pub(crate) fn is_ycbcr(&self) -> bool {
        let ids = self.frame.components.iter().map(|&[id, ..]| id);
        self.jfif || self.adobe.map_or_else(|| !ids.eq(*b"RGB"), |transform| transform != 0)
    }
}

/// Walks a file to its end, and checks that the scans, taken together, carry a whole picture.
pub(crate) fn whole(bytes: &[u8]) -> Result<Whole<'_>, Reject> {
    let mut parts = Parts::new(bytes);
    let mut frame: Option<Frame> = None;
    let mut progress = Progress::default();
    let (mut scans, mut ends) = (0, Vec::new());
    let (mut jfif, mut adobe, mut interleaved, mut restarts) = (false, None, true, false);
    while let Some(part) = parts.next() {
        match part? {
            Part::Segment(START_OF_SCAN, payload) => {
                let frame = frame.as_ref().ok_or(Reject::Undecodable("a scan before its frame"))?;
                let components = progress.scan(frame, payload)?;
                interleaved &= scans > 0 || components == frame.components.len();
                scans += 1;
                if scans > if frame.progressive { MOST_SCANS } else { frame.components.len() } {
                    return Err(Reject::Undecodable("too many scans"));
                }
            }
            Part::Segment(RESTART_INTERVAL, payload) => restarts |= payload != [0, 0],
            Part::Segment(APP0, payload) => jfif |= payload.starts_with(b"JFIF\0"),
            // Version and flags before it are two bytes each.
            Part::Segment(APP14, payload) if payload.starts_with(b"Adobe") => {
                adobe = Some(payload.get(11).copied().unwrap_or_default());
            }
            Part::Segment(marker, payload) => {
                if let Some(found) = Frame::read(marker, payload)?
                    && frame.replace(found).is_some()
                {
                    return Err(Reject::Undecodable("two frame headers"));
                }
            }
            Part::Scan(_) => ends.push(parts.cursor.at),
        }
    }
    let frame = frame.ok_or(Reject::Undecodable("it has no frame header"))?;
    progress.finish(&frame)?;
    let process = match (frame.progressive, interleaved) {
        (true, _) => Process::Progressive,
        (false, true) => Process::Sequential,
        (false, false) => Process::ScanByScan,
    };
    Ok(Whole { process, frame, restarts, jfif, adobe, ends })
}

/// Which bits of which coefficients the scans have brought so far.
///
/// A file that was cut between two scans and closed with an end-of-image marker is well-formed, and
/// shows as a blurred or grey picture. It is told by the coefficients that never came, or not down to
/// bit 0 (T.81, G.1.1.1). T.81 does not forbid to leave some out for good, but no encoder does.
struct Progress {
    /// By component and coefficient: the lowest bit that has arrived.
    bits: [[Option<u8>; 64]; 4],
}

impl Default for Progress {
    fn default() -> Self {
        Self { bits: [[None; 64]; 4] }
    }
}

impl Progress {
    /// Takes a start-of-scan segment (B.2.3) and returns how many components it names.
    fn scan(&mut self, frame: &Frame, payload: &[u8]) -> Result<usize, Reject> {
        const BROKEN: Reject = Reject::Undecodable("a scan header");
        let (&count, rest) = payload.split_first().ok_or(BROKEN)?;
        let (components, rest) = rest.split_at_checked(2 * usize::from(count)).ok_or(BROKEN)?;
        let &[first, last, approximation] = rest else {
            return Err(BROKEN);
        };
        // Sequential scans carry everything at once; what these fields hold has no meaning there.
        let (first, last, high, low) = if frame.progressive {
            (usize::from(first), usize::from(last), approximation >> 4, approximation & 15)
        } else {
            (0, 63, 0, 0)
        };
        // The first coefficients are on their own, the others by component (G.1.1.1.1), and bits come one by
        // one after those of the first pass (G.1.1.1.2).
        let alone = if first == 0 { last == 0 } else { count == 1 };
        if frame.progressive && !(alone && low <= 13 && (high == 0 || high == low + 1)) {
            return Err(BROKEN);
        }
        for component in components.chunks_exact(2) {
            let index = frame.components.iter().position(|&[id, ..]| id == component[0]);
            let band = self.bits[index.ok_or(BROKEN)?].get_mut(first..=last).ok_or(BROKEN)?;
            let before = (high > 0).then_some(high);
            if frame.progressive && band.iter().any(|&low| low != before) {
                return Err(BROKEN);
            }
            band.fill(Some(low));
        }
        Ok(usize::from(count))
    }

    fn finish(&self, frame: &Frame) -> Result<(), Reject> {
        let mut components = self.bits.iter().take(frame.components.len());
        if components.all(|bits| bits.iter().all(|&low| low == Some(0))) {
            Ok(())
        } else {
            Err(Reject::Truncated)
        }
    }
}

/// Copies what makes the picture: tables, frame, scans, colour profile, and the JFIF and Adobe
/// segments that say how to read the colours. The rest goes, thumbnails included.
pub(crate) fn clean(bytes: &[u8], exif: Option<&[u8]>) -> Result<Vec<u8>, Reject> {
    whole(bytes)?;
    let mut clean = Vec::with_capacity(bytes.len());
    clean.extend([0xff, START_OF_IMAGE]);
    let mut exif = exif;
    for part in Parts::new(bytes) {
        let (marker, payload) = match part? {
            Part::Scan(data) => {
                clean.extend(data);
                continue;
            }
            Part::Segment(marker, payload) => (marker, payload),
        };
        // JFIF wants to be first, so the orientation comes before anything but that.
        if marker != APP0
            && let Some(tiff) = exif.take()
        {
            segment(&mut clean, APP1, &[EXIF, tiff]);
        }
        match marker {
            0xc0..=0xcf | START_OF_SCAN..=0xdf => segment(&mut clean, marker, &[payload]),
            APP0 => {
                // Version, units and densities; the thumbnail after them is declared 0 x 0.
                if let (b"JFIF\0", Some(fields)) = (payload.get(..5).unwrap_or_default(), payload.get(5..12))
                {
                    segment(&mut clean, APP0, &[b"JFIF\0", fields, &[0, 0]]);
                }
            }
            APP2 if payload.starts_with(ICC) => segment(&mut clean, APP2, &[payload]),
            APP14 if payload.starts_with(b"Adobe") => {
                segment(&mut clean, APP14, &[payload.get(..12).unwrap_or(payload)]);
            }
            _ => {}
        }
    }
    clean.extend([0xff, END_OF_IMAGE]);
    Ok(clean)
}

/// Puts a colour profile and an EXIF block after the JFIF segment, which wants to be first.
pub(crate) fn carrying(file: &[u8], icc: Option<&[u8]>, exif: Option<&[u8]>) -> Result<Vec<u8>, Reject> {
    // Of 65,535 bytes, the length itself takes two, and what part this is of how many two more.
    const MOST: usize = 65_535 - 2 - ICC.len() - 2;
    let mut parts = Parts::new(file);
    let at = match parts.next() {
        Some(Ok(Part::Segment(APP0, _))) => parts.cursor.at,
        _ => 2,
    };
    let (before, after) = file.split_at_checked(at).ok_or(Reject::Truncated)?;
    let mut carrying = before.to_vec();
    if let Some(exif) = exif {
        segment(&mut carrying, APP1, &[EXIF, exif]);
    }
    let chunks = icc.unwrap_or_default().chunks(MOST);
    let count = u8::try_from(chunks.len()).map_err(|_| Reject::Undecodable("its colour profile"))?;
    for (number, chunk) in (1..=count).zip(chunks) {
        segment(&mut carrying, APP2, &[ICC, &[number, count], chunk]);
    }
    carrying.extend(after);
    Ok(carrying)
}

/// Callers pass at most what was one segment before, or an EXIF block of a few bytes.
fn segment(to: &mut Vec<u8>, marker: u8, payload: &[&[u8]]) {
    let length = 2 + payload.iter().map(|part| part.len()).sum::<usize>();
    let length = u16::try_from(length).expect("what was in a segment fits into one");
    to.extend([0xff, marker]);
    to.extend(length.to_be_bytes());
    for part in payload {
        to.extend(*part);
    }
}
