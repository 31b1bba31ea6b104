use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::PublishError;

/// Whether the program is there.
///
/// # Errors
/// [`PublishError::MissingTool`] if it is not.
pub(super) fn check(program: &Path) -> Result<(), PublishError> {
    run(program, Command::new(program).arg("-V")).map(drop)
}

/// Writes what makes the file `new` out of the file `old` to a file that was not there.
pub(super) fn make(program: &Path, old: &Path, new: &Path, to: &Path) -> Result<(), PublishError> {
    let mut command = Command::new(program);
    // Quietly; the bytes as they are, compressed or not; without the names of the files, which are nobody's business.
    command.args(["-e", "-q", "-D", "-A", "-s"]);
    command.arg(old).arg(new).arg(to);
    run(program, &mut command)
}

fn run(program: &Path, command: &mut Command) -> Result<(), PublishError> {
    // It would take further arguments from there.
    let command = command.env_remove("XDELTA").stdin(Stdio::null());
    let shown = || program.display().to_string();
    let output = match command.output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(PublishError::MissingTool { program: shown() });
        }
        Err(source) => {
            return Err(PublishError::Io {
                action: "run",
                path: program.to_owned(),
                source,
            });
        }
        Ok(output) => output,
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or("nothing");
    Err(PublishError::FailedTool {
        program: shown(),
        status: output.status.to_string(),
        said: said.escape_debug().take(200).collect(),
    })
}
