//! `tintype`: the local stack and the command line.

#[allow(dead_code)]
mod aws_json;
#[allow(dead_code)]
mod dynamodb;
#[allow(dead_code)]
mod faults;
mod iam;
#[allow(dead_code)]
mod sqs;
mod template;

fn main() {}
