//! The colours that a picture is made of.

use moxcms::{Oklab, Rgb};

use crate::colour::srgb;

/// One of the colours that a picture is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swatch {
    /// As sRGB.
    pub color: [u8; 3],
    /// How much of what is visible looks like it, in thousandths.
    pub permille: u16,
}

/// Swatches at most.
const MOST: usize = 6;

/// Those of less are details.
const LEAST_PERMILLE: u64 = 10;

/// Closer than this in Oklab, where 1 is from black to white, two colours have one name.
const ALIKE: f32 = 0.07;

/// Swatches move until they stay, which they nearly do after a few rounds.
const ROUNDS: usize = 8;

#[derive(Clone, Copy)]
struct Cluster {
    lab: [f32; 3],
    weight: u64,
}

/// K-means in a space in which distances are as they look, from pixels put together by the upper four
/// bits of each channel. All of it is in a fixed order: the same pixels give the same palette.
pub(super) fn palette(pixels: &[[u8; 4]]) -> Vec<Swatch> {
    let colours = colours(pixels);
    let total: u64 = colours.iter().map(|colour| colour.weight).sum();
    let mut clusters = seeds(&colours);
    for _ in 0..ROUNDS {
        clusters = settled(&colours, &clusters);
    }
    merge(&mut clusters);
    let mut swatches: Vec<Swatch> = clusters
        .into_iter()
        .filter(|cluster| cluster.weight * 1_000 >= total * LEAST_PERMILLE)
        .map(|cluster| Swatch { color: color(cluster.lab), permille: permille(cluster.weight, total) })
        .collect();
    swatches.sort_by_key(|swatch| (std::cmp::Reverse(swatch.permille), swatch.color));
    swatches
}

/// The means of 4,096 ranges of colour, where there are any, weighed by how visible they are.
fn colours(pixels: &[[u8; 4]]) -> Vec<Cluster> {
    let mut sums = vec![[0_u64; 4]; 4_096];
    for &[r, g, b, a] in pixels {
        let index = usize::from(r >> 4) << 8 | usize::from(g >> 4) << 4 | usize::from(b >> 4);
        for (sum, value) in sums[index].iter_mut().zip([r, g, b, u8::MAX]) {
            *sum += u64::from(value) * u64::from(a);
        }
    }
    let seen = sums.into_iter().filter(|sums| sums[3] > 0);
    seen.map(|[r, g, b, weight]| {
        let linear = [r, g, b].map(|sum| srgb::linear(ratio(sum, weight)));
        let Oklab { l, a, b } = Oklab::from_linear_rgb(Rgb::new(linear[0], linear[1], linear[2]));
        Cluster { lab: [l, a, b], weight: weight / 255 }
    })
    .collect()
}

#[allow(clippy::cast_precision_loss, reason = "sums over at most 10,000 pixels")]
fn ratio(part: u64, whole: u64) -> f32 {
    part as f32 / whole.max(1) as f32
}

