//! `list-images` with a thousand images in the project, and with a hundred thousand: the first page, of all of
//! them and of one tag. Beside it `get-image`, which reads one row whatever else there is: what makes that slower is the
//! machine, or the local table with more in it.

use std::time::Instant;

use end_to_end::Root;
use futures::future::try_join_all;
use serde_json::{Value, json};

use crate::binaries::{Binaries, workspace};
use crate::figure::{Figure, Unit};
use crate::picture::photograph;
use crate::samples::Samples;
use crate::stack::Stack;
use crate::{Failure, milliseconds, progress};

const PART: &str = "list";
const FEW: u32 = 1_000;
const MANY: u32 = 100_000;
const REQUESTS: usize = 300;
/// How many of them are not counted.
const UNCOUNTED: usize = 30;
/// What is written at once.
const WRITERS: u32 = 16;
const LISTS: [(&str, &str); 2] = [("all", "/v1/images"), ("of a tag", "/v1/images?tag=sea")];

/// Asks before and after the project has grown.
pub async fn measure(binaries: &Binaries) -> Result<Vec<Figure>, Failure> {
    let stack = Stack::of(binaries, &workspace().join("template.yaml")).await?;
    let root = stack.root()?;
    let (image, _) = stack.upload(&photograph(64, 48)?).await?;
    let row = root.image(&image).await.ok_or("the uploaded image has no row")?;
    grow(&root, &row, 1..FEW).await?;
    let one = format!("/v1/images/{image}");
    let paths = [("one", one.as_str()), LISTS[0], LISTS[1]];
    let few = ask(&stack, paths).await?;
    grow(&root, &row, FEW..MANY).await?;
    let many = ask(&stack, paths).await?;
    let mut figures = vec![];
    for (((name, _), few), many) in paths.iter().zip(&few).zip(&many) {
        for (count, times) in [(FEW, few), (MANY, many)] {
            let Some(samples) = Samples::new(times.clone()) else { continue };
            let name = format!("{name}, of {count}: p50");
            figures.push(Figure::median(PART, name, &samples, Unit::Milliseconds));
        }
    }
    let beside =
        |list: &[f64], one: &[f64]| list.iter().zip(one).map(|(list, one)| list / one).collect::<Vec<_>>();
    for (index, (name, _)) in LISTS.iter().enumerate() {
        let (few, many) = (beside(&few[index + 1], &few[0]), beside(&many[index + 1], &many[0]));
        let ratio = Figure::ratio(PART, format!("{name}, of one: {MANY} / {FEW}"), &many, &few);
        // Half as much again is what a busy machine makes of the same.
        figures.extend(ratio.map(|ratio| ratio.at_most(1.5)));
    }
    stack.stop().await?;
    Ok(figures)
}

async fn ask(stack: &Stack, paths: [(&str, &str); 3]) -> Result<[Vec<f64>; 3], Failure> {
    let mut times = [vec![], vec![], vec![]];
    for request in 0..REQUESTS {
        for ((_, path), times) in paths.iter().zip(&mut times) {
            let asked = Instant::now();
            stack.get(path).await?;
            if request >= UNCOUNTED {
                times.push(milliseconds(asked.elapsed()));
            }
        }
    }
    Ok(times)
}

/// Writes images like this one, each with a tag, as `commit_image` would.
async fn grow(root: &Root, image: &Value, numbers: std::ops::Range<u32>) -> Result<(), Failure> {
    let bar = progress(u64::from(numbers.end - numbers.start));
    let mut next = numbers.start;
    while next < numbers.end {
        let chunk = next..numbers.end.min(next + WRITERS);
        try_join_all(chunk.clone().map(|number| write(root, image, number))).await?;
        bar.inc(u64::from(chunk.end - chunk.start));
        next = chunk.end;
    }
    Ok(())
}

async fn write(root: &Root, image: &Value, number: u32) -> Result<(), Failure> {
    let old = image["id"].as_str().ok_or("an image without an id")?;
    // Older than the one that is there, so that pages begin alike.
    let id = format!("img_01M0000000{number:016}");
    let row: Value = serde_json::from_str(&image.to_string().replace(old, &id))?;
    let project = row["project"].as_str().ok_or("an image without a project")?;
    let tag = json!({
        "PK": row["PK"], "SK": "TAG#sea", "GSI1PK": format!("P#{project}#TAG#sea"), "GSI1SK": id,
        "type": "tag", "schema": 1,
    });
    root.put_row(&row).await;
    root.put_row(&tag).await;
    Ok(())
}
