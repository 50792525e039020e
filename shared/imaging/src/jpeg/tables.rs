//! Tables and scan headers (T.81, B.2.3 and B.2.4).

use super::huffman::{Class, Table};
use crate::Reject;

/// What segments define for the scans after them, by destination.
#[derive(Default)]
pub(super) struct Tables {
    /// Steps in zigzag order.
    pub(super) steps: [Option<[u16; 64]>; 4],
    pub(super) dc: [Option<Table>; 4],
    pub(super) ac: [Option<Table>; 4],
    /// MCUs between restart markers, 0 for none.
    pub(super) restart_interval: u16,
}

impl Tables {
    /// B.2.4.1.
    pub(super) fn quantisation(&mut self, mut segment: &[u8]) -> Result<(), Reject> {
        const BROKEN: Reject = Reject::Undecodable("a quantisation table");
        while let Some((&head, rest)) = segment.split_first() {
            let table = self.steps.get_mut(usize::from(head & 15)).ok_or(BROKEN)?;
            let mut steps = [0; 64];
            segment = if head >> 4 == 0 {
                let (values, rest) = rest.split_first_chunk::<64>().ok_or(BROKEN)?;
                steps = values.map(u16::from);
                rest
            } else {
                let (values, rest) = rest.split_first_chunk::<128>().ok_or(BROKEN)?;
                for (step, &value) in steps.iter_mut().zip(values.as_chunks().0) {
                    *step = u16::from_be_bytes(value);
                }
                rest
            };
            *table = Some(steps);
        }
        Ok(())
    }

    /// B.2.4.2.
    pub(super) fn huffman(&mut self, mut segment: &[u8]) -> Result<(), Reject> {
        const BROKEN: Reject = Reject::Undecodable("a Huffman table");
        while let Some((&head, rest)) = segment.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or(BROKEN)?;
            let total = counts.iter().map(|&count| usize::from(count)).sum();
            let (symbols, rest) = rest.split_at_checked(total).ok_or(BROKEN)?;
            let (class, tables) = match head >> 4 {
                0 => (Class::Dc, &mut self.dc),
                1 => (Class::Ac, &mut self.ac),
                _ => return Err(BROKEN),
            };
            let table = tables.get_mut(usize::from(head & 15)).ok_or(BROKEN)?;
            *table = Some(Table::new(counts, symbols, class)?);
            segment = rest;
        }
        Ok(())
    }

    /// B.2.4.4.
    pub(super) fn restarts(&mut self, segment: &[u8]) -> Result<(), Reject> {
        let interval = segment.try_into().map_err(|_| Reject::Undecodable("its restart interval"))?;
        self.restart_interval = u16::from_be_bytes(interval);
        Ok(())
    }
}

/// One component of a scan header: its identifier, and the destinations of its tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Selected {
    pub(super) id: u8,
    pub(super) dc: usize,
    pub(super) ac: usize,
}

/// What a progressive scan brings: of the coefficients from `first` to `last` in zigzag order, the bits from
/// `low` on, or bit `low` alone if those from `high` on were there before (G.1.1.1). `high` is 0 otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Band {
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) high: u8,
    pub(super) low: u8,
}

/// A scan header (B.2.3).
pub(super) struct ScanHeader {
    pub(super) components: Vec<Selected>,
    /// Of no meaning in a sequential scan.
    pub(super) band: Band,
}

impl ScanHeader {
    pub(super) fn read(segment: &[u8]) -> Result<Self, Reject> {
        const BROKEN: Reject = Reject::Undecodable("a scan header");
        let (&count, rest) = segment.split_first().ok_or(BROKEN)?;
        let (components, rest) = rest.split_at_checked(2 * usize::from(count)).ok_or(BROKEN)?;
        let (&[first, last, approximation], (components, _)) =
            (rest.first_chunk().ok_or(BROKEN)?, components.as_chunks());
        if !(1..=4).contains(&count) {
            return Err(BROKEN);
        }
        let select = |&[id, tables]: &[u8; 2]| Selected {
            id,
            dc: usize::from(tables >> 4),
            ac: usize::from(tables & 15),
        };
        let band = Band {
            first: usize::from(first),
            last: usize::from(last),
            high: approximation >> 4,
            low: approximation & 15,
        };
        Ok(Self { components: components.iter().map(select).collect(), band })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_tables_may_share_a_segment() {
        let mut tables = Tables::default();
        let bytes = [&[0x00][..], &[7; 64], &[0x12], &[1; 128]].concat();
        tables.quantisation(&bytes).unwrap();
        assert_eq!((tables.steps[0], tables.steps[2]), (Some([7; 64]), Some([0x0101; 64])));

        let mut counts = [0; 16];
        counts[1] = 2;
        let bytes = [&[0x01][..], &counts, &[3, 4], &[0x13], &counts, &[0, 1]].concat();
        tables.huffman(&bytes).unwrap();
        assert!(tables.dc[1].is_some() && tables.ac[3].is_some() && tables.dc[0].is_none());
        assert!(tables.huffman(&bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn broken_segments_are_refused() {
        let mut tables = Tables::default();
        assert!(tables.quantisation(&[0; 64]).is_err(), "63 steps");
        assert!(tables.quantisation(&[4; 65]).is_err(), "a fifth table");
        assert!(tables.huffman(&[0x20; 17]).is_err(), "neither DC nor AC");
        assert!(tables.restarts(&[1]).is_err());
        assert!(ScanHeader::read(&[2, 1, 0, 2]).is_err(), "half a component");
        assert!(ScanHeader::read(&[0, 0, 63, 0]).is_err(), "no component");
        assert!(ScanHeader::read(&[1, 1, 0, 0, 63]).is_err(), "half a band");
    }
}
