//! The binaries under test.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// The template of the project.
pub fn template() -> PathBuf {
    workspace().join("template.yaml")
}

pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The local stack's binary, with the functions' binaries beside it.
///
/// `cargo test` builds the tests of a package and not the binaries of its neighbours, so they are built
/// here, as `cargo run` does it. Cargo's own lock keeps several test processes from doing it at once, and
/// when all is up to date it takes a moment.
pub fn tintype() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
        let mut command = Command::new(cargo);
        // What Cargo tells the tests about their package: build scripts that watch these variables (ring's
        // does) would run again, and all that depends on them would be built again.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&*name);
            }
        }
        let built = command
            .args(["build", "--workspace", "--bins", "--message-format=json-render-diagnostics"])
            .current_dir(workspace())
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(built.status.success(), "the binaries under test cannot be built");
        let lines = built.stdout.split(|byte| *byte == b'\n');
        lines
            .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
            .find(|message| message["target"]["name"] == "tintype" && message["executable"].is_string())
            .and_then(|message| message["executable"].as_str().map(PathBuf::from))
            .unwrap()
    })
}
