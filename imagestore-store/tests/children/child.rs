//! A process of its own that works on a store: this test binary, started again.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use imagestore_core::freshness::{Mark, Memory};
use imagestore_core::{Body, Error, Get, Result, Transport, async_trait};
use imagestore_store::{PruneOptions, Store, faults};
use imagestore_verify::{Keyring, Sha256};
use rustix::process::{Signal, getpid, kill_process};
use tempfile::TempDir;

use crate::remote::Remote;
use crate::scene::*;

/// What a child does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Fetch,
    Prune,
    Remember,
}

/// What becomes of a step on the disk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spoil {
    /// The process is killed before it.
    Kill(usize),
    /// It fails with this error number.
    Fail(usize, i32),
    /// All of them fail with this error number.
    FailAll(i32),
}

/// A store and a remote in a directory that children share.
pub(crate) struct Child {
    directory: TempDir,
    pub(crate) scene: Scene,
}

impl Child {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let scene = Scene::new();
        for (name, bytes) in [
            ("rootfs.tar.xz", &scene.rootfs),
            ("meta.tar.xz", &scene.meta),
        ] {
            fs::write(directory.path().join(name), bytes).expect("written");
            let asc = sign(key(), bytes);
            fs::write(directory.path().join(format!("{name}.asc")), asc).expect("written");
        }
        fs::write(directory.path().join("key.asc"), key().certificate()).expect("written");
        Self { directory, scene }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(&self.root()).expect("the store opens")
    }

    /// What children asked the remote for.
    pub(crate) fn asked(&self) -> Vec<String> {
        let log = fs::read_to_string(self.directory.path().join("asked")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// The steps on the disk of the children that were not spoiled, as verb and place.
    pub(crate) fn steps(&self) -> Vec<(String, PathBuf)> {
        let log = fs::read_to_string(self.directory.path().join("steps")).expect("a log");
        let lines = log
            .lines()
            .map(|line| line.split_once(' ').expect("verb and place"));
        lines
            .map(|(verb, place)| (verb.to_owned(), PathBuf::from(place)))
            .collect()
    }

    /// A store as it was before any child.
    pub(crate) fn start_over(&self) {
        let _ = fs::remove_dir_all(self.root());
        let _ = fs::remove_file(self.directory.path().join("asked"));
    }

    pub(crate) fn start(&self, task: Task) -> process::Child {
        self.command(task).spawn().expect("a child")
    }

    pub(crate) fn run(&self, task: Task, spoil: Spoil) -> process::Output {
        let text = match spoil {
            Spoil::Kill(step) => format!("{step}"),
            Spoil::Fail(step, errno) => format!("{step} {errno}"),
            Spoil::FailAll(errno) => format!("all {errno}"),
        };
        self.command(task)
            .env("IMAGESTORE_SPOIL", text)
            .output()
            .expect("a child")
    }

    fn command(&self, task: Task) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command
            .args([
                "--exact",
                "child::works_as_a_child_when_asked_to",
                "--nocapture",
            ])
            .env("IMAGESTORE_CHILD", self.directory.path())
            // What a child that is killed leaves behind goes with the rest.
            .env("TMPDIR", self.directory.path())
            .env("IMAGESTORE_TASK", format!("{task:?}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// The entry of the child; in a run of the tests it has nothing to do but see that it is not one.
#[test]
fn works_as_a_child_when_asked_to() {
    let Some(directory) = std::env::var_os("IMAGESTORE_CHILD").map(PathBuf::from) else {
        assert_eq!(std::env::var_os("IMAGESTORE_TASK"), None);
        return;
    };
    let task = std::env::var("IMAGESTORE_TASK").expect("a task");
    // It has a store of its own, whose steps do not count.
    let scene = Scene::new();
    if let Ok(text) = std::env::var("IMAGESTORE_SPOIL") {
        spoil(&text);
    } else {
        trace(directory.join("steps"));
    }
    if let Err(error) = work(&directory, &scene, &task) {
        // The harness would say more than is wanted here.
        println!("{}: {error}", error.kind());
        process::exit(3);
    }
}

fn work(directory: &Path, scene: &Scene, task: &str) -> Result<()> {
    let store = Store::open(&directory.join("store"))?;
    if task == "Remember" {
        for number in 1..4 {
            let mut mark = Mark::default().with_counter("serial", number);
            mark.digest = Some(Sha256::of(&number.to_be_bytes()));
            store.memory().advance("remote", "/index", &mark)?;
        }
        return Ok(());
    }
    let read = |name: &str| fs::read(directory.join(name)).expect("a file of the remote");
    let remote = Remote::default();
    for (url, name) in [(ROOTFS, "rootfs.tar.xz"), (META, "meta.tar.xz")] {
        remote.put(url, read(name));
        remote.put(&format!("{url}.asc"), read(&format!("{name}.asc")));
    }
    let log = directory.join("asked");
    let context = context(Arc::new(Logged { remote, log }));
    let keys = Keyring::from_bytes(&read("key.asc")).expect("the key");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let stored = runtime.block_on(store.fetch(&context, &scene.config, &scene.image_by(&keys)))?;
    assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), scene.rootfs);
    drop(stored);
    if task == "Prune" {
        store.prune(&PruneOptions::default().with_at(at(NOW + 11 * 86_400)))?;
    }
    Ok(())
}

fn spoil(text: &str) {
    let (step, errno) = text.split_once(' ').unwrap_or((text, ""));
    let step: Option<usize> = (step != "all").then(|| step.parse().expect("a step"));
    let errno: Option<i32> = (!errno.is_empty()).then(|| errno.parse().expect("an error number"));
    let passed = AtomicUsize::new(0);
    faults::inject(move |_, _| {
        let now = passed.fetch_add(1, Ordering::SeqCst);
        if step.is_some_and(|step| step != now) {
            return Ok(());
        }
        match errno {
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
            None => {
                kill_process(getpid(), Signal::KILL)?;
                unreachable!("killed")
            }
        }
    });
}

/// Writes every step down, for [`Child::steps`].
fn trace(log: PathBuf) {
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .open(log)
        .expect("a log");
    // In one call, so that the lines of threads do not mix.
    faults::inject(move |step, place| {
        (&log).write_all(format!("{step} {}\n", place.display()).as_bytes())
    });
}

/// A remote that writes down, for other processes to read, what it was asked for.
#[derive(Debug)]
struct Logged {
    remote: Remote,
    log: PathBuf,
}

#[async_trait]
impl Transport for Logged {
    async fn get(&self, request: Get<'_>) -> Result<Body> {
        let log = OpenOptions::new().append(true).create(true).open(&self.log);
        let written =
            log.and_then(|mut log| log.write_all(format!("{}\n", request.url).as_bytes()));
        written.map_err(|cause| {
            Error::new(imagestore_core::ErrorKind::Storage, "no log").with_source(cause)
        })?;
        self.remote.get(request).await
    }
}
