//! Pictures of an eighth against one symbol after the other.

use super::super::bits::{Bits, Intervals};
use super::*;

/// The samples of all components at 1/8, with those that only fill up blocks.
fn samples(
    file: &[u8], read: impl FnOnce(Parts, &Layout, &mut [Component], &Budget) -> Result<(), Reject>,
) -> Result<Vec<Vec<u8>>, Reject> {
    let whole = whole(file)?;
    let layout = Layout::new(&whole.frame);
    let mut components = layout.components(&whole.frame, (1, 1), (1, 1));
    for component in &mut components {
        component.allocate(&layout, &budget())?;
    }
    read(whole.parts(file), &layout, &mut components, &budget())?;
    Ok(components.into_iter().map(|component| component.samples).collect())
}

/// What `scans` does, in the plainest way.
fn plainly(parts: Parts, layout: &Layout, components: &mut [Component], _: &Budget) -> Result<(), Reject> {
    let (mut tables, mut chosen) = (Tables::default(), Vec::new());
    for part in parts {
        match part? {
            Part::Segment(DEFINE_QUANTISATION, payload) => tables.quantisation(payload)?,
            Part::Segment(DEFINE_HUFFMAN, payload) => tables.huffman(payload)?,
            Part::Segment(RESTART_INTERVAL, payload) => tables.restarts(payload)?,
            Part::Segment(START_OF_SCAN, payload) => chosen = ScanHeader::read(payload)?.components,
            Part::Segment(..) => {}
            Part::Scan(data) => scan(
                data,
                &mut codings(&tables, &chosen, components)?,
                layout.units,
                tables.restart_interval,
            )?,
        }
    }
    Ok(())
}

fn scan(
    data: &[u8], codings: &mut [Coding], units: (usize, usize), restart_interval: u16,
) -> Result<(), Reject> {
    let interleaved = codings.len() > 1;
    let units = if interleaved { units } else { codings[0].component.blocks };
    let mut bits = Bits::new(data);
    let mut intervals = Intervals::new(restart_interval);
    for (y, x) in (0..units.1).flat_map(|y| (0..units.0).map(move |x| (y, x))) {
        if intervals.are_over(&mut bits)? {
            for coding in &mut *codings {
                coding.predicted = 0;
            }
        }
        intervals.left -= 1;
        for coding in &mut *codings {
            let Component { across, down, stride, .. } = *coding.component;
            let (across, down) = if interleaved { (across, down) } else { (1, 1) };
            for (row, column) in (0..down).flat_map(|row| (0..across).map(move |column| (row, column))) {
                let difference = bits.mcu(|reader| {
                    let difference = reader.difference(coding.dc)?;
                    let mut at = 1;
                    while at < 64 {
                        at = reader.symbol(coding.ac, at)?;
                    }
                    (at == 64).then_some(difference)
                });
                coding.predicted = coding.predicted.wrapping_add(difference.ok_or(scan::NONSENSE)?);
                coding.component.samples[(y * down + row) * stride + x * across + column] =
                    idct::flat(coding.predicted as f32 * coding.multipliers[0]);
            }
        }
        if x + 1 == units.0 && bits.is_exhausted() {
            return Err(Reject::Truncated);
        }
    }
    Ok(())
}

/// Noise over the slopes, which leaves no coefficient out at the best quality.
fn noisy(width: u16, height: u16, sampling: Sampling, restart: u16, quality: u8, noise: u8) -> Vec<u8> {
    let mut pixels = picture(width, height);
    let mut state = 1_u32;
    for level in &mut pixels {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *level = level.wrapping_add((state >> 24) as u8 & noise);
    }
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, quality);
    encoder.set_sampling_factor(sampling);
    // The encoder counts symbols as if there were no restarts.
    encoder.set_optimized_huffman_tables(quality.is_multiple_of(2) && restart == 0);
    encoder.set_restart_interval(restart);
    encoder.encode(&pixels, width, height, ColorType::Rgb).unwrap();
    file
}

#[test]
fn every_sampling_quality_and_restart_interval_is_as_symbol_by_symbol() {
    for sampling in SAMPLINGS {
        for quality in [1, 10, 50, 81, 90, 97, 100] {
            for (noise, restart) in [(0, 0), (15, 1), (127, 7), (255, 0), (255, 300)] {
                let file = noisy(531, 93, sampling, restart, quality, noise);
                let same = samples(&file, scans).unwrap() == samples(&file, plainly).unwrap();
                assert!(same, "{sampling:?} at {quality}, noise {noise}, restart {restart}");
            }
        }
    }
}

#[test]
fn the_photograph_is_as_symbol_by_symbol() {
    assert!(samples(PHOTOGRAPH, scans).unwrap() == samples(PHOTOGRAPH, plainly).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_is_read_as_symbol_by_symbol(
        sampling in any_sampling(), restart in 0_u16..4, quality in 30_u8..=100, noise in any::<u8>(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 1..6),
    ) {
        let mut file = noisy(48, 40, sampling, restart, quality, noise);
        for (index, bit) in flips {
            let at = index.index(file.len());
            file[at] ^= 1 << bit;
        }
        let ours = |file: &[u8]| whole(file).is_ok_and(|whole| {
            let sequential = whole.process != Process::Progressive;
            sequential && is_ours(&whole) && Layout::new(&whole.frame).width < 500
        });
        if ours(&file) && crate::probe(&file).is_ok() {
            prop_assert!(samples(&file, scans).ok() == samples(&file, plainly).ok());
        }
    }
}
