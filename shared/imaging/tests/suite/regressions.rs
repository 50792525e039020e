//! What the fuzzer once found, again.

use std::path::Path;

use imaging::Format;

#[path = "../../fuzz/checks.rs"]
mod checks;

#[test]
fn what_once_broke_something_does_not_do_so_again() {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/regressions");
    let mut replayed = 0;
    for target in found.read_dir().unwrap() {
        let target = target.unwrap();
        for file in target.path().read_dir().unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            match target.file_name().to_str().unwrap() {
                "jpeg" => checks::decode(Format::Jpeg, &bytes),
                "png" => checks::decode(Format::Png, &bytes),
                "webp" => checks::decode(Format::Webp, &bytes),
                "gif" => checks::decode(Format::Gif, &bytes),
                "avif" => checks::decode(Format::Avif, &bytes),
                "heic" => checks::decode(Format::Heic, &bytes),
                "tiff" => checks::decode(Format::Tiff, &bytes),
                "bmp" => checks::decode(Format::Bmp, &bytes),
                "cleaning" => checks::cleaning(&bytes),
                "facts" => checks::facts(&bytes),
                "recipe" => checks::recipe(&bytes),
                other => panic!("there is no target {other}"),
            }
            replayed += 1;
        }
    }
    assert!(replayed > 0);
}
