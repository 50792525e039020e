//! `tintype`: the local stack and the command line.

mod iam;
mod template;

fn main() {}
