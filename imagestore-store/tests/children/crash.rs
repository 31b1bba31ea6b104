//! Processes that are killed, or whose disk breaks, at every step that changes the disk.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use rustix::io::Errno;

use crate::child::{Child, Spoil, Task};
use crate::scene::*;

#[test]
fn a_fetch_killed_at_any_step_leaves_a_whole_store() {
    let child = Child::new();
    let steps = kill_at_every_step(&child, Task::Fetch, |child, step| {
        let report = child.store().verify().expect("verifies");
        assert!(
            report.damaged.is_empty(),
            "step {step}: {:?}",
            report.damaged
        );
        finish(child, step);
    });
    assert!((40..400).contains(&steps), "{steps} steps");
}

#[test]
fn a_prune_killed_at_any_step_leaves_a_whole_store() {
    let child = Child::new();
    let steps = kill_at_every_step(&child, Task::Prune, |child, step| {
        let report = child.store().verify().expect("verifies");
        assert!(
            report.damaged.is_empty(),
            "step {step}: {:?}",
            report.damaged
        );
        assert!(report.whole <= 1);
        finish(child, step);
    });
    assert!((50..400).contains(&steps), "{steps} steps");
}

#[test]
fn a_memory_killed_at_any_step_keeps_the_old_or_the_new() {
    let child = Child::new();
    let mut highest = 0;
    kill_at_every_step(&child, Task::Remember, |child, step| {
        let marks = child.store().memory().marks("remote").expect("whole");
        let seen = marks
            .get("/index")
            .map_or(0, |mark| mark.counters["serial"]);
        assert!(
            seen >= highest && seen <= 3,
            "step {step}: {seen} after {highest}"
        );
        highest = seen;
    });
    assert_eq!(highest, 3);
}

#[test]
fn a_disk_that_fails_at_any_step_ends_in_an_error_and_a_whole_store() {
    let child = Child::new();
    for errno in [Errno::NOSPC, Errno::IO] {
        let mut step = 0;
        loop {
            child.start_over();
            let output = child.run(Task::Fetch, Spoil::Fail(step, errno.raw_os_error()));
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            match output.status.code() {
                Some(0) => {}
                Some(3) => assert!(text.contains("\nstorage: cannot "), "step {step}: {text}"),
                other => panic!("step {step}: {other:?} {output:?}"),
            }
            assert!(
                child.store().verify().expect("verifies").damaged.is_empty(),
                "step {step}"
            );
            // The last steps remove what nobody needs; an error there is no error of the fetch.
            if output.status.success() && step > 40 {
                break;
            }
            finish(&child, step);
            step += 1;
        }
        assert!(step > 40, "{step} steps");
    }
}

#[test]
fn a_store_that_cannot_be_written_to_gives_what_is_there() {
    let child = Child::new();
    let output = child
        .start(Task::Fetch)
        .wait_with_output()
        .expect("a child");
    assert!(output.status.success(), "{output:?}");
    let asked = child.asked();
    let read_only = Spoil::FailAll(Errno::ROFS.raw_os_error());
    let output = child.run(Task::Fetch, read_only);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(child.asked(), asked);
    child.start_over();
    let output = child.run(Task::Fetch, read_only);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let told = "storage: cannot create, the file system is mounted read-only: ";
    let remedy = "; mount it writable, or name another directory for the store\n";
    assert!(text.contains(told) && text.ends_with(remedy), "{text}");
}

#[test]
fn nothing_is_renamed_before_it_is_on_the_disk_and_no_success_told_before_the_names_are() {
    let child = Child::new();
    let output = child
        .start(Task::Fetch)
        .wait_with_output()
        .expect("a child");
    assert!(output.status.success(), "{output:?}");
    let steps = child.steps();
    let root = child.root().canonicalize().expect("a path");
    let last = |verb: &str, place: &Path| {
        steps
            .iter()
            .rposition(|(found, at)| found == verb && at == place)
    };
    let mut renamed = 0;
    for (at, (verb, place)) in steps.iter().enumerate() {
        let kept = !place.starts_with(root.join("trash"));
        if verb != "rename" || !kept || place.file_name().is_some_and(|name| name.len() == 64) {
            continue;
        }
        // A temporary file is on the disk under the name it is about to get.
        let name = place
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name");
        let own = name
            .strip_prefix('.')
            .and_then(|name| Some(name.rsplit_once('.')?.0));
        let synced = steps[..at].iter().rposition(|(found, synced)| {
            found == "fsync" && *synced == place.with_file_name(own.unwrap_or(name))
        });
        let written = steps[..at]
            .iter()
            .rposition(|(found, at)| found == "write" && at == place);
        assert!(
            synced.is_some() && synced > written,
            "{place:?} is renamed at {at}: {steps:?}"
        );
        renamed += 1;
    }
    // Two files, two signatures, two notes about parts, the manifest, the format.
    assert_eq!(renamed, 8);
    let key = steps
        .iter()
        .rfind(|(verb, _)| verb == "rename")
        .expect("published")
        .1
        .clone();
    assert_eq!(key.parent(), Some(&*root.join("staging")));
    let published = last("rename", &key).expect("published");
    for directory in [key.join("files"), key.join("signatures"), key.clone()] {
        let synced = last("fsync", &directory).expect("synced");
        let changed = steps
            .iter()
            .rposition(|(verb, place)| verb == "rename" && place.parent() == Some(&*directory));
        assert!(
            synced < published && Some(synced) > changed,
            "{directory:?}"
        );
    }
    for name in ["images", "staging"] {
        assert!(
            last("fsync", &root.join(name)).expect(name) > published,
            "{name}"
        );
    }
}

/// Runs the task again and again, killed one step later each time, until it ends by itself.
fn kill_at_every_step(child: &Child, task: Task, check: impl FnMut(&Child, usize)) -> usize {
    let mut check = check;
    for step in 0..400 {
        child.start_over();
        let output = child.run(task, Spoil::Kill(step));
        if output.status.success() {
            return step;
        }
        assert_eq!(output.status.signal(), Some(9), "step {step}: {output:?}");
        check(child, step);
    }
    panic!("{task:?} does not come to an end");
}

/// The next fetch brings the image, whatever was left.
fn finish(child: &Child, step: usize) {
    let scene = &child.scene;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let stored = runtime
        .block_on(
            child
                .store()
                .fetch(&scene.context, &scene.config, &scene.image()),
        )
        .unwrap_or_else(|error| panic!("step {step}: {error}"));
    assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), scene.rootfs);
    let mut files = Vec::new();
    walk(&child.root().join("staging"), &mut files);
    assert!(files.is_empty(), "step {step}: {files:?}");
}
