//! `tintype`: the local stack and the command line.

#[allow(dead_code)]
mod console;
#[allow(dead_code)]
mod gateway;
mod iam;
#[allow(dead_code)]
mod lambda;
mod template;

fn main() {}
