//! Finds the functions that describe themselves: each `functions/*/src/bin/*.rs` with a `#[utoipa::path(...)]`
//! becomes a module of the library. A binary cannot be imported, and a list by hand would be forgotten.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let groups = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../functions").canonicalize()?;
    let mut files = vec![];
    for group in fs::read_dir(groups)? {
        let binaries = group?.path().join("src/bin");
        println!("cargo::rerun-if-changed={}", binaries.display());
        for file in fs::read_dir(binaries)? {
            files.push(file?.path());
        }
    }
    files.sort();
    let (mut modules, mut paths) = (String::new(), String::new());
    for file in files {
        let source = fs::read_to_string(&file)?;
        let names = described(&source);
        if names.is_empty() {
            continue;
        }
        let module = file.file_stem().unwrap_or_default().to_string_lossy().replace('-', "_");
        writeln!(modules, "#[path = {:?}]\nmod {module};", file.display().to_string())?;
        for name in names {
            write!(paths, "{module}::{name}, ")?;
        }
    }
    let document = format!("#[derive(utoipa::OpenApi)]\n#[openapi(paths({paths}))]\npub struct Functions;");
    let generated = Path::new(&env::var("OUT_DIR")?).join("functions.rs");
    fs::write(generated, format!("{modules}\n{document}\n"))?;
    Ok(())
}

/// The names of the functions that have the attribute.
fn described(source: &str) -> Vec<&str> {
    let mut names = vec![];
    let mut expected = false;
    for line in source.lines() {
        expected |= line.starts_with("#[utoipa::path(");
        let name = line.trim_start_matches("async ").strip_prefix("fn ");
        if let Some(name) = name.filter(|_| expected) {
            names.extend(name.split(['(', '<']).next());
            expected = false;
        }
    }
    names
}
