/// What a file asked for and did not get, which is no reason to refuse it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Note {
    /// Its colour profile is broken, absurd, or for other pixels than it has. The picture was taken for
    /// what pictures without a profile are.
    ProfileIgnored,
}

impl Note {
    /// A stable name for programs, in kebab case.
    pub fn code(self) -> &'static str {
        match self {
            Self::ProfileIgnored => "profile-ignored",
        }
    }
}
