//! The sizes of the functions as they are deployed, and how long it takes to build them.

use std::fs;

use crate::binaries::{Binaries, functions};
use crate::figure::{Figure, Unit};
use crate::{Failure, megabytes, note};

const PART: &str = "size";
/// The functions with codecs in them, which may be as large as those are.
const WITH_CODECS: [&str; 1] = ["process-upload"];

/// Builds every function on its own, after what they share.
pub async fn measure() -> Result<Vec<Figure>, Failure> {
    let mut names = functions()?;
    names.insert(0, "hello".to_owned());
    let shared = Binaries::build(&["--profile", "lambda", "--lib"]).await?;
    let mut times = Vec::new();
    times.extend(shared.built_in.map(|time| ("what they share".to_owned(), time)));
    let mut figures = Vec::new();
    for name in names {
        note(&format!("Building {name}."));
        let built = Binaries::build(&["--profile", "lambda", "--bin", &name]).await?;
        let size = megabytes(fs::metadata(built.find(&name)?)?.len());
        times.extend(built.built_in.map(|time| (name.clone(), time)));
        let limited = !WITH_CODECS.contains(&name.as_str());
        let figure = Figure::new(PART, name, size, Unit::Megabytes);
        figures.push(if limited { figure.at_most(9.0) } else { figure });
    }
    let time = |(name, time): (String, std::time::Duration)| {
        Figure::new(PART, format!("time to build {name}"), time.as_secs_f64(), Unit::Seconds)
    };
    figures.extend(times.into_iter().map(time));
    Ok(figures)
}
