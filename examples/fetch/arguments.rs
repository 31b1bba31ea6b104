use std::ffi::OsString;
use std::path::PathBuf;

/// What the command line asks for.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) config: Option<PathBuf>,
    pub(crate) store: Option<PathBuf>,
    pub(crate) output: Option<PathBuf>,
    pub(crate) list: bool,
    pub(crate) offline: bool,
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    pub(crate) reference: Option<String>,
}

pub(crate) enum Command {
    Demo,
    Help,
    Run(Arguments),
}

/// Reads the command line. An error is a sentence for the user.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    use lexopt::prelude::*;

    let mut parsed = Arguments::default();
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut any = false;
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        any = true;
        match argument {
            Long("config") => parsed.config = Some(path(&mut parser)?),
            Long("store") => parsed.store = Some(path(&mut parser)?),
            Long("output") => parsed.output = Some(path(&mut parser)?),
            Long("list") => parsed.list = true,
            Long("offline") => parsed.offline = true,
            Long("json") => parsed.json = true,
            Long("quiet") => parsed.quiet = true,
            Long("help") | Short('h') => return Ok(Command::Help),
            Value(reference) if parsed.reference.is_none() => {
                parsed.reference = Some(reference.string().map_err(|error| error.to_string())?);
            }
            other => return Err(other.unexpected().to_string()),
        }
    }
    if parsed.list && parsed.output.is_some() {
        return Err("--list and --output exclude each other".to_owned());
    }
    match (any, &parsed.reference) {
        (false, _) => Ok(Command::Demo),
        (true, None) if !parsed.list => {
            Err("a reference is missing, such as images:lxc-images/ubuntu/trusty".to_owned())
        }
        _ => Ok(Command::Run(parsed)),
    }
}

fn path(parser: &mut lexopt::Parser) -> Result<PathBuf, String> {
    parser
        .value()
        .map(PathBuf::from)
        .map_err(|error| error.to_string())
}

pub(crate) const HELP: &str = "\
Finds, verifies, downloads, keeps and unpacks an operating-system image.

usage: fetch [OPTIONS] REFERENCE
       fetch                     a demonstration on this machine, without any other

  --config FILE   remotes.toml (default: $IMAGESTORE_CONFIG, then the XDG configuration directory's
                  imagestore/remotes.toml, then the built-in defaults)
  --store DIR     where images are kept (default: the XDG cache directory's imagestore)
  --output DIR    unpack into DIR/metadata and DIR/rootfs; DIR must not exist or be empty
  --list          list what lies below REFERENCE instead; without REFERENCE, the remotes
  --offline       never touch the network
  --json          one JSON object a line on standard output
  --quiet         no progress

exit status: 0 done, 2 usage or configuration, 3 not found, 4 network or not allowed, 5 untrusted,
             6 local disk, 7 bad index or image, 8 expired or rolled back, 9 unsupported,
             130 interrupted
";
