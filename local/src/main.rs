//! `tintype`: the local stack and the command line.

#[allow(dead_code)]
mod console;
mod iam;
#[allow(dead_code)]
mod lambda;
mod template;

fn main() {}
