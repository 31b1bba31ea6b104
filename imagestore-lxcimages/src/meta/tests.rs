use super::*;

fn metadata(
    members: &[(&str, &str)],
    mode: Mode,
    compat: Option<u32>,
) -> Result<Metadata, ParseError> {
    Metadata::from_members(members.iter().copied(), mode, compat)
}

fn user(members: &[(&str, &str)]) -> Metadata {
    let config = [("config", "lxc.arch = x86_64\n")];
    let members: Vec<_> = config.iter().chain(members).copied().collect();
    metadata(&members, Mode::User, None).expect("valid")
}

fn arch(members: &[(&str, &str)], mode: Mode, compat: Option<u32>) -> String {
    let metadata = metadata(members, mode, compat).expect("a config");
    String::from_utf8_lossy(&metadata.config()[0].value).into_owned()
}

#[test]
fn the_suffix_of_the_mode_goes_before_that_of_the_level() {
    let all = [
        ("config", "lxc.arch = plain"),
        ("config.4", "lxc.arch = plain4"),
        ("config-user", "lxc.arch = user"),
        ("config-user.4", "lxc.arch = user4"),
    ];
    for (mode, compat, wanted) in [
        (Mode::User, None, "user"),
        (Mode::User, Some(4), "user4"),
        (Mode::User, Some(5), "user"),
        (Mode::User, Some(3), "user"),
        (Mode::System, None, "plain"),
        (Mode::System, Some(4), "plain4"),
        (Mode::System, Some(7), "plain"),
    ] {
        assert_eq!(arch(&all, mode, compat), wanted, "{mode} {compat:?}");
    }
    // `config.4` does not count beside `config-user`.
    let without = [all[0], all[1], all[2]];
    assert_eq!(arch(&without, Mode::User, Some(4)), "user");
    // `config-user.4` does not count without `config-user`.
    let lone = [all[0], all[3]];
    assert_eq!(arch(&lone, Mode::User, Some(4)), "plain");
    let only_level = [all[1]];
    assert_eq!(arch(&only_level, Mode::User, Some(4)), "plain4");
}

#[test]
fn an_image_without_a_config_for_the_mode_is_defective() {
    for members in [
        &[("config-system", "lxc.arch = x")][..],
        &[("config-user.4", "lxc.arch = x")],
        &[],
    ] {
        let error = metadata(members, Mode::User, Some(4)).expect_err("no config");
        assert_eq!(error, ParseError::MissingConfig { mode: "user" });
        assert_eq!(
            error.to_string(),
            "the metadata tarball has no container config for mode `user`"
        );
    }
}

#[test]
fn takes_names_with_and_without_dot_slash_and_ignores_others() {
    let members = [
        ("./", ""),
        ("./config", "lxc.arch = x86_64"),
        ("./metadata.yaml", "x"),
        ("sub/config", "lxc.arch = no"),
        ("./expiry", "0"),
        ("config.x", "lxc"),
        ("configuser", "lxc"),
        ("config-root", "lxc"),
    ];
    let metadata = metadata(&members, Mode::User, None).expect("valid");
    assert_eq!(metadata.config().len(), 1);
    assert_eq!(*metadata.expiry(), Expiry::Never);
    let strange: [(&[u8], &[u8]); 2] = [(b"\xff", b""), (b"config", b"lxc.arch = x")];
    assert!(Metadata::from_members(strange, Mode::User, None).is_ok());
}

#[test]
fn refuses_members_that_leave_their_place_or_come_twice() {
    for name in ["../config", "/config", "a/../../config", "./..", "x/.."] {
        let error =
            metadata(&[("config", "lxc.arch = x"), (name, "")], Mode::User, None).expect_err(name);
        assert_eq!(
            error,
            ParseError::MemberName {
                name: name.to_owned()
            }
        );
        assert_eq!(error.kind(), imagestore_core::ErrorKind::Unsafe);
    }
    let twice = [("config", "lxc.arch = x"), ("./config", "lxc.arch = y")];
    let error = metadata(&twice, Mode::User, None).expect_err("twice");
    assert_eq!(
        error.to_string(),
        "the metadata tarball holds `config` twice"
    );
}

#[test]
fn lists_templates_and_excludes_without_blank_lines() {
    let metadata = user(&[
        ("templates", "/etc/hostname\r\n\n/etc/hosts"),
        ("excludes-user", "./dev/null\n \n./dev/a b\n"),
    ]);
    assert_eq!(
        metadata.templates(),
        [b"/etc/hostname".to_vec(), b"/etc/hosts".to_vec()]
    );
    assert_eq!(
        metadata.excludes(),
        [b"./dev/null".to_vec(), b"./dev/a b".to_vec()]
    );
    // What a server writes when there is nothing to exclude.
    assert!(user(&[("excludes-user", "\n")]).excludes().is_empty());
    assert!(user(&[]).templates().is_empty());
}

#[test]
fn refuses_templates_outside_of_the_root_file_system() {
    for path in ["/../etc/shadow", "/etc/../../x", ".."] {
        let members = [("config", "lxc.arch = x"), ("templates", path)];
        let error = metadata(&members, Mode::User, None).expect_err(path);
        assert_eq!(
            error,
            ParseError::TemplatePath {
                path: path.to_owned()
            }
        );
        assert_eq!(error.kind(), imagestore_core::ErrorKind::Unsafe);
    }
    assert_eq!(user(&[("templates", "/etc/..hidden")]).templates().len(), 1);
}

