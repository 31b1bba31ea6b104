//! Fetches an image: `cargo run --release --example fetch -- [OPTIONS] REFERENCE`.
//!
//! Without arguments it is a demonstration of the whole way on this machine alone: see `demo.rs`.

mod arguments;
mod demo;
mod report;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use imagestore::http::{HttpOptions, Proxy};
use imagestore::{Config, Error, ErrorKind, ImageRef, ImageStore, Network, Result, UnpackOptions};

use crate::arguments::{Arguments, Command};
use crate::report::Report;

fn main() -> ExitCode {
    let command = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(message) => {
            let json = std::env::args().any(|argument| argument == "--json");
            let error = Error::new(ErrorKind::InvalidConfig, message).with_remedy("see --help");
            Report::new(json, true).failed(&error);
            return exit_code(&error);
        }
    };
    let (report, outcome) = match command {
        Command::Help => {
            print!("{}", arguments::HELP);
            return ExitCode::SUCCESS;
        }
        Command::Demo => {
            let report = Report::new(false, false);
            let outcome = block_on(demo::run(report.clone()));
            (report, outcome)
        }
        Command::Run(arguments) => {
            let report = Report::new(arguments.json, arguments.quiet);
            let outcome = block_on(run(arguments, report.clone()));
            (report, outcome)
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report.failed(&error);
            exit_code(&error)
        }
    }
}

async fn run(arguments: Arguments, report: Report) -> Result<()> {
    let images = open(&arguments, &report)?;
    let Some(reference) = &arguments.reference else {
        report.remotes(&images);
        return Ok(());
    };
    let reference: ImageRef = reference.parse()?;
    if arguments.list {
        let listed = images.list(&reference).await?;
        report.listed(&listed);
        return Ok(());
    }
    let fetched = images.fetch(&reference).await?;
    let image = &fetched.image;
    report.found(&fetched.hops, image.id());
    let unpacked = match &arguments.output {
        Some(target) => Some(
            images
                .unpack(image, target, &UnpackOptions::default())
                .await?,
        ),
        None => None,
    };
    report.done(image, &fetched.hops, fetched.stale, unpacked.as_ref());
    Ok(())
}

fn open(arguments: &Arguments, report: &Report) -> Result<ImageStore> {
    let mut http = HttpOptions::default();
    http.proxy = Proxy::FromEnvironment;
    let mut builder = ImageStore::builder()
        .with_http(http)
        .with_progress(Arc::new(report.clone()));
    if let Some(file) = &arguments.config {
        builder = builder.with_config(Config::open(file)?);
    }
    if let Some(directory) = &arguments.store {
        builder = builder.with_store_dir(directory);
    }
    if arguments.offline {
        builder = builder.with_network(Network::Offline);
    }
    builder.build()
}

/// Runs until it is done or the user interrupts. What arrived until then is kept for the next time.
fn block_on(work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Error::new(ErrorKind::Storage, "no runtime can be started").with_source(error)
        })?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = work => outcome,
            signal = tokio::signal::ctrl_c() => Err(match signal {
                Ok(()) => Error::new(ErrorKind::Canceled, "interrupted"),
                Err(error) => Error::new(ErrorKind::Canceled, "no signals can be received").with_source(error),
            }),
        }
    });
    // An unpacking that was interrupted sees its flag and removes what it did; wait for that.
    runtime.shutdown_timeout(Duration::from_secs(30));
    outcome
}

fn exit_code(error: &Error) -> ExitCode {
    ExitCode::from(match error.kind() {
        ErrorKind::InvalidConfig => 2,
        ErrorKind::NotFound => 3,
        ErrorKind::Network | ErrorKind::Refused => 4,
        ErrorKind::Untrusted => 5,
        ErrorKind::Storage => 6,
        ErrorKind::Loop | ErrorKind::Malformed | ErrorKind::TooLarge | ErrorKind::Unsafe => 7,
        ErrorKind::Expired | ErrorKind::RolledBack => 8,
        ErrorKind::Unsupported => 9,
        ErrorKind::Canceled => 130,
        _ => 1,
    })
}
