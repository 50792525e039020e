//! A real issuer of identity tokens: npm's `oauth2-mock-server`, which the tests install under `target/`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::programs::workspace;

/// An issuer on this machine. It goes when it is let go of.
pub struct Issuer {
    /// Its URL.
    pub url: String,
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// The directory that it is installed in.
fn installed() -> &'static PathBuf {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let (source, directory) = (workspace().join("tests/issuer"), workspace().join("target/issuer"));
        std::fs::create_dir_all(&directory).unwrap();
        for file in ["package.json", "package-lock.json", "issuer.js"] {
            std::fs::copy(source.join(file), directory.join(file)).unwrap();
        }
        if !directory.join("node_modules/oauth2-mock-server").is_dir() {
            let mut npm = Command::new("npm");
            npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(&directory).stdout(Stdio::null());
            assert!(npm.status().expect("there is npm").success(), "the issuer cannot be installed");
        }
        directory
    })
}

impl Issuer {
    /// Starts one.
    pub fn start() -> Self {
        let mut node = Command::new("node");
        node.arg("issuer.js").current_dir(installed()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = node.spawn().expect("there is Node.js");
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut issuer = Self { url: String::new(), process, input, output };
        issuer.answer()["issuer"].as_str().unwrap().clone_into(&mut issuer.url);
        issuer
    }

    /// A token with these claims, signed as `key` says: with `mine`, with a `foreign` key by the same id, not at
    /// all (`none`), or with the public key as a secret (`public`).
    pub fn mint(&mut self, key: &str, claims: &Value) -> String {
        let token = self.ask(&json!({ "mint": { "key": key, "claims": claims } }));
        token["token"].as_str().unwrap().to_owned()
    }

    /// Takes the issuer off the network, or puts it there again.
    pub fn down(&mut self, down: bool) {
        self.ask(&json!({ "down": down }));
    }

    fn ask(&mut self, request: &Value) -> Value {
        writeln!(self.input, "{request}").unwrap();
        self.answer()
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).expect("the issuer answers")
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
