//! Plans an upgrade from a system-image index, as a phone would.
//!
//! ```text
//! cargo run --example plan -- --index index.json --build 261
//! cargo run --example plan -- --index index.json --build 261 --device-phase 22 --filter delta --json
//! cargo run --example plan -- --phase ubports-touch/15.04/stable 261 0123456789abcdef
//! ```
//!
//! The first explains the plan to a person, the second prints it as one JSON object, the third
//! prints the percentage of a device. The index is read as it is: this shows how it is planned, not
//! whether it is to be trusted.

use std::path::PathBuf;
use std::process::ExitCode;

use imagestore_systemimage::{Filter, Index, Plan, Request, phase};
use lexopt::prelude::*;
use serde_json::json;

fn main() -> ExitCode {
    match run() {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let said = error.to_string();
            eprintln!("error: {said}");
            let mut cause = error.source();
            // The parser of arguments tells its cause in its message already.
            while let Some(error) = cause.filter(|cause| !said.contains(&cause.to_string())) {
                eprintln!("caused by: {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<String, Box<dyn std::error::Error>> {
    match Arguments::parse()? {
        Arguments::Help => Ok(USAGE.to_owned()),
        Arguments::Phase {
            channel,
            target,
            machine_id,
        } => Ok(phase(&channel, target, &machine_id).to_string()),
        Arguments::Plan {
            index,
            request,
            shown,
        } => {
            let bytes = std::fs::read(&index)
                .map_err(|error| format!("cannot read {}: {error}", index.display()))?;
            let index = match Index::parse(&bytes) {
                Err(error) => {
                    if let Some(mut given) = shown {
                        given["error"] = json!(error.to_string());
                        println!("{given}");
                    }
                    return Err(error.into());
                }
                Ok(index) => index,
            };
            let plan = Plan::new(&index, request)?;
            match shown {
                None => {
                    for skipped in index.skipped() {
                        eprintln!("{skipped}");
                    }
                    Ok(plan.to_string())
                }
                Some(given) => Ok(as_json(&index, &plan, given).to_string()),
            }
        }
    }
}

/// The object of the planning vectors.
fn as_json(index: &Index, plan: &Plan<'_>, given: serde_json::Value) -> serde_json::Value {
    let mut candidates: Vec<_> = plan
        .candidates()
        .iter()
        .map(|candidate| {
            let builds = candidate.path.iter().map(|place| &index.builds()[*place]);
            json!({
                "path": builds.map(ToString::to_string).collect::<Vec<_>>(),
                "score": candidate.score,
                "target_phase": candidate.target_phase,
            })
        })
        .collect();
    // Between equal scores by name, so that two lists can be compared.
    candidates.sort_by_cached_key(|candidate| {
        let path = candidate["path"].as_array();
        let path: Vec<_> = path
            .into_iter()
            .flatten()
            .map(ToString::to_string)
            .collect();
        (candidate["score"].as_u64(), path)
    });
    let downloads: Vec<_> = plan
        .downloads()
        .iter()
        .map(|it| json!({"image": it.image, "order": it.file.order, "path": it.file.path}))
        .collect();
    let order: Vec<_> = plan
        .apply_order()
        .iter()
        .map(|it| it.file.path.clone())
        .collect();
    let mut object = given;
    object["candidates"] = json!(candidates);
    object["candidate_count"] = json!(plan.candidate_count());
    object["winner"] = json!(plan.winner().map(ToString::to_string).collect::<Vec<_>>());
    object["downloads"] = json!(downloads);
    object["apply_order"] = json!(order);
    object["format_system"] = json!(plan.formats_system());
    object["reason"] = json!(plan.outcome().to_string());
    object
}

enum Arguments {
    Help,
    Phase {
        channel: String,
        target: u32,
        machine_id: String,
    },
    Plan {
        index: PathBuf,
        request: Request,
        /// What was asked for, if the answer is to be JSON.
        shown: Option<serde_json::Value>,
    },
}

impl Arguments {
    fn parse() -> Result<Self, Box<dyn std::error::Error>> {
        let mut parser = lexopt::Parser::from_env();
        let (mut index, mut build, mut phase) = (None, None, 0_u32);
        let (mut filter, mut maximum, mut as_json) = (None::<String>, None::<i64>, false);
        while let Some(argument) = parser.next()? {
            match argument {
                Long("index") => index = Some(PathBuf::from(parser.value()?)),
                Long("build") => build = Some(parser.value()?.parse::<u32>()?),
                Long("device-phase") => phase = parser.value()?.parse()?,
                Long("filter") => filter = Some(parser.value()?.string()?),
                Long("max") => maximum = Some(parser.value()?.parse()?),
                Long("json") => as_json = true,
                Long("phase") => {
                    return Ok(Self::Phase {
                        channel: parser.value()?.string()?,
                        target: parser.value()?.parse()?,
                        machine_id: parser.value()?.string()?,
                    });
                }
                Long("help") | Short('h') => return Ok(Self::Help),
                other => return Err(other.unexpected().into()),
            }
        }
        let index = index.ok_or("which index? give --index FILE")?;
        let build = build.ok_or("from which build? give --build N")?;
        let chosen = match filter.as_deref() {
            None => None,
            Some("delta") => Some(Filter::Delta),
            Some("full") => Some(Filter::Full),
            Some(other) => {
                return Err(format!("no such filter: `{other}`; use full or delta").into());
            }
        };
        let request = Request::new(build)
            .with_device_phase(phase)
            .with_filter(chosen)
            .with_maximum(maximum);
        let shown = as_json.then(|| {
            let name = index.file_name().unwrap_or(index.as_os_str());
            let mut given = json!({
                "index": name.to_string_lossy(),
                "build": build,
                "device_phase": phase,
            });
            if let Some(filter) = filter {
                given["filter"] = json!(filter);
            }
            if let Some(maximum) = maximum {
                given["maximage"] = json!(maximum);
            }
            given
        });
        Ok(Self::Plan {
            index,
            request,
            shown,
        })
    }
}

const USAGE: &str = "\
plan --index FILE --build N [--device-phase P] [--filter full|delta] [--max VERSION] [--json]
plan --phase CHANNEL TARGET MACHINE_ID";
