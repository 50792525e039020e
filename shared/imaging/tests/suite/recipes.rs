//! The grammar of recipes: one text for each, and errors that help.

use imaging::recipe::{
    Angle, Colour, Decimal, Factor, Fit, Flip, Focus, Length, Padding, Radius, Region, Share, Sharpen, Side,
    Sigma, Trim, Watermark,
};
use imaging::{Encoding, Keep, OutputFormat, Recipe};
use proptest::option;
use proptest::prelude::*;

fn read(text: &str) -> Recipe {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn every_recipe_has_one_text() {
    for (written, canonical) in [
        ("", ""),
        (
            "w=320,h=240,fit=cover,focus=0.3:0.7,q=75,f=jpeg",
            "w=320,h=240,fit=cover,focus=0.3:0.7,f=jpeg,q=75",
        ),
        (" q = 80 , f=webp,fit=inside,rotate=360,bg=off,gray=false,focus=0.5:0.5", ""),
        ("f=jpg", "f=jpeg"),
        ("rotate=-90", "rotate=270"),
        ("rotate=725.50001", "rotate=5.5"),
        ("crop=10:20:300:200", "crop=10:20:300:200"),
        ("crop=0.1:10%:0.5:100%", "crop=0.1:0.1:0.5:1.0"),
        ("trim", "trim=16"),
        ("trim=0", "trim=0"),
        ("trim=false,watermark=false,gray=false", ""),
        ("focus=1:0", "focus=top-right"),
        ("bg=#FFF", "bg=ffffff"),
        ("bg=0f08", "bg=00ff0088"),
        ("bg=navy", "bg=000080"),
        ("bg=transparent", "bg=00000000"),
        ("pad=5:5:5:5", "pad=5"),
        ("pad=1:2:1:2", "pad=1:2"),
        ("pad=1:2:3:2", "pad=1:2:3:2"),
        ("radius=25%", "radius=0.25"),
        ("radius=max,gray,linear=true,enlarge", "enlarge,linear,gray,radius=max"),
        ("watermark", "watermark=bottom-right:0.25:1"),
        ("watermark=0.1:0.9:0.5", "watermark=0.1:0.9:0.5:1"),
        ("watermark=top:0.5:0.75", "watermark=top:0.5:0.75"),
        ("sharpen=light,blur=1.50", "blur=1.5,sharpen=light"),
        ("brightness=1.10,saturation=0", "brightness=1.1,saturation=0"),
        ("flip=hv", "flip=hv"),
        ("keep=profile:copyright,animated,f=gif", "f=gif,animated,keep=profile:copyright"),
        ("keep=off,lossless,f=avif", "f=avif,lossless"),
    ] {
        assert_eq!(read(written).to_string(), canonical, "{written}");
        assert_eq!(read(canonical), read(written), "{written}");
    }
}

#[test]
fn errors_say_what_is_wrong_and_what_to_write() {
    for (written, told) in [
        ("fitt=cover", r#"no key "fitt". Did you mean "fit"?"#),
        ("width=100", r#"Did you mean "w"?"#),
        ("gravity=top", r#"Did you mean "focus"?"#),
        ("wdith=100", r#"Did you mean "w"?"#),
        ("widht=100", r#"Did you mean "w"?"#),
        ("quailty=80", r#"Did you mean "q"?"#),
        ("gravty=top", r#"Did you mean "focus"?"#),
        ("focus=north", r#"Did you mean "top"?"#),
        ("focus=SouthEast", r#"Did you mean "bottom-right"?"#),
        ("focus=centre", r#"Did you mean "center"?"#),
        ("watermark=west", r#"Did you mean "left"?"#),
        ("fit=outside", "takes inside, cover, contain or fill."),
        ("xyzzy", r#"no key "xyzzy"."#),
        (
            "fit=covr",
            r#"fit=covr is not possible: "fit" takes inside, cover, contain or fill. Did you mean "cover"?"#,
        ),
        ("w=0", r#"w=0 is not possible: "w" takes 1 to 8192 pixels."#),
        ("w=8193", "1 to 8192"),
        ("w=3.5", "1 to 8192"),
        ("w=+5", "1 to 8192"),
        ("w", r#""w" has no value: it takes 1 to 8192 pixels"#),
        ("w=", "has no value"),
        ("w=1,w=2", r#""w" is given twice"#),
        ("w=1,,h=2", "one of them is empty"),
        ("w=1,", "one of them is empty"),
        ("q=0", "1 to 100"),
        ("q=101", "1 to 100"),
        ("f=gifs", "jpeg"),
        ("blur=0.1", "0.3 to 100"),
        ("blur=NaN", "0.3 to 100"),
        ("blur=1e2", "0.3 to 100"),
        ("rotate=inf", "degrees"),
        ("crop=1:2:3", "x:y:width:height"),
        ("crop=0:0:0:5", "x:y:width:height"),
        ("crop=0:0:1.5:5", "x:y:width:height"),
        ("focus=2:0", "from 0 to 1"),
        ("focus=botom", r#"Did you mean "bottom"?"#),
        ("pad=1:2:3", "two or four"),
        ("pad=2049", "0 to 2048"),
        ("bg=12345", "a colour"),
        ("bg=wite", r#"Did you mean "white"?"#),
        ("gray=yes", "true or false"),
        ("trim=256", "0 to 255"),
        ("watermark=top:2", "position:scale:opacity"),
        ("watermark=top:1:1:1", "position:scale:opacity"),
        ("radius=-1", "pixels"),
    ] {
        let error = written.parse::<Recipe>().unwrap_err().to_string();
        assert!(error.contains(told), "{written}: {error}");
    }
    let error = "w=1,".repeat(1_000).parse::<Recipe>().unwrap_err().to_string();
    assert!(error.contains("at most 1024"), "{error}");
    let error = "x".repeat(900).parse::<Recipe>().unwrap_err().to_string();
    assert!(error.len() < 100, "{error}");
}

#[test]
fn a_crop_beside_the_picture_is_refused_with_its_size() {
    let header = crate::made::header(&crate::made::png(&crate::made::drawing(64, 48)));
    for outside in ["crop=5000:5000:10:10", "crop=64:0:1:1", "crop=0:48:10:10", "crop=1.0:0:5:5"] {
        let refused = read(outside).check(&header).unwrap_err().to_string();
        assert_eq!(refused, "The crop lies outside of the picture, which is 64x48 pixels.", "{outside}");
    }
    for inside in ["", "w=5", "crop=63:47:10:10", "crop=0:0:999:999", "crop=0.99:0.99:1.0:1.0"] {
        assert_eq!(read(inside).check(&header), Ok(()), "{inside}");
    }
}

#[test]
fn a_text_changes_a_recipe_only_where_it_says_so() {
    let base = read("w=100,blur=2,gray,f=jpeg");
    assert_eq!(base.changed("blur=off,gray=false,h=50").unwrap().to_string(), "w=100,h=50,f=jpeg");
    assert_eq!(base.changed("").unwrap(), base);
}

fn share() -> impl Strategy<Value = Share> {
    (0_u32..=10_000).prop_map(|parts| Share::new(f64::from(parts) / 10_000.0).unwrap())
}

fn length() -> impl Strategy<Value = Length> {
    prop_oneof![(0_u32..30_000).prop_map(Length::Pixels), share().prop_map(Length::Share)]
}

fn extent() -> impl Strategy<Value = Length> {
    length().prop_filter("a region has something in it", |length| {
        *length != Length::Pixels(0) && *length != Length::Share(Share::new(0.0).unwrap())
    })
}

fn focus() -> impl Strategy<Value = Focus> {
    let named = prop_oneof![Just(0.0), Just(0.5), Just(1.0)].prop_map(|place| Share::new(place).unwrap());
    let place = prop_oneof![named, share()];
    (place.clone(), place).prop_map(|(x, y)| Focus { x, y })
}

fn sigma() -> impl Strategy<Value = Sigma> {
    (3_000_u32..=1_000_000).prop_map(|parts| Sigma::new(f64::from(parts) / 10_000.0).unwrap())
}

fn factor() -> impl Strategy<Value = Factor> {
    (0_u32..=100_000).prop_map(|parts| Factor::new(f64::from(parts) / 10_000.0).unwrap())
}

fn encoding() -> impl Strategy<Value = Encoding> {
    let format = prop_oneof![Just(OutputFormat::Jpeg), Just(OutputFormat::Png), Just(OutputFormat::Webp)];
    (format, 1_u8..=100, any::<bool>()).prop_map(|(format, quality, lossless)| Encoding {
        format,
        quality,
        lossless,
    })
}

pub(crate) fn any_recipe(most: u32) -> impl Strategy<Value = Recipe> {
    let side = option::of((1..=most).prop_map(|side| Side::new(side).unwrap()));
    let region = (length(), length(), extent(), extent()).prop_map(|(x, y, width, height)| Region {
        x,
        y,
        width,
        height,
    });
    let flip = prop_oneof![Just(Flip::Across), Just(Flip::Down), Just(Flip::Both)];
    let fit = prop_oneof![Just(Fit::Inside), Just(Fit::Cover), Just(Fit::Contain), Just(Fit::Fill)];
    let angle = prop_oneof![
        Just(Angle::new(0.0)),
        (1_u32..4).prop_map(|quarters| Angle::new(f64::from(quarters) * 90.0)),
        (-4_000_000_i32..4_000_000).prop_map(|parts| Angle::new(f64::from(parts) / 10_000.0)),
    ];
    let sharpen = prop_oneof![Just(Sharpen::Light), sigma().prop_map(Sharpen::Sigma)];
    let mark = (focus(), share(), share()).prop_map(|(position, scale, opacity)| Watermark {
        position,
        scale,
        opacity,
    });
    let radius = prop_oneof![Just(Radius::Max), length().prop_map(Radius::Length)];
    let margins = prop_oneof![
        Just([0; 4]),
        (0_u32..30).prop_map(|all| [all; 4]),
        proptest::array::uniform4(0_u32..40),
    ];
    let colour = any::<[u8; 4]>().prop_map(|[red, green, blue, alpha]| Colour { red, green, blue, alpha });
    let place = (option::of(region), option::of(any::<u8>().prop_map(Trim)), option::of(flip), angle);
    let scale = (side.clone(), side, fit, focus(), any::<bool>(), any::<bool>());
    let look = (option::of(sigma()), option::of(sharpen), any::<bool>(), factor(), factor());
    let keep = any::<[bool; 2]>().prop_map(|[profile, copyright]| Keep { profile, copyright });
    let frame = (option::of(mark), option::of(radius), margins, option::of(colour), keep);
    (place, scale, look, frame, encoding()).prop_map(|(place, scale, look, frame, encoding)| Recipe {
        crop: place.0,
        trim: place.1,
        flip: place.2,
        rotate: place.3,
        width: scale.0,
        height: scale.1,
        fit: scale.2,
        focus: scale.3,
        enlarge: scale.4,
        linear: scale.5,
        blur: look.0,
        sharpen: look.1,
        gray: look.2,
        brightness: look.3,
        saturation: look.4,
        watermark: frame.0,
        radius: frame.1,
        pad: Padding::new(frame.2).unwrap(),
        background: frame.3,
        encoding,
        keep: frame.4,
        animated: false,
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(recipe in any_recipe(8_192)) {
        let text = recipe.to_string();
        prop_assert!(text.len() <= 1_024);
        prop_assert_eq!(text.parse::<Recipe>().unwrap(), recipe, "{}", text);
    }

    #[test]
    fn any_text_is_a_recipe_or_an_error(text in "[a-z=:.,0-9%#-]{0,60}") {
        if let Ok(recipe) = text.parse::<Recipe>() {
            prop_assert_eq!(recipe.to_string().parse::<Recipe>().unwrap(), recipe);
        }
    }

    #[test]
    fn any_value_of_any_key_is_one_or_an_error(
        key in "crop|trim|flip|rotate|w|h|fit|focus|blur|sharpen|gray|watermark|radius|pad|bg|f|q",
        value in "[a-z0-9.:%-]{0,20}",
    ) {
        if let Ok(recipe) = format!("{key}={value}").parse::<Recipe>() {
            prop_assert_eq!(recipe.to_string().parse::<Recipe>().unwrap(), recipe);
        }
    }

    #[test]
    fn numbers_are_printed_as_they_are_read(parts in any::<i32>()) {
        let number = Decimal::new(f64::from(parts) / 10_000.0);
        let again: f64 = number.to_string().parse().unwrap();
        prop_assert_eq!(Decimal::new(again), number);
    }
}
