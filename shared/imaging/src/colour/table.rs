//! Profiles that map colours by a table: ink, gray, and RGB of scanners and printers.
//!
//! moxcms reads them; they are evaluated here, because its way takes every table for one of 17 nodes a
//! side, and leaves black as gray as the profile's paper shows it.

use moxcms::{
    ColorProfile, DataColorSpace, LutDataType, LutMultidimensionalType, LutStore, LutType, LutWarehouse,
    ToneReprCurve, Xyz,
};

use super::srgb::from_lab;

/// Inks at most.
pub(super) const MOST: usize = 4;

/// The steps of a table, from device to connection space (ICC.1:2022, 10.10 to 10.12): curves, nodes,
/// curves, a matrix, curves. What a profile leaves out changes nothing.
pub(super) struct Table<'a> {
    inputs: Vec<Curve>,
    /// Nodes a side, for each input; none if the profile has no nodes.
    sides: Vec<usize>,
    nodes: Option<&'a LutStore>,
    middle: Vec<Curve>,
    matrix: Option<([[f64; 3]; 3], [f64; 3])>,
    outputs: Vec<Curve>,
    encoding: Encoding,
}

/// How numbers from 0 to 1 express a colour of the connection space (ICC.1:2022, 6.3.4).
#[derive(Clone, Copy)]
enum Encoding {
    Lab,
    /// That of 16-bit tables of version 2, in which 1 is a bit more than 100.
    LegacyLab,
    Xyz,
}

impl<'a> Table<'a> {
    /// `None` if the table is not for so many inputs, or is not what it says.
    pub(super) fn new(table: &'a LutWarehouse, profile: &ColorProfile, inputs: usize) -> Option<Self> {
        let encoding = match (profile.pcs, table) {
            (DataColorSpace::Xyz, _) => Encoding::Xyz,
            (DataColorSpace::Lab, LutWarehouse::Lut(lut)) if lut.lut_type == LutType::Lut16 => {
                Encoding::LegacyLab
            }
            (DataColorSpace::Lab, _) => Encoding::Lab,
            _ => return None,
        };
        let table = match table {
            LutWarehouse::Lut(lut) => Self::of_lut(lut, encoding)?,
            LutWarehouse::Multidimensional(lut) => Self::of_elements(lut, encoding)?,
        };
        let nodes = table.sides.iter().try_fold(3, |nodes: usize, &side| nodes.checked_mul(side))?;
        let whole = table.nodes.is_none_or(|store| length(store) >= nodes);
        let fits = |curves: &[Curve], count: usize| curves.is_empty() || curves.len() == count;
        let counts = table.sides.len() == inputs && fits(&table.inputs, inputs);
        let rest = fits(&table.middle, 3) && fits(&table.outputs, 3);
        (whole && counts && rest && table.sides.iter().all(|&side| side > 1)).then_some(table)
    }

    fn of_lut(lut: &'a LutDataType, encoding: Encoding) -> Option<Self> {
        let inputs = usize::from(lut.num_input_channels);
        if lut.num_output_channels != 3 || inputs > MOST {
            return None;
        }
        let curves = |store: &LutStore, entries: u16| {
            let values: Vec<f32> = (0..length(store)).map(|at| value(store, at)).collect();
            values.chunks_exact(usize::from(entries).max(1)).map(|entries| Curve(entries.to_vec())).collect()
        };
        // 8-bit tables do not say how many entries they have: it is 256.
        let entries = |entries: u16| if lut.lut_type == LutType::Lut8 { 256 } else { entries };
        Some(Self {
            inputs: curves(&lut.input_table, entries(lut.num_input_table_entries)),
            sides: vec![usize::from(lut.num_clut_grid_points); inputs],
            nodes: Some(&lut.clut_table),
            middle: Vec::new(),
            // The matrix of these is for XYZ going in (10.10), never for a device.
            matrix: None,
            outputs: curves(&lut.output_table, entries(lut.num_output_table_entries)),
            encoding,
        })
    }

    fn of_elements(lut: &'a LutMultidimensionalType, encoding: Encoding) -> Option<Self> {
        let inputs = usize::from(lut.num_input_channels);
        if lut.num_output_channels != 3 || inputs > MOST || (lut.clut.is_none() && inputs != 3) {
            return None;
        }
        let curves = |curves: &[ToneReprCurve]| curves.iter().map(Curve::of).collect::<Option<Vec<_>>>();
        let nodes = lut.clut.as_ref();
        Some(Self {
            inputs: curves(&lut.a_curves)?,
            // Without nodes, what goes in comes out: two nodes a side do that.
            sides: (0..inputs)
                .map(|at| if nodes.is_some() { lut.grid_points[at].into() } else { 2 })
                .collect(),
            nodes,
            middle: curves(&lut.m_curves)?,
            matrix: Some((lut.matrix.v, lut.bias.v)),
            outputs: curves(&lut.b_curves)?,
            encoding,
        })
    }

    /// The nodes of each side, if they are as many on all.
    pub(super) fn side(&self) -> Option<usize> {
        let side = *self.sides.first()?;
        (self.nodes.is_some() && self.sides.iter().all(|&other| other == side)).then_some(side)
    }

    /// Where a value of a device is among the nodes, 0 to 1.
    pub(super) fn place(&self, input: usize, value: f32) -> f32 {
        self.inputs.get(input).map_or(value, |curve| curve.at(value))
    }

