//! scratch
use imaging::{Budget, Limits, Overlay, Recipe};
use std::io::BufRead as _;
use std::time::{Duration, Instant};
fn main() {
    let mark = std::env::args().nth(1).map(|p| {
        let b = std::fs::read(p).unwrap();
        Overlay::decode(
            &b,
            &Limits::default(),
            &Budget { deadline: Instant::now() + Duration::from_secs(60), memory: 1 << 30 },
        )
        .unwrap()
    });
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let parts: Vec<_> = line.split(' ').collect();
        let budget = Budget { deadline: Instant::now() + Duration::from_secs(60), memory: 2 << 30 };
        let recipe: Recipe = parts[2].parse().unwrap();
        if let Some((w, h)) =
            parts[0].split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)))
        {
            let header = imaging::Header {
                format: imaging::Format::Png,
                width: w,
                height: h,
                orientation: imaging::Orientation::Upright,
                frames: 1,
                alpha: false,
                largest_frame: 1,
            };
            let plan = recipe.plan(&header);
            println!("{} {}", plan.width, plan.height);
            continue;
        }
        let bytes = std::fs::read(parts[0]).unwrap();
        let header = imaging::probe(&bytes).unwrap();
        let start = Instant::now();
        let plan = recipe.plan(&header);
        let r = imaging::render_marked(&bytes, &header, &[plan], mark.as_ref(), &budget).unwrap();
        std::fs::write(parts[1], &r.pictures[0].bytes).unwrap();
        println!(
            "{} {} {} {:.1}",
            r.pictures[0].width,
            r.pictures[0].height,
            r.pictures[0].bytes.len(),
            start.elapsed().as_secs_f64() * 1000.0
        );
    }
}
