//! The example `fetch` as a person and as a program use it.

use std::path::PathBuf;
use std::process::{Command, Output};

use imagestore_testkit::Fault;
use serde_json::Value;

use crate::world::{DIRECTORY, REFERENCE, World};

#[test]
fn ends_in_the_status_that_belongs_to_the_error() {
    let cases: [(&str, &str, i32, &str); 7] = [
        ("", "images:nowhere/x", 3, "not-found"),
        ("", "other:x", 2, "invalid-config"),
        ("", "https://images.example/x", 2, "invalid-config"),
        ("/meta/1.0/index-user", REFERENCE, 5, "untrusted"),
        (
            "/images/ubuntu/trusty/amd64/default/20240531_03:49/rootfs.tar.xz",
            REFERENCE,
            5,
            "untrusted",
        ),
        ("close", REFERENCE, 4, "network"),
        ("forbid", REFERENCE, 4, "refused"),
    ];
    for (fault, reference, status, kind) in cases {
        let world = World::now();
        match fault {
            "" => {}
            "close" => world.images.fail_all(Fault::Close),
            "forbid" => world.images.fail_all(Fault::status(403)),
            path => world.images.fail(path, Fault::FlipByte(40)),
        }
        let output = fetch(&world, &["--json", "--output", "out", reference]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{stderr}");
        let last = last_line(&output);
        assert_eq!(
            (&last["event"], &last["kind"]),
            (&"error".into(), &kind.into()),
            "{last}"
        );
        assert!(stderr.starts_with("error: "), "{stderr}");
        assert!(!world.path("out").exists());
    }
}

#[test]
fn tells_a_program_what_is_done() {
    let world = World::now();
    let output = fetch(&world, &["--json", "--output", "out", REFERENCE]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let last = last_line(&output);
    assert_eq!(last["event"], "done");
    assert_eq!(last["image"]["path"], "ubuntu/trusty/amd64/default");
    assert!(last["stale_seconds"].is_null(), "{last}");
    assert_eq!(
        last["hops"][1]["url"],
        format!("https+lxc-images://{}", world.images.authority())
    );
    assert_eq!(last["files"][0]["name"], "meta.tar.xz");
    assert!(world.path("out/rootfs/etc/hostname").is_file());
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let event: Value = serde_json::from_str(line).expect("one object a line");
        assert!(event["event"].is_string(), "{line}");
    }
}

#[test]
fn lists_for_people_and_programs() {
    let world = World::now();
    let output = fetch(&world, &["--list", "images:"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        text.lines().next(),
        Some("remote   lxc-images  Images for tests."),
        "{text}"
    );
    let output = fetch(&world, &["--list", "--json", "images:lxc-images/ubuntu"]);
    assert_eq!(last_line(&output)["entries"], 1);
}

#[test]
fn goes_on_offline_with_what_is_here() {
    let world = World::now();
    let output = fetch(&world, &["--offline", "--quiet", REFERENCE]);
    assert_eq!(
        output.status.code(),
        Some(4),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        fetch(&world, &["--quiet", REFERENCE]).status.code(),
        Some(0)
    );
    world.images.remove(&format!("{DIRECTORY}rootfs.tar.xz"));
    let output = fetch(
        &world,
        &["--offline", "--quiet", "--output", "out", REFERENCE],
    );
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn refuses_a_command_line_it_does_not_know() {
    let world = World::now();
    for arguments in [&["--no-validate", REFERENCE][..], &["--json"], &["a", "b"]] {
        let output = fetch(&world, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

fn fetch(world: &World, arguments: &[&str]) -> Output {
    Command::new(example("fetch"))
        .current_dir(world.path(""))
        .env("HOME", world.path(""))
        .env_remove("XDG_CACHE_HOME")
        .env_remove("XDG_CONFIG_HOME")
        .env("IMAGESTORE_CONFIG", world.write_config())
        .args(["--store", "store"])
        .args(arguments)
        .output()
        .expect("run")
}

/// `cargo test` builds the examples beside the directory of the tests.
pub(crate) fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("the path of this test");
    let profile = tests.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
    let example = profile.join("examples").join(name);
    assert!(
        example.is_file(),
        "{} is not built: run the tests with `cargo test`",
        example.display()
    );
    example
}

fn last_line(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text
        .lines()
        .last()
        .unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_str(last).expect("an object")
}