    /// The colour at a place among the nodes.
    pub(super) fn colour(&self, place: &[f32]) -> Xyz {
        let mut colour = match (self.nodes, place) {
            (Some(nodes), _) => self.between(nodes, place),
            (None, &[x, y, z, ..]) => [x, y, z],
            (None, _) => [0.0; 3],
        };
        through(&self.middle, &mut colour);
        if let Some((matrix, bias)) = self.matrix {
            let from = colour.map(f64::from);
            for ((to, row), bias) in colour.iter_mut().zip(matrix).zip(bias) {
                let sum: f64 = row.iter().zip(from).map(|(factor, value)| factor * value).sum();
                *to = narrow(sum + bias);
            }
        }
        through(&self.outputs, &mut colour);
        let [x, y, z] = colour;
        match self.encoding {
            Encoding::Lab => from_lab([x * 100.0, y * 255.0 - 128.0, z * 255.0 - 128.0]),
            Encoding::LegacyLab => {
                let (lightness, colour) = (65_535.0 / 652.8, 65_535.0 / 256.0);
                from_lab([x * lightness, y * colour - 128.0, z * colour - 128.0])
            }
            Encoding::Xyz => {
                let most = 1.0 + 32_767.0 / 32_768.0;
                Xyz { x: x * most, y: y * most, z: z * most }
            }
        }
    }

    /// Of four inputs, straight along the first, between what is found for the others: tables of a few nodes
    /// come out quite differently in other ways, and this is how the others do it.
    fn between(&self, nodes: &LutStore, place: &[f32]) -> [f32; 3] {
        let mut steps = [(0.0, 0); MOST];
        let (mut low, mut stride) = (0, 3);
        // The last input changes fastest (10.10).
        for ((&side, &value), step) in self.sides.iter().zip(place).zip(&mut steps[..self.sides.len()]).rev()
        {
            let (cell, share) = cell(value, side - 1);
            low += cell * stride;
            *step = (share, stride);
            stride *= side;
        }
        let mut colour = [0.0; 3];
        match steps {
            [(share, stride), others @ ..] if self.sides.len() == MOST => {
                simplex(nodes, low, others, 1.0 - share, &mut colour);
                simplex(nodes, low + stride, others, share, &mut colour);
            }
            [a, b, c, _] => simplex(nodes, low, [a, b, c], 1.0, &mut colour),
        }
        colour
    }
}

/// Adds what is between the nodes of the simplex that a place is in: from the lowest corner of its cell to
/// the highest, along the sides in the order of how far along them it is.
fn simplex(nodes: &LutStore, low: usize, mut steps: [(f32, usize); 3], weight: f32, colour: &mut [f32; 3]) {
    steps.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut add = |at: usize, share: f32| {
        // What has no weight may be beyond the end.
        if share > 0.0 {
            for (sum, channel) in colour.iter_mut().zip(at..) {
                *sum += weight * share * value(nodes, channel);
            }
        }
    };
    let (mut rest, mut at) = (1.0, low);
    for (share, stride) in steps {
        add(at, rest - share);
        (rest, at) = (share, at + stride);
    }
    add(at, rest);
}

/// The cell that a share of `last` cells is in, and how far it is along it: 1 at most, at the end of the
/// last one. What is no number stays none, weighs nothing, and so becomes black.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to `last`")]
#[allow(clippy::cast_precision_loss, reason = "tables have at most 65,536 entries")]
fn cell(share: f32, last: usize) -> (usize, f32) {
    let along = share.clamp(0.0, 1.0) * last as f32;
    let cell = (along as usize).min(last.saturating_sub(1));
    (cell, along - cell as f32)
}

/// The entries of a curve from 0 to 1, between which it is straight.
pub(super) struct Curve(Vec<f32>);

/// How many entries a formula becomes: on the curve of sRGB, the error is 1/20,000.
const ENTRIES: u16 = 4096;

impl Curve {
    pub(super) fn of(curve: &ToneReprCurve) -> Option<Self> {
        match curve {
            ToneReprCurve::Lut(entries) if entries.len() > 1 => {
                Some(Self(entries.iter().map(|&entry| f32::from(entry) / 65_535.0).collect()))
            }
            ToneReprCurve::Lut(_) | ToneReprCurve::Parametric(_) => {
                let evaluator = curve.make_linear_evaluator().ok()?;
                let last = f32::from(ENTRIES - 1);
                Some(Self((0..ENTRIES).map(|at| evaluator.evaluate_value(f32::from(at) / last)).collect()))
            }
        }
    }

    pub(super) fn at(&self, value: f32) -> f32 {
        let Some(last) = self.0.len().checked_sub(1).filter(|&last| last > 0) else {
            return value;
        };
        let (cell, share) = cell(value, last);
        self.0[cell] + (self.0[cell + 1] - self.0[cell]) * share
    }
}

fn through(curves: &[Curve], colour: &mut [f32; 3]) {
    for (value, curve) in colour.iter_mut().zip(curves) {
        *value = curve.at(*value);
    }
}

fn length(store: &LutStore) -> usize {
    match store {
        LutStore::Store8(values) => values.len(),
        LutStore::Store16(values) => values.len(),
    }
}

fn value(store: &LutStore, at: usize) -> f32 {
    match store {
        LutStore::Store8(values) => f32::from(values[at]) / 255.0,
        LutStore::Store16(values) => f32::from(values[at]) / 65_535.0,
    }
}

#[allow(clippy::cast_possible_truncation, reason = "precision is what is meant to be lost")]
fn narrow(value: f64) -> f32 {
    value as f32
}