#[test]
fn an_expiry_that_is_no_time_means_ask() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_712_898_008);
    let unknown = |found: &str| Expiry::Unknown {
        found: Some(found.into()),
    };
    for (text, wanted, past) in [
        ("1712898008\n", Expiry::At(now), false),
        (
            " 1712898007 \r\n",
            Expiry::At(now - Duration::from_secs(1)),
            true,
        ),
        ("0\n", Expiry::Never, false),
        (
            "-1",
            Expiry::At(SystemTime::UNIX_EPOCH - Duration::from_secs(1)),
            true,
        ),
        ("", unknown(""), true),
        ("soon", unknown("soon"), true),
        (
            "1712898008\n1712898008",
            unknown("1712898008\\n1712898008"),
            true,
        ),
        ("1712898008.5", unknown("1712898008.5"), true),
        ("+5", unknown("+5"), true),
        (
            "99999999999999999999",
            unknown("99999999999999999999"),
            true,
        ),
    ] {
        let metadata = user(&[("expiry", text)]);
        assert_eq!(*metadata.expiry(), wanted, "{text:?}");
        assert_eq!(metadata.expiry().is_past(now), past, "{text:?}");
    }
    assert_eq!(*user(&[]).expiry(), Expiry::Unknown { found: None });
    assert!(user(&[("expiry", &i64::MAX.to_string())]).expiry() != &Expiry::Never);
}

#[test]
fn shows_the_message_with_control_characters_escaped() {
    let metadata = user(&[(
        "create-message",
        "You made\x1b[31m it.\r\n\nEnjoy\u{202e}.\n",
    )]);
    let lines = metadata.printable_message().expect("a message");
    assert_eq!(lines, ["You made\\u{1b}[31m it.", "", "Enjoy\\u{202e}."]);
    assert_eq!(metadata.create_message().map(<[u8]>::len), Some(30));
    assert_eq!(user(&[]).printable_message(), None);
}

#[test]
fn tells_whether_the_image_names_the_build_of_the_index() {
    let said = user(&[(
        "create-message",
        "You made an Alpinelinux 3.19 armv7 (20240313_0500) container.",
    )]);
    for (build, wanted) in [
        ("20240313_05:00", Agreement::Same),
        ("2024-03-13", Agreement::Same),
        ("20240313", Agreement::Same),
        ("20240313_05:01", Agreement::Different),
        ("20240312", Agreement::Different),
        ("v2", Agreement::Unsaid),
    ] {
        assert_eq!(said.agrees_with_build(build), wanted, "{build}");
    }
    assert_eq!(user(&[]).agrees_with_build("20240313"), Agreement::Unsaid);
    let vague = user(&[("create-message", "1_2 99999999_9999 20240313_ _x")]);
    assert_eq!(vague.agrees_with_build("20240313"), Agreement::Unsaid);
}

#[test]
fn keeps_the_config_as_it_stands_beside_its_settings() {
    let text = "# made by hand\r\nlxc.arch = x86_64\n\nlxc.hook.start = /x\n";
    let members = [("config", text), ("fstab", "none proc proc 0 0\n")];
    let metadata = metadata(&members, Mode::System, None).expect("valid");
    let lines: Vec<_> = metadata.config_lines().collect();
    assert_eq!(
        lines,
        [
            &b"# made by hand"[..],
            b"lxc.arch = x86_64",
            b"",
            b"lxc.hook.start = /x"
        ]
    );
    let asked: Vec<_> = metadata
        .needs_consent()
        .map(|line| line.key.as_str())
        .collect();
    assert_eq!(asked, ["lxc.hook.start"]);
    assert_eq!(metadata.fstab(), Some(&b"none proc proc 0 0\n"[..]));
}

#[test]
fn no_bytes_make_it_panic() {
    let mut random = 88_172_645_463_325_252_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).expect("smaller than a usize")
    };
    let words: [&[u8]; 14] = [
        b"lxc.arch",
        b" = ",
        b"=",
        b"\n",
        b"\r\n",
        b"'",
        b"\"",
        b"\xff",
        b"\0",
        b"1712898008",
        b"-",
        b"/..",
        b"20240313_0500",
        b"lxc.include = LXC_TEMPLATE_CONFIG/",
    ];
    let names = [
        "config",
        "config-user",
        "config-user.4",
        "expiry",
        "templates",
        "excludes-user",
        "create-message",
    ];
    let mut read = 0;
    for _ in 0..20_000 {
        let members: Vec<_> = names
            .iter()
            .map(|name| {
                (
                    *name,
                    (0..next(6))
                        .map(|_| words[next(words.len())])
                        .collect::<Vec<_>>()
                        .concat(),
                )
            })
            .collect();
        let Ok(metadata) = Metadata::from_members(members, Mode::User, Some(4)) else {
            continue;
        };
        read += 1;
        assert!(
            metadata
                .config()
                .iter()
                .all(|line| line.key.starts_with("lxc."))
        );
        assert!(metadata.templates().iter().all(|path| !path.is_empty()));
        let message = metadata.printable_message().expect("there is one");
        assert!(
            message
                .iter()
                .all(|line| !line.chars().any(char::is_control))
        );
        let said = metadata.agrees_with_build("20240313_05:00");
        assert_eq!(said, metadata.agrees_with_build("20240313_05:00"));
    }
    assert!(read > 1000, "{read} were read");
}
