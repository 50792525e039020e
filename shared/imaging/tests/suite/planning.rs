//! `Recipe::plan`: dimensions that can be relied on.

use imaging::{Encoding, Format, Header, Orientation, OutputFormat, Recipe};
use proptest::prelude::*;

fn header(width: u32, height: u32) -> Header {
    Header {
        format: Format::Jpeg,
        width,
        height,
        orientation: Orientation::Upright,
        frames: 1,
        alpha: false,
        largest_frame: u64::from(width) * u64::from(height),
    }
}

fn plan(picture: (u32, u32), width: u32, format: OutputFormat) -> (u32, u32) {
    let recipe = Recipe::of_width(width, Encoding { format, quality: 80, lossless: false });
    let plan = recipe.plan(&header(picture.0, picture.1));
    (plan.width, plan.height)
}

#[test]
fn dimensions_follow_the_documented_rounding() {
    assert_eq!(plan((4032, 3024), 640, OutputFormat::Jpeg), (640, 480));
    assert_eq!(plan((300, 200), 640, OutputFormat::Webp), (300, 200));
    assert_eq!(plan((4, 3), 2, OutputFormat::Png), (2, 2)); // 1.5
    assert_eq!(plan((3000, 1), 10, OutputFormat::Png), (10, 1)); // 0.003
    assert_eq!(plan((100, 100), 0, OutputFormat::Png), (1, 1));
    assert_eq!(plan((1, 30_000), 5, OutputFormat::Webp), (1, 16_383));
    assert_eq!(plan((30_000, 15_000), 30_000, OutputFormat::Png), (8_192, 4_096));
    let whole = |format| Recipe::new(Encoding { format, quality: 80, lossless: false });
    let plan = |format| whole(format).plan(&header(30_000, 15_000));
    assert_eq!((plan(OutputFormat::Webp).width, plan(OutputFormat::Webp).height), (16_383, 8_192));
    assert_eq!((plan(OutputFormat::Png).width, plan(OutputFormat::Png).height), (30_000, 15_000));
    let avif = whole(OutputFormat::Avif).plan(&header(70_000, 3));
    assert_eq!((avif.width, avif.height), (65_535, 3));
}

#[test]
fn quality_is_taken_as_the_nearest_that_there_is() {
    for (asked, planned) in [(0, 1), (1, 1), (80, 80), (100, 100), (255, 100)] {
        let encoding = Encoding { format: OutputFormat::Jpeg, quality: asked, lossless: false };
        let recipe = Recipe::of_width(10, encoding);
        assert_eq!(recipe.plan(&header(10, 10)).encoding.quality, planned);
    }
}

fn format() -> impl Strategy<Value = OutputFormat> {
    prop_oneof![
        Just(OutputFormat::Jpeg),
        Just(OutputFormat::Png),
        Just(OutputFormat::Webp),
        Just(OutputFormat::Avif),
    ]
}

proptest! {
    #[test]
    fn a_plan_is_never_larger_than_the_picture_nor_empty(
        picture in (any::<u32>(), any::<u32>()), width: u32, format in format(),
    ) {
        let (planned, high) = plan(picture, width, format);
        prop_assert!(planned >= 1 && high >= 1);
        prop_assert!(planned <= picture.0.max(1) && high <= picture.1.max(1));
        prop_assert!(planned <= width.max(1));
    }

    #[test]
    fn a_plan_keeps_the_shape(
        picture in (1_u32..20_000, 1_u32..20_000), width in 1_u32..20_000,
    ) {
        let (planned, high) = plan(picture, width, OutputFormat::Jpeg);
        prop_assert_eq!(planned, width.min(picture.0).min(8_192));
        let exact = f64::from(picture.1) * f64::from(planned) / f64::from(picture.0);
        prop_assert!((f64::from(high) - exact).abs() <= 0.5 || high == 1);
    }

    #[test]
    fn a_wider_recipe_never_makes_a_smaller_picture(
        picture in (1_u32..70_000, 1_u32..70_000), width in 1_u32..70_000, format in format(),
    ) {
        let (narrow, low) = plan(picture, width, format);
        let (wide, high) = plan(picture, width + 1, format);
        prop_assert!(narrow <= wide && low <= high);
    }
}
