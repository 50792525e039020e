//! The boundary around code that reads hostile bytes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::Reject;

/// Runs one call of a codec, and turns a panic in it into a reject of this one file.
///
/// Codecs are large, old formats are larger, and an index out of bounds in one of them must not take
/// down the process that serves other pictures. Nothing a codec touches outlives the call: on a panic
/// its buffers are dropped with it, which is what makes asserting unwind safety true.
///
/// Needs `panic = "unwind"`, which the workspace's profiles state. It cannot contain C code, which does
/// not unwind; see `libwebp` for what keeps that in its bounds.
pub(crate) fn guard<T>(call: impl FnOnce() -> Result<T, Reject>) -> Result<T, Reject> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or(Err(Reject::Undecodable("its data makes no sense")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panicking_codec_is_one_rejected_file() {
        let rejected = guard::<()>(|| panic!("index out of bounds")).unwrap_err();
        assert_eq!(rejected.code(), "undecodable");
    }
}
