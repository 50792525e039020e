use crate::animation::canvas::Area;

/// The smallest box outside of which `changed` is true of no pair of pixels.
pub(super) fn changed_area(
    width: usize, before: &[[u8; 4]], after: &[[u8; 4]], changed: impl Fn([u8; 4], [u8; 4]) -> bool,
) -> Option<Area> {
    let rows = || before.chunks_exact(width).zip(after.chunks_exact(width));
    let differs = |(before, after): (&[[u8; 4]], &[[u8; 4]])| {
        before.iter().zip(after).any(|(before, after)| changed(*before, *after))
    };
    let top = rows().position(differs)?;
    let bottom = rows().rposition(differs)? + 1;
    let (mut left, mut right) = (width, 0);
    for (before, after) in rows().take(bottom).skip(top) {
        let pairs = || before.iter().zip(after);
        let first = pairs().take(left).position(|(before, after)| changed(*before, *after));
        left = first.unwrap_or(left);
        let last = pairs().skip(right).rposition(|(before, after)| changed(*before, *after));
        right = last.map_or(right, |last| right + last + 1);
    }
    let side = |side: usize| u32::try_from(side).expect("a part of a canvas");
    Some(Area { left: side(left), top: side(top), width: side(right - left), height: side(bottom - top) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_box_is_as_small_as_can_be() {
        let area = |dots: &[usize]| {
            let mut after = [[0; 4]; 5 * 4];
            for &dot in dots {
                after[dot][2] = 1;
            }
            changed_area(5, &[[0; 4]; 5 * 4], &after, |a, b| a != b)
                .map(|area| [area.left, area.top, area.width, area.height])
        };
        assert_eq!(area(&[]), None);
        assert_eq!(area(&[0]), Some([0, 0, 1, 1]));
        assert_eq!(area(&[19]), Some([4, 3, 1, 1]));
        assert_eq!(area(&[7, 11]), Some([1, 1, 2, 2]));
        assert_eq!(area(&[4, 15]), Some([0, 0, 5, 4]));
        assert_eq!(area(&[6, 8, 12]), Some([1, 1, 3, 2]));
    }
}
