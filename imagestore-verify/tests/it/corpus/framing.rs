//! V2 to V5: armor and packets.

use imagestore_verify::Framing;

use super::{Case, DATA, Keys, case};
use crate::forge::{Sig, armor, armor_as, base64, packet, plain};

pub(crate) fn cases(keys: &Keys) -> Vec<Case> {
    let mut cases = armor_cases(keys);
    cases.extend(packet_cases(keys));
    cases
}

fn armor_cases(keys: &Keys) -> Vec<Case> {
    let good = Sig::document(&keys.ed).over(&keys.ed, DATA);
    let asc = String::from_utf8(armor(&good)).expect("ascii");
    let with = |name: &str, rule, expected, asc: String| {
        Case::new(
            format!("armor: {name}"),
            rule,
            expected,
            plain(&keys.ed),
            asc.into(),
        )
    };
    let mut bad = Sig::document(&keys.ed);
    bad.flip_value = true;
    let bad = String::from_utf8(armor(&bad.over(&keys.ed, DATA))).expect("ascii");
    let padded = |length: usize| format!("{asc}{}", "\n".repeat(length - asc.len()));
    let sum = asc.lines().rev().nth(1).expect("the checksum").to_owned();
    let line = |from: &str, to: &str| asc.replacen(from, to, 1);
    let end = "-----END PGP SIGNATURE-----";
    let begin = "-----BEGIN PGP SIGNATURE-----";
    let text = Framing::default().with_text_around();
    let mut cases = vec![
        with("ordinary", "V3", "accept", asc.clone()),
        with("CR LF line ends", "V3", "accept", asc.replace('\n', "\r\n")),
        with(
            "blank lines around",
            "V3",
            "accept",
            format!("\n \t\r\n{asc}\n\n"),
        ),
        with(
            "no line end at the end",
            "V3",
            "accept",
            asc.trim_end().to_owned(),
        ),
        with(
            "blanks at line ends",
            "V3",
            "accept",
            asc.replace('\n', "  \n"),
        ),
        with(
            "known headers",
            "V3",
            "accept",
            line("\n\n", "\nVersion: GnuPG v1\nComment: x\n\n"),
        ),
        with("a wrong checksum", "V3", "accept", line(&sum, "=AAAA")),
        with(
            "a checksum that is none",
            "V3",
            "malformed",
            line(&sum, "=A-AA"),
        ),
        with(
            "text after the checksum",
            "V3",
            "malformed",
            line(
                &sum,
                &format!(
                    "{sum}
AAAA"
                ),
            ),
        ),
        with(
            "an unknown header",
            "V3",
            "malformed",
            line("\n\n", "\nX-Note: x\n\n"),
        ),
        with("no blank line", "V3", "malformed", line("\n\n", "\n")),
        with("no checksum", "V3", "accept", line(&format!("{sum}\n"), "")),
        with("empty", "V2", "malformed", String::new()),
        with("blank", "V2", "malformed", "\n \n".to_owned()),
        with(
            "a web page",
            "V2",
            "malformed",
            "<!DOCTYPE html>\n<title>404</title>\n".to_owned(),
        ),
        with("text before", "V3", "malformed", format!("Hello\n{asc}")),
        with("text after", "V3", "malformed", format!("{asc}Hello\n")),
        with("a NUL after", "V3", "malformed", format!("{asc}\0")),
        with(
            "text before, allowed",
            "V3",
            "accept",
            format!("Hello\n{asc}"),
        )
        .framed(text),
        with(
            "begin not at the line start",
            "V3",
            "malformed",
            format!("> {asc}"),
        ),
        with(
            "cut off",
            "V3",
            "malformed",
            asc[..asc.len() - 60].to_owned(),
        ),
        with("no end line", "V3", "malformed", line(end, "")),
        with("begin line only", "V3", "malformed", format!("{begin}\n")),
        with(
            "nothing inside",
            "V4",
            "malformed",
            format!("{begin}\n\n{end}\n"),
        ),
        with(
            "another end",
            "V3",
            "malformed",
            line(end, "-----END PGP MESSAGE-----"),
        ),
        with(
            "text after the end on its line",
            "V3",
            "malformed",
            line(end, &format!("{end} x")),
        ),
        with(
            "a long line",
            "V3",
            "malformed",
            asc.replace('\n', "")
                .replace(begin, &format!("{begin}\n\n"))
                .replace(end, &format!("\n{end}")),
        ),
        with(
            "a character that is not base64",
            "V3",
            "malformed",
            line("\n\n", "\n\n!"),
        ),
        with(
            "lower-case label",
            "V3",
            "malformed",
            asc.replace("SIGNATURE", "signature"),
        ),
        with("64 KiB", "V2", "accept", padded(65_536)),
        with("64 KiB and a byte", "V2", "too many", padded(65_537)),
        with("two blocks, the first bad", "V3", "malformed", bad + &asc),
    ];
    for label in [
        "MESSAGE",
        "SIGNED MESSAGE",
        "PUBLIC KEY BLOCK",
        "PRIVATE KEY BLOCK",
        "ARMORED FILE",
    ] {
        let armored = String::from_utf8(armor_as(label, "", &good)).expect("ascii");
        cases.push(with(&format!("label {label}"), "V3", "malformed", armored));
    }
    let clear = format!(
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{}\n{asc}",
        String::from_utf8_lossy(DATA)
    );
    cases.push(with(
        "a clear-signed text",
        "V3",
        "malformed",
        clear.clone(),
    ));
    let loose = text.with_several_blocks().with_binary();
    cases.push(
        with(
            "a clear-signed text, loosest frame",
            "V3",
            "malformed",
            clear,
        )
        .framed(loose),
    );
    let key = String::from_utf8(armor_as("PUBLIC KEY BLOCK", "", &plain(&keys.ed)));
    cases.push(with(
        "the public key",
        "V3",
        "malformed",
        key.expect("ascii"),
    ));
    cases.push(with("two blocks", "V3", "malformed", format!("{asc}{asc}")));
    let several = Framing::default().with_several_blocks();
    cases.push(with("two blocks, allowed", "V3", "accept", format!("{asc}{asc}")).framed(several));
    let binary = |name: &str, expected| {
        let name = format!("armor: {name}");
        Case::new(name, "V3", expected, plain(&keys.ed), good.clone())
    };
    cases.push(binary("binary", "malformed"));
    cases.push(binary("binary, allowed", "accept").framed(Framing::default().with_binary()));
    let padded = format!("{begin}\n\n{}=\n{end}\n", base64(&good));
    cases.push(with(
        "padding where none belongs",
        "V3",
        "malformed",
        padded,
    ));
    cases
}

