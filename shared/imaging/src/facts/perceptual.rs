//! A hash by which pictures are found that look the same.

/// The raster that is looked at is so large on both sides.
pub(super) const SIDE: usize = 32;

/// Cosines across and down that are compared: of a picture of any size, the coarse structure.
const WAVES: usize = 11;

/// Whether each of the 64 lowest frequencies of the picture is above their median. Two pictures are as
/// different as these hashes have bits that differ, which is about 32 if they have nothing in common.
///
/// This is pHash (C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010),
/// but for the frequencies: those with the longest waves, in the order of their length, without the mean.
pub(super) fn hash(luma: &[u8]) -> u64 {
    let rows: Vec<[f32; WAVES]> =
        luma.chunks_exact(SIDE).map(|row| waves(row.iter().map(|&level| f32::from(level)))).collect();
    let columns: [[f32; WAVES]; WAVES] =
        std::array::from_fn(|across| waves(rows.iter().map(|row| row[across])));

    // By diagonals, as JPEG orders them: 2 + 3 + ... + 10 and 10 of the next.
    let diagonals = (1..WAVES).flat_map(|sum| (0..=sum).map(move |down| (sum - down, down)));
    let mut strengths = [0.0; 64];
    for (strength, (across, down)) in strengths.iter_mut().zip(diagonals) {
        *strength = columns[across][down];
    }
    let mut sorted = strengths;
    sorted.sort_by(f32::total_cmp);
    let median = f32::midpoint(sorted[31], sorted[32]);
    strengths.iter().fold(0, |hash, &strength| hash << 1 | u64::from(strength > median))
}

/// The first coefficients of a DCT-II.
fn waves(samples: impl Iterator<Item = f32>) -> [f32; WAVES] {
    let mut waves = [0.0; WAVES];
    let cosines = cosines();
    for (sample, cosines) in samples.zip(cosines) {
        for (wave, cosine) in waves.iter_mut().zip(cosines) {
            *wave += sample * cosine;
        }
    }
    waves
}

/// By sample and wave.
fn cosines() -> &'static [[f32; WAVES]; SIDE] {
    static COSINES: std::sync::LazyLock<[[f32; WAVES]; SIDE]> = std::sync::LazyLock::new(|| {
        let float = |value: usize| f32::from(u8::try_from(value).unwrap_or(u8::MAX));
        let step = std::f32::consts::PI / float(SIDE);
        std::array::from_fn(|sample| {
            std::array::from_fn(|wave| (step * (float(sample) + 0.5) * float(wave)).cos())
        })
    });
    &COSINES
}
