//! `tintype render photo.jpg small.webp w=320,h=240,fit=cover`: one file, by the code of the functions.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use imaging::{Header, Keep, Limits, Overlay, Plan, Recipe};

use super::{Outcome, budget, note, print_line};

/// What to render, into what, and how.
#[derive(Debug, Args)]
pub struct Options {
    /// The picture
    input: PathBuf,
    /// The file to write; its name says the format, unless the recipe does
    output: PathBuf,
    /// Such as `w=320,h=240,fit=cover,focus=0.3:0.7,q=80` (see docs/recipes.md)
    #[arg(default_value = "")]
    recipe: String,
    /// The picture for the recipe's watermark
    #[arg(long, value_name = "FILE")]
    watermark: Option<PathBuf>,
    /// Print the steps, and do not take them
    #[arg(long)]
    plan: bool,
}

/// Renders one file, and prints what came of it.
pub async fn run(options: Options) -> Outcome {
    let recipe = recipe(&options)?;
    let start = Instant::now();
    let budget = budget();
    let bytes = tokio::fs::read(&options.input).await.map_err(|e| cannot("read", &options.input, &e))?;
    let header = imaging::probe(&bytes)?;
    let limits = Limits::default();
    limits.check(&header, bytes.len() as u64)?;
    recipe.check(&header)?;
    let plan = recipe.plan(&header);
    for line in unheard(&options, &recipe, &header, &plan) {
        note(&line);
    }
    if options.plan {
        print_line(&plan.to_string());
        return Ok(ExitCode::SUCCESS);
    }
    let overlay = match &options.watermark {
        Some(file) => {
            let mark = tokio::fs::read(file).await.map_err(|e| cannot("read", file, &e))?;
            Some(Overlay::decode(&mark, &limits, &budget)?)
        }
        None => None,
    };
    let pictures = imaging::pictures(&bytes, &header, &[plan], overlay.as_ref(), &budget)?;
    let took = start.elapsed();
    for picture in pictures {
        tokio::fs::write(&options.output, &picture.bytes)
            .await
            .map_err(|e| cannot("write", &options.output, &e))?;
        print_line(&format!(
            "{}  {}x{}  {}  {}  in {} ms",
            options.output.display(),
            picture.width,
            picture.height,
            picture.encoding.format.media_type(),
            indicatif::HumanBytes(picture.bytes.len() as u64),
            took.as_millis(),
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// What was asked for and will not be done, a sentence for each.
fn unheard(options: &Options, recipe: &Recipe, header: &Header, plan: &Plan) -> Vec<String> {
    let output = options.output.display();
    let media_type = plan.encoding.format.media_type();
    let mut lines = Vec::new();
    if let Some(file) = options.watermark.as_ref().filter(|_| recipe.watermark.is_none()) {
        let file = file.display();
        lines.push(format!("{file} is not used: add watermark to the recipe to have it on the picture."));
    }
    if recipe.animated && header.frames > 1 && !plan.animated {
        lines.push(format!(
            "{output} will show the first of {} frames: GIF, WebP and PNG can be read as animations, and WebP and GIF \
             written.",
            header.frames
        ));
    }
    if recipe.keep != Keep::NOTHING && !plan.encoding.format.carries() {
        lines.push(format!(
            "{output} will carry neither profile nor copyright: {media_type} is written without them, JPEG, PNG and \
             WebP can keep them."
        ));
    }
    lines
}

/// The recipe, in the format that the output's name says if it does not say one itself.
fn recipe(options: &Options) -> Result<Recipe, Box<dyn std::error::Error + Send + Sync>> {
    let extension = options.output.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let says = options.recipe.split(',').any(|part| part.trim().starts_with("f="));
    if says {
        let recipe: Recipe = options.recipe.parse()?;
        if recipe.encoding.format.extension() != extension.replace("jpeg", "jpg") {
            note(&format!(
                "{} will be {}, as the recipe says.",
                options.output.display(),
                recipe.encoding.format.media_type()
            ));
        }
        return Ok(recipe);
    }
    if extension.is_empty() {
        return Err(format!(
            "{} does not say in which format to write: give it an extension, or the recipe an f=",
            options.output.display()
        )
        .into());
    }
    Ok(Recipe::default().changed(&format!("f={extension}"))?.changed(&options.recipe)?)
}

fn cannot(what: &str, file: &std::path::Path, error: &std::io::Error) -> String {
    format!("cannot {what} {}: {error}", file.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_will_not_be_done_is_said() {
        let header = Header {
            format: imaging::Format::Gif,
            width: 8,
            height: 8,
            orientation: imaging::Orientation::Upright,
            frames: 3,
            alpha: false,
            largest_frame: 64,
        };
        for (output, text, marked, said) in [
            ("a.png", "animated", false, &["first of 3 frames"][..]),
            (
                "a.avif",
                "animated,keep=profile",
                false,
                &["first of 3 frames", "neither profile nor copyright"],
            ),
            ("a.webp", "animated,keep=profile", false, &[]),
            ("a.webp", "", true, &["logo.png is not used"]),
            ("a.webp", "watermark", true, &[]),
        ] {
            let options = Options {
                input: "a.gif".into(),
                output: output.into(),
                recipe: text.to_owned(),
                watermark: marked.then(|| "logo.png".into()),
                plan: false,
            };
            let recipe = recipe(&options).unwrap();
            let lines = unheard(&options, &recipe, &header, &recipe.plan(&header));
            assert_eq!(lines.len(), said.len(), "{output} {text}: {lines:?}");
            assert!(lines.iter().zip(said).all(|(line, said)| line.contains(said)), "{lines:?}");
        }
    }
}