fn packet_cases(keys: &Keys) -> Vec<Case> {
    let key = &keys.ed;
    let good = Sig::document(key).over(key, DATA);
    let body = Sig::document(key).body(key, DATA);
    let with = |name: &str, rule, expected, packets: Vec<u8>| {
        case(format!("packets: {name}"), rule, expected, key, &packets)
    };
    let before = |tag, body: &[u8]| [packet(tag, body), good.clone()].concat();
    let after = |tag, body: &[u8]| [good.clone(), packet(tag, body)].concat();
    let length = u8::try_from(body.len()).expect("short");
    let old = [&[0x88, length][..], &body].concat();
    let old_two = [&[0x89, 0, length][..], &body].concat();
    let indeterminate = [&[0x8b][..], &body].concat();
    let partial = [
        &[0xc2, 0xe0 | 6][..],
        &body[..64],
        &[length - 64],
        &body[64..],
    ]
    .concat();
    let oversized = [&[0xc2, 0xff, 0xff, 0xff, 0xff, 0xff][..], &body].concat();
    let short_length = [&[0xc2, length][..], &body].concat();
    let compressed = [&[0][..], &good].concat();
    let literal = [&b"b\0\0\0\0\0"[..], DATA].concat();
    let one_pass = [&[3, 0, 10, 22][..], &key.key_id(), &[1]].concat();
    let huge = Sig::document(key)
        .with(false, 20, vec![0; 9_000])
        .over(key, DATA);
    vec![
        with("old header, one octet of length", "V4", "accept", old),
        with("old header, two octets of length", "V4", "accept", old_two),
        with(
            "new header, one octet of length",
            "V4",
            "accept",
            short_length,
        ),
        with("a marker before", "V4", "accept", before(10, b"PGP")),
        with("a marker after", "V4", "accept", after(10, b"PGP")),
        with("a wrong marker", "V4", "malformed", before(10, b"PGX")),
        with("padding after", "V4", "accept", after(21, &[0; 9])),
        with(
            "an unknown packet that may be ignored",
            "V4",
            "accept",
            after(60, b"x"),
        ),
        with(
            "an unknown critical packet",
            "V4",
            "malformed",
            after(30, b"x"),
        ),
        with("a user id before", "V4", "malformed", before(13, b"x")),
        with("a user id after", "V4", "malformed", after(13, b"x")),
        with("a trust packet", "V4", "malformed", after(12, &[0, 0])),
        with(
            "the public key after",
            "V4",
            "malformed",
            after(6, &key.body),
        ),
        with("a literal packet", "V4", "malformed", before(11, &literal)),
        with(
            "an inline-signed message",
            "V4",
            "malformed",
            [packet(4, &one_pass), packet(11, &literal), good.clone()].concat(),
        ),
        with(
            "a compressed packet",
            "V4",
            "malformed",
            packet(8, &compressed),
        ),
        with("a packet of type 0", "V4", "malformed", before(0, b"")),
        with("an indeterminate length", "V5", "malformed", indeterminate),
        with("partial lengths", "V5", "malformed", partial),
        with("a length of 4 GiB", "V5", "malformed", oversized),
        with(
            "cut off in the body",
            "V5",
            "malformed",
            good[..good.len() - 5].to_vec(),
        ),
        with(
            "cut off in the header",
            "V5",
            "malformed",
            [&good[..], &[0xc2, 0xff, 0]].concat(),
        ),
        with(
            "no packet header",
            "V4",
            "malformed",
            [&good[..], &[0x00]].concat(),
        ),
        with("a packet above 8 KiB", "V5", "malformed", huge),
    ]
}
