//! Reading a body of limited size.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError<E> {
    /// It exceeds the limit.
    #[error("the body has {size} bytes")]
    TooLarge {
        /// Its whole size.
        size: usize,
    },
    /// The connection broke.
    #[error("the body ended early")]
    Broken(#[source] E),
}

/// Reads a body. One that is too large is read to its end and thrown away: whoever is still writing
/// would otherwise see a broken connection and never the answer that says why.
pub async fn read<B>(mut body: B, limit: usize) -> Result<Bytes, ReadError<B::Error>>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let mut size = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(ReadError::Broken)?.into_data() else {
            continue;
        };
        size += data.len();
        if size > limit {
            continue;
        }
        // Most bodies arrive in one piece, which needs no copy.
        if first.is_empty() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            let expected = usize::try_from(body.size_hint().lower()).unwrap_or(0).min(limit);
            rest.reserve(first.len() + data.len() + expected);
            rest.extend_from_slice(&first);
        }
        rest.extend_from_slice(&data);
    }
    match size {
        _ if size > limit => Err(ReadError::TooLarge { size }),
        _ if rest.is_empty() => Ok(first),
        _ => Ok(rest.freeze()),
    }
}
