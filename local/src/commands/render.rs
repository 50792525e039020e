//! `tintype render photo.jpg small.webp w=320,h=240,fit=cover`: one file, by the code of the functions.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use imaging::{Limits, Overlay, Recipe};

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
    let plan = recipe.plan(&header);
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
