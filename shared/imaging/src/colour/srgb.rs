//! From what profiles map colours to, which is XYZ as it looks under D50, to sRGB.

use moxcms::Xyz;

/// The white of the profile connection space (ICC.1:2022, 7.2.16).
pub(super) const WHITE: [f32; 3] = [0.9642, 1.0, 0.8249];

/// The inverse of the primaries of sRGB adapted to D50 (ICC.1:2022, E; IEC 61966-2-1).
const TO_LINEAR: [[f32; 3]; 3] = [
    [3.133_856, -1.616_867, -0.490_615],
    [-0.978_768, 1.916_142, 0.033_454],
    [0.071_945, -0.228_991, 1.405_243],
];

/// The darkest colour of a profile, that is to become black.
///
/// Ink on paper is never black, and pictures on paper are never without contrast for it: black point
/// compensation stretches what a profile can express to what a screen can show. It is a scaling in XYZ
/// that leaves white where it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Black(pub(super) [f32; 3]);

impl Black {
    /// What all perceptual tables of version 4 have (ICC.1:2022, 6.3.3): black printed on white paper.
    pub(super) const OF_VERSION_4: Self = Self([0.003_36, 0.003_473_1, 0.002_87]);

    /// What is lighter than the middle is no black but an odd profile.
    pub(super) fn of_darkest(darkest: Xyz) -> Self {
        let lightness = 116.0 * lab_curve(darkest.y) - 16.0;
        let Xyz { x, y, z } = darkest;
        if (0.0..=50.0).contains(&lightness) { Self([x, y, z]) } else { Self([0.0; 3]) }
    }
}

/// 0 to 1 in each.
pub(super) fn encoded(xyz: Xyz, black: Black) -> [f32; 3] {
    let mut stretched = [xyz.x, xyz.y, xyz.z];
    for ((value, white), black) in stretched.iter_mut().zip(WHITE).zip(black.0) {
        *value = (*value - black) * white / (white - black);
    }
    TO_LINEAR.map(|row| {
        let linear: f32 = row.iter().zip(stretched).map(|(factor, value)| factor * value).sum();
        curve(linear)
    })
}

/// The curve of sRGB (IEC 61966-2-1). What is no number is black.
pub(crate) fn curve(linear: f32) -> f32 {
    if linear <= 0.003_130_8 {
        (12.92 * linear).max(0.0)
    } else {
        (1.055 * linear.powf(1.0 / 2.4) - 0.055).min(1.0)
    }
}

/// The other way.
pub(crate) fn linear(encoded: f32) -> f32 {
    if encoded <= 0.040_45 { encoded / 12.92 } else { ((encoded + 0.055) / 1.055).powf(2.4) }
}

/// From 0 to 1, rounded.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 1")]
pub(crate) fn byte(value: f32) -> u8 {
    (value * 255.0 + 0.5) as u8
}

const THRESHOLD: f32 = 216.0 / 24_389.0;
const SLOPE: f32 = 24_389.0 / 27.0;

/// CIE 15, 8.2.1.
fn lab_curve(share: f32) -> f32 {
    if share > THRESHOLD { share.cbrt() } else { (SLOPE * share + 16.0) / 116.0 }
}

pub(super) fn from_lab([lightness, green_red, blue_yellow]: [f32; 3]) -> Xyz {
    let share = |value: f32| {
        let cube = value * value * value;
        if cube > THRESHOLD { cube } else { (116.0 * value - 16.0) / SLOPE }
    };
    let y = (lightness + 16.0) / 116.0;
    let [x, y, z] = [y + green_red / 500.0, y, y - blue_yellow / 200.0].map(share);
    Xyz { x: x * WHITE[0], y: y * WHITE[1], z: z * WHITE[2] }
}
