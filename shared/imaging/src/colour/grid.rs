use moxcms::Xyz;

use super::srgb::{Black, encoded};
use super::table::{MOST, Table};

/// A table worked out to sRGB, for every pixel to be looked up in.
///
/// Its places are those of the profile's own table, curves applied, each of its cells divided: between
/// its nodes, the profile's colours are straight in its own space, but not in sRGB.
pub(crate) struct Grid {
    /// For each input, by level: the lowest of the nodes around it, and how far away it is, in `UNIT`s.
    places: Vec<[(u32, u32); 256]>,
    /// How far the next node is in the direction of each input.
    strides: Vec<u32>,
    nodes: Vec<[u16; 3]>,
}

/// The distance between two nodes. With 16 bits of a node it fits into 32 bits.
const UNIT: u32 = 1 << 15;

impl Grid {
    /// With the black of the profile as black; `inverted` if that is where all inputs are highest.
    pub(super) fn new(table: &Table, inputs: usize, version_4: bool, inverted: bool) -> Self {
        let darkest = if inverted { 1.0 } else { 0.0 };
        let darkest: Vec<f32> = (0..inputs).map(|input| table.place(input, darkest)).collect();
        let black = if version_4 { Black::OF_VERSION_4 } else { Black::of_darkest(table.colour(&darkest)) };

        let side = side(table, inputs);
        let last = share(side - 1, 1);
        let places = (0..inputs).map(|input| {
            let mut levels = [(0, 0); 256];
            for (level, place) in (0..=u8::MAX).zip(&mut levels) {
                let along = table.place(input, f32::from(level) / 255.0).clamp(0.0, 1.0) * last;
                *place = fixed(along, side - 2);
            }
            levels
        });
        let count = side.pow(u32::try_from(inputs).unwrap_or(0));
        let nodes = (0..count).map(|index| {
            let mut place = [0.0; MOST];
            let mut rest = index;
            // The last input changes fastest.
            for place in place[..inputs].iter_mut().rev() {
                *place = share(rest % side, side - 1);
                rest /= side;
            }
            level(table.colour(&place[..inputs]), black)
        });
        let stride = |input: usize| {
            u32::try_from(side).unwrap_or(0).pow(u32::try_from(inputs - 1 - input).unwrap_or(0))
        };
        Self { places: places.collect(), strides: (0..inputs).map(stride).collect(), nodes: nodes.collect() }
    }

    /// Between the nodes of the simplex that a colour is in: see [`Table`].
    pub(super) fn look_up<const INPUTS: usize>(&self, levels: [u8; INPUTS]) -> [u8; 3] {
        let mut steps = [(0, 0); INPUTS];
        let mut at = 0;
        for (((step, level), places), &stride) in
            steps.iter_mut().zip(levels).zip(&self.places).zip(&self.strides)
        {
            let (node, share) = places[usize::from(level)];
            at += node * stride;
            *step = (share, stride);
        }
        steps.sort_unstable_by(|a, b| b.cmp(a));
        let mut sums = [0; 3];
        let mut add = |at: u32, weight: u32| {
            // The far end of the last cell is not beyond the table, but for what has no weight.
            if let Some(node) = self.nodes.get(at as usize) {
                for (sum, &value) in sums.iter_mut().zip(node) {
                    *sum += weight * u32::from(value);
                }
            }
        };
        let mut rest = UNIT;
        for (share, stride) in steps {
            add(at, rest - share);
            (rest, at) = (share, at + stride);
        }
        add(at, rest);
        sums.map(to_byte)
    }
}

/// Nodes a side: a multiple of the profile's cells and one, so that its nodes are among them, unless it
/// has so many that this would take too long.
fn side(table: &Table, inputs: usize) -> usize {
    let cells = match inputs {
        1 => 255,
        MOST => 16,
        _ => 32,
    };
    let cells = match table.side() {
        Some(side) if side - 1 <= cells => ((2 * cells + side - 1) / (2 * (side - 1))).max(1) * (side - 1),
        _ => cells,
    };
    cells + 1
}

fn share(part: usize, whole: usize) -> f32 {
    // Sides are of at most 256 nodes.
    let float = |value: usize| f32::from(u16::try_from(value).unwrap_or(u16::MAX));
    float(part) / float(whole)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a place within a side")]
#[allow(clippy::cast_precision_loss, reason = "sides and units are small")]
fn fixed(along: f32, last: usize) -> (u32, u32) {
    let node = (along as u32).min(u32::try_from(last).unwrap_or(0));
    (node, (((along - node as f32) * UNIT as f32).round() as u32).min(UNIT))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 1")]
fn level(colour: Xyz, black: Black) -> [u16; 3] {
    encoded(colour, black).map(|value| (value * 65_535.0 + 0.5) as u16)
}

/// From 16 bits and 15 of weight to 8, rounded.
fn to_byte(sum: u32) -> u8 {
    let level = (sum / UNIT + 128) / 257;
    u8::try_from(level).unwrap_or(u8::MAX)
}
