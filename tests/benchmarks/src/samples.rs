//! What many measurements of one thing come to.

/// Measurements in ascending order, at least one.
#[derive(Debug)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Orders them.
    pub fn new(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        (!values.is_empty()).then_some(Self(values))
    }

    /// The measurement below which `share` of all lie, by the nearest rank.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index into a list of a few thousand"
    )]
    pub fn quantile(&self, share: f64) -> f64 {
        let last = self.0.len() - 1;
        self.0[((last as f64 * share).round() as usize).min(last)]
    }

    /// The measurement in the middle: what a noisy machine moves least.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// Where the middle half lies.
    pub fn spread(&self) -> [f64; 2] {
        [self.quantile(0.25), self.quantile(0.75)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "the figures are picked, not computed")]
    fn one_slow_measurement_changes_neither_the_median_nor_the_spread() {
        let calm = Samples::new(vec![5.0, 1.0, 3.0, 2.0, 4.0]).unwrap();
        let disturbed = Samples::new(vec![500.0, 1.0, 3.0, 2.0, 4.0]).unwrap();
        assert_eq!((calm.median(), calm.spread()), (3.0, [2.0, 4.0]));
        assert_eq!((disturbed.median(), disturbed.spread()), (3.0, [2.0, 4.0]));
        assert_eq!(disturbed.quantile(0.99), 500.0);
    }
}
