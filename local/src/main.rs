//! `tintype`: the local stack and the command line.

#[allow(dead_code)]
mod iam;
#[allow(dead_code)]
mod template;
#[allow(dead_code)]
mod triggers;

fn main() {}
