//! `tintype`: the local stack and the command line.

#[allow(dead_code)]
mod aws_json;
#[allow(dead_code, unused_imports)]
mod dynamodb;
#[allow(dead_code)]
mod faults;
mod iam;
#[allow(dead_code, unused_imports)]
mod sqs;
mod template;

fn main() {}
