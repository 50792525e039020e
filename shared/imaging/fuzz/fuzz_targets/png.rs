#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    checks::let_panics_be_caught();
    checks::decode(imaging::Format::Png, bytes);
});
