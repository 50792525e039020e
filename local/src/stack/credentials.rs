//! Access keys of a stack, one for each function. They follow from a seed that is kept with the data, so
//! that a presigned URL outlives a restart.

use std::io;
use std::path::Path;

use rand::RngCore as _;
use sha2::{Digest as _, Sha256};

use crate::iam::{Identity, References, Statement};

/// What a stack's keys are derived from.
pub struct Seed([u8; 32]);

impl Seed {
    /// The seed of a data directory, made when there is none.
    pub fn of(directory: &Path) -> io::Result<Self> {
        let file = directory.join("seed");
        if let Ok(bytes) = std::fs::read(&file)
            && let Ok(bytes) = bytes.try_into()
        {
            return Ok(Self(bytes));
        }
        let mut bytes = [0; 32];
        rand::rng().fill_bytes(&mut bytes);
        super::ready::write_private(&file, &bytes)?;
        Ok(Self(bytes))
    }

    /// The identity of this name: always the same keys.
    pub fn identity(
        &self, name: &str, statements: Option<Vec<Statement>>, references: References,
    ) -> Identity {
        let derive = |purpose: &str| {
            let digest =
                Sha256::new().chain_update(self.0).chain_update(purpose).chain_update(name).finalize();
            format!("{digest:X}")
        };
        Identity {
            name: name.to_owned(),
            access_key: format!("AKIA{}", &derive("access")[..16]),
            secret_key: derive("secret")[..40].to_owned(),
            statements,
            references,
        }
    }
}
