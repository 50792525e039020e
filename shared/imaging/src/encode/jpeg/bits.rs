//! Segments, and the bits of entropy-coded ones (T.81, B.1.1.4, B.1.1.5 and F.1.2.3).

/// Callers keep segments short.
pub(super) fn segment(file: &mut Vec<u8>, marker: u8, payload: &[&[u8]]) {
    let length = 2 + payload.iter().map(|part| part.len()).sum::<usize>();
    file.extend([0xff, marker]);
    file.extend((length as u16).to_be_bytes());
    for part in payload {
        file.extend(*part);
    }
}

/// Appends bits to a file.
pub(super) struct Bits<'a> {
    file: &'a mut Vec<u8>,
    /// The last `count` bits are still to be written, less than 32.
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(file: &'a mut Vec<u8>) -> Self {
        Self { file, held: 0, count: 0 }
    }

    /// The last `count` of `bits`, 32 at most. Those above them must be 0.
    #[inline]
    pub(super) fn put(&mut self, bits: u32, count: u32) {
        self.held = self.held << count | u64::from(bits);
        self.count += count;
        if self.count >= 32 {
            self.count -= 32;
            let word = (self.held >> self.count) as u32;
            let bytes = word.to_be_bytes();
            // Some byte is 0xff if its complement has a 0.
            if (!word).wrapping_sub(0x0101_0101) & word & 0x8080_8080 == 0 {
                self.file.extend(bytes);
            } else {
                for byte in bytes {
                    self.byte(byte);
                }
            }
        }
    }

    fn byte(&mut self, byte: u8) {
        self.file.push(byte);
        if byte == 0xff {
            self.file.push(0);
        }
    }

    /// Fills up the last byte with 1 bits.
    pub(super) fn finish(mut self) {
        let free = (8 - self.count % 8) % 8;
        let held = self.held << free | ((1 << free) - 1);
        for at in (0..(self.count + free) / 8).rev() {
            self.byte((held >> (8 * at)) as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_become_bytes_and_what_looks_like_a_marker_is_stuffed() {
        let mut file = Vec::new();
        let mut bits = Bits::new(&mut file);
        for (value, count) in [(0b1, 1), (0b0111_1111, 7), (0xff00_ff12, 32), (0xabcd, 16), (0, 0), (0b11, 2)]
        {
            bits.put(value, count);
        }
        bits.finish();
        assert_eq!(
            file,
            [0xff, 0, 0xff, 0, 0x00, 0xff, 0, 0x12, 0xab, 0xcd, 0xff, 0].map(|byte: i32| byte as u8)
        );
        let mut file = Vec::new();
        let mut bits = Bits::new(&mut file);
        for byte in 0..=255 {
            bits.put(byte, 8);
        }
        bits.finish();
        assert_eq!(file, (0..=255).chain([0]).collect::<Vec<u8>>());
    }
}
