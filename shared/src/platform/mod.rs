//! What a function stands on when it runs.

mod answer;
mod batch;
mod clients;
mod edit;
mod environment;
mod issuers;
mod limiter;
mod random;
mod recall;
mod serve;
mod stream;
mod telemetry;

pub use answer::answer;
pub use batch::{MessageError, each_message, queue_messages};
pub use edit::{Edit, edit_once};
pub use environment::{Environment, InvalidEnvironment};
pub use issuers::{FetchDocument, Issuers, Web};
pub use random::{SystemClock, SystemRandom};
pub use recall::recall;
pub use serve::{serve, serve_or_answer, serve_write};
pub use stream::{each_record, stream_records};
pub use telemetry::chain;