fn distance(a: [f32; 3], b: [f32; 3]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// The most common colour, then each time the one that stands out most: common, and unlike those before.
fn seeds(colours: &[Cluster]) -> Vec<Cluster> {
    let mut seeds: Vec<Cluster> = Vec::new();
    let mut nearest = vec![1.0_f32; colours.len()];
    for _ in 0..MOST {
        let standing_out = |index: usize| ratio(colours[index].weight, 1) * nearest[index];
        let most = (0..colours.len()).max_by(|&a, &b| standing_out(a).total_cmp(&standing_out(b)));
        let Some(most) = most.filter(|&most| nearest[most] > 0.0) else {
            break;
        };
        seeds.push(colours[most]);
        for (nearest, colour) in nearest.iter_mut().zip(colours) {
            *nearest = nearest.min(distance(colour.lab, colours[most].lab));
        }
    }
    seeds
}

/// Every colour goes to the nearest cluster, and every cluster to the middle of its colours.
fn settled(colours: &[Cluster], clusters: &[Cluster]) -> Vec<Cluster> {
    let mut sums = vec![([0.0_f32; 3], 0_u64); clusters.len()];
    for colour in colours {
        let distances = clusters.iter().map(|cluster| distance(cluster.lab, colour.lab));
        let nearest = distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map(|(index, _)| index);
        if let Some((lab, weight)) = nearest.and_then(|index| sums.get_mut(index)) {
            for (sum, value) in lab.iter_mut().zip(colour.lab) {
                *sum += value * ratio(colour.weight, 1);
            }
            *weight += colour.weight;
        }
    }
    let kept = sums.into_iter().filter(|&(_, weight)| weight > 0);
    kept.map(|(lab, weight)| Cluster { lab: lab.map(|sum| sum / ratio(weight, 1)), weight }).collect()
}

fn merge(clusters: &mut Vec<Cluster>) {
    let closest = |clusters: &[Cluster]| {
        let pairs = (0..clusters.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
        pairs
            .map(|(a, b)| (a, b, distance(clusters[a].lab, clusters[b].lab)))
            .min_by(|one, other| one.2.total_cmp(&other.2))
            .filter(|&(_, _, distance)| distance < ALIKE * ALIKE)
    };
    while let Some((a, b, _)) = closest(clusters) {
        let other = clusters.swap_remove(b);
        let into = &mut clusters[a];
        let share = ratio(other.weight, into.weight + other.weight);
        for (value, other) in into.lab.iter_mut().zip(other.lab) {
            *value += (other - *value) * share;
        }
        into.weight += other.weight;
    }
}

fn color([l, a, b]: [f32; 3]) -> [u8; 3] {
    let Rgb { r, g, b } = Oklab::new(l, a, b).to_linear_rgb();
    [r, g, b].map(|linear| srgb::byte(srgb::curve(linear)))
}

fn permille(part: u64, whole: u64) -> u16 {
    let rounded = (part * 1_000 + whole / 2).checked_div(whole).unwrap_or_default();
    u16::try_from(rounded).unwrap_or(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_few_colours_has_just_these() {
        let mut pixels = vec![[200, 30, 30, 255]; 600];
        pixels.extend([[20, 60, 200, 255]; 300]);
        pixels.extend([[250, 250, 250, 255]; 97]);
        pixels.extend([[0, 255, 0, 255]; 3]);
        let found = palette(&pixels);
        assert_eq!(found.iter().map(|swatch| swatch.permille).collect::<Vec<_>>(), [600, 300, 97]);
        for (swatch, color) in found.iter().zip([[200, 30, 30], [20, 60, 200], [250, 250, 250]]) {
            assert!(swatch.color.iter().zip(color).all(|(a, b): (&u8, u8)| a.abs_diff(b) <= 1), "{swatch:?}");
        }
    }

    #[test]
    fn shades_of_one_colour_are_one() {
        let pixels: Vec<[u8; 4]> = (0..10).map(|shade| [200 + shade, 30, 30, 255]).collect();
        assert_eq!(palette(&pixels).len(), 1);
    }

    #[test]
    fn what_is_invisible_has_no_colour() {
        let pixels = [vec![[255, 0, 0, 0]; 900], vec![[0, 0, 255, 255]; 50]].concat();
        let found = palette(&pixels);
        assert_eq!(found, [Swatch { color: [0, 0, 255], permille: 1_000 }]);
        assert_eq!(palette(&[[9, 9, 9, 0]; 20]), []);
    }

    #[test]
    fn the_order_of_pixels_does_not_matter() {
        let mut pixels: Vec<[u8; 4]> =
            (0..5_000_u32).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        let found = palette(&pixels);
        assert!((2..=MOST).contains(&found.len()));
        pixels.reverse();
        assert_eq!(palette(&pixels), found);
    }
}
