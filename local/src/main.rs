//! `tintype`: the local stack and the command line.

mod iam;
#[allow(dead_code)]
mod s3;
mod template;

fn main() {}
