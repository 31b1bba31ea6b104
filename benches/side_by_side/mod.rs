//! Times several ways to do one thing in turn, so that a machine whose speed drifts is the same for all of them, and
//! prints medians and ratios. It judges nothing.

use std::time::{Duration, Instant};

/// One way to do it, by name.
pub(crate) struct Way<'a> {
    name: String,
    run: Box<dyn FnMut() + 'a>,
    times: Vec<Duration>,
}

impl<'a> Way<'a> {
    /// A way to do it.
    pub(crate) fn new(name: impl Into<String>, run: impl FnMut() + 'a) -> Self {
        Self {
            name: name.into(),
            run: Box::new(run),
            times: Vec::new(),
        }
    }
}

/// Runs all ways in turn, once to warm up and then `rounds` times. The first is what the others are compared with.
pub(crate) fn compare(question: &str, rounds: usize, mut ways: Vec<Way<'_>>) {
    for round in 0..=rounds {
        for way in &mut ways {
            let begin = Instant::now();
            (way.run)();
            if round > 0 {
                way.times.push(begin.elapsed());
            }
        }
    }
    println!("\n{question} ({rounds} rounds)");
    println!(
        "{:<44} {:>9} {:>9} {:>9} {:>7}",
        "", "least", "median", "most", "ratio"
    );
    let first = ways
        .first_mut()
        .map_or(Duration::ZERO, |way| median(&mut way.times));
    for way in &mut ways {
        let median = median(&mut way.times);
        let seconds = |time: Option<&Duration>| time.map_or(0.0, Duration::as_secs_f64);
        println!(
            "{:<44} {:>8.3}s {:>8.3}s {:>8.3}s {:>7.2}",
            way.name,
            seconds(way.times.first()),
            median.as_secs_f64(),
            seconds(way.times.last()),
            median.as_secs_f64() / first.as_secs_f64(),
        );
    }
}

/// How many rounds: `IMAGESTORE_BENCH_ROUNDS`, one when only the benches themselves are tested, otherwise five.
pub(crate) fn rounds() -> usize {
    let asked = std::env::var("IMAGESTORE_BENCH_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok());
    asked.unwrap_or(if is_smoke_test() { 1 } else { 5 })
}

/// Whether `cargo test --benches` runs this only to see that it still works.
pub(crate) fn is_smoke_test() -> bool {
    !std::env::args().any(|argument| argument == "--bench")
}

/// Runs a peer; a failure is a failure of the comparison.
pub(crate) fn peer(command: &str) {
    let status = std::process::Command::new("bash")
        .args(["-o", "pipefail", "-c", command])
        .status()
        .unwrap_or_else(|error| panic!("{command}: {error}"));
    assert!(status.success(), "{command}: {status}");
}

/// Whether a peer is installed; says so when it is not.
pub(crate) fn is_installed(tool: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file()));
    if !found {
        println!("NOT COMPARED: `{tool}` is not installed");
    }
    found
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
