//! `get-image` and `list-images` through the local gateway, beside a function that only says hello.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::binaries::{Binaries, workspace};
use crate::figure::{Figure, Unit};
use crate::picture::photograph;
use crate::samples::Samples;
use crate::stack::Stack;
use crate::{Failure, milliseconds, progress};

const PART: &str = "warm";
/// How many requests are made to each function, one after the other.
const REQUESTS: u64 = 2000;
/// How many of them are not counted.
const UNCOUNTED: u64 = 200;
/// How many ask at once for the throughput, how often, and for how long.
const CONNECTIONS: usize = 8;
const ROUNDS: u64 = 5;
const ROUND: Duration = Duration::from_secs(2);

/// What is put into the project's template: the reference, behind the same authorizer.
const HELLO: &str = "
Resources:

  Hello:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: target/lambda/hello
      Events:
        Api:
          Type: HttpApi
          Properties: { ApiId: !Ref Api, Method: GET, Path: /hello }
";

/// Asks the functions alternately.
pub async fn measure(binaries: &Binaries) -> Result<Vec<Figure>, Failure> {
    let directory = TempDir::with_prefix("benchmark-")?;
    let template = directory.path().join("template.yaml");
    let project = fs::read_to_string(workspace().join("template.yaml"))?;
    if !project.contains("\nResources:\n") {
        return Err("the template has no line `Resources:`".into());
    }
    fs::write(&template, project.replacen("\nResources:\n", HELLO, 1))?;
    let stack = Arc::new(Stack::of(binaries, &template).await?);

    let (image, _) = stack.upload(&photograph(640, 480)?).await?;
    let paths = [Arc::from("/hello"), Arc::from(format!("/v1/images/{image}")), Arc::from("/v1/images")];
    let progress = progress(REQUESTS + 3 * ROUNDS * ROUND.as_secs() * 100);
    let mut figures = latency(&stack, &paths, &progress).await?;
    figures.extend(throughput(&stack, &paths, &progress).await?);
    if let Some(stack) = Arc::into_inner(stack) {
        stack.stop().await?;
    }
    Ok(figures)
}

async fn latency(
    stack: &Stack, paths: &[Arc<str>; 3], progress: &ProgressBar,
) -> Result<Vec<Figure>, Failure> {
    let mut times = [vec![], vec![], vec![]];
    for request in 0..REQUESTS {
        for (path, times) in paths.iter().zip(&mut times) {
            let asked = Instant::now();
            stack.get(path).await?;
            if request >= UNCOUNTED {
                times.push(milliseconds(asked.elapsed()));
            }
        }
        progress.inc(1);
    }
    let [hello, get_image, list_images] = times;
    let mut figures = Vec::new();
    for (name, times) in [("hello", &hello), ("get-image", &get_image), ("list-images", &list_images)] {
        let Some(samples) = Samples::new(times.clone()) else { continue };
        figures.push(Figure::median(PART, format!("{name}: p50"), &samples, Unit::Milliseconds));
        let p99 = samples.quantile(0.99);
        figures.push(Figure::new(PART, format!("{name}: p99"), p99, Unit::Milliseconds));
    }
    let ratio = Figure::ratio(PART, "get-image / hello: p50", &get_image, &hello);
    figures.extend(ratio.map(|ratio| ratio.at_most(3.0)));
    figures.extend(Figure::ratio(PART, "list-images / hello: p50", &list_images, &hello));
    Ok(figures)
}

async fn throughput(
    stack: &Arc<Stack>, paths: &[Arc<str>; 3], progress: &ProgressBar,
) -> Result<Vec<Figure>, Failure> {
    let mut rates = [vec![], vec![], vec![]];
    for round in 0..=ROUNDS {
        for (path, rates) in paths.iter().zip(&mut rates) {
            let rate = requests_per_second(stack, path).await?;
            // The first starts more instances.
            if round > 0 {
                rates.push(rate);
                progress.inc(ROUND.as_secs() * 100);
            }
        }
    }
    let named = ["hello", "get-image", "list-images"].into_iter().zip(rates);
    let figure = |(name, rates)| {
        let name = format!("{name}: throughput, {CONNECTIONS} connections");
        Some(Figure::median(PART, name, &Samples::new(rates)?, Unit::PerSecond))
    };
    Ok(named.filter_map(figure).collect())
}

async fn requests_per_second(stack: &Arc<Stack>, path: &Arc<str>) -> Result<f64, Failure> {
    let started = Instant::now();
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (stack, path) = (Arc::clone(stack), Arc::clone(path));
        connections.spawn(async move {
            let mut answered = 0_u32;
            while started.elapsed() < ROUND {
                stack.get(&path).await?;
                answered += 1;
            }
            Ok::<_, Failure>(answered)
        });
    }
    let mut answered = 0;
    while let Some(connection) = connections.join_next().await {
        answered += connection??;
    }
    Ok(f64::from(answered) / started.elapsed().as_secs_f64())
}
