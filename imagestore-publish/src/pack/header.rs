/// One entry of a tarball, without its data.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u64,
    pub(super) seconds: i64,
    pub(super) nanos: u32,
    pub(super) target: Vec<u8>,
    pub(super) major: u32,
    pub(super) minor: u32,
    /// Names and values, sorted by name.
    pub(super) attributes: Vec<Attribute>,
}

/// An extended attribute.
#[derive(Clone, Debug)]
pub(super) struct Attribute {
    pub(super) name: Vec<u8>,
    pub(super) value: Vec<u8>,
}

/// What an entry is, by its letter in the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    Block = b'4' as isize,
    Character = b'3' as isize,
    Fifo = b'6' as isize,
    #[default]
    File = b'0' as isize,
    Folder = b'5' as isize,
    HardLink = b'1' as isize,
    Symlink = b'2' as isize,
}

impl Entry {
    /// The header, with a PAX header before it for what does not fit.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let records = self.records();
        let mut out = Vec::with_capacity(1024);
        if !records.is_empty() {
            let base = self
                .name
                .trim_ascii_end()
                .split(|byte| *byte == b'/')
                .rfind(|part| !part.is_empty());
            let name = [b"./PaxHeaders/", base.unwrap_or(b".")].concat();
            out.extend(block(&Fields {
                name: &name,
                letter: b'x',
                mode: 0o644,
                size: records.len() as u64,
                ..Fields::default()
            }));
            out.extend(&records);
            out.resize(out.len().next_multiple_of(BLOCK), 0);
        }
        out.extend(block(&Fields {
            name: &self.name,
            letter: self.kind as u8,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            size: self.size,
            seconds: self.seconds,
            target: &self.target,
            major: self.major,
            minor: self.minor,
        }));
        out
    }

    /// What the plain header has no room for, as PAX records.
    fn records(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.nanos != 0 || !(0..=MAX_11).contains(&self.seconds) {
            record(
                &mut out,
                b"mtime",
                time(self.seconds, self.nanos).as_bytes(),
            );
        }
        if self.name.len() > NAME {
            record(&mut out, b"path", &self.name);
        }
        if self.target.len() > NAME {
            record(&mut out, b"linkpath", &self.target);
        }
        if self.size > MAX_11 as u64 {
            record(&mut out, b"size", self.size.to_string().as_bytes());
        }
        for (key, id) in [(&b"uid"[..], self.uid), (b"gid", self.gid)] {
            if id > MAX_7 {
                record(&mut out, key, id.to_string().as_bytes());
            }
        }
        for attribute in &self.attributes {
            // `=` ends the keyword, so GNU tar writes it like this.
            let mut key = b"SCHILY.xattr.".to_vec();
            for byte in &attribute.name {
                match byte {
                    b'%' => key.extend(b"%25"),
                    b'=' => key.extend(b"%3D"),
                    _ => key.push(*byte),
                }
            }
            record(&mut out, &key, &attribute.value);
        }
        out
    }
}

/// `LENGTH KEY=VALUE\n`, where the length counts itself.
fn record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + digits(rest);
    if digits(length) > digits(rest) {
        length = rest + digits(length);
    }
    out.extend(length.to_string().as_bytes());
    out.push(b' ');
    out.extend(key);
    out.push(b'=');
    out.extend(value);
    out.push(b'\n');
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

/// Seconds with a fraction, if there is one, without zeros at its end.
fn time(seconds: i64, nanos: u32) -> String {
    let total = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    let sign = if total < 0 { "-" } else { "" };
    let (whole, fraction) = (
        total.unsigned_abs() / 1_000_000_000,
        total.unsigned_abs() % 1_000_000_000,
    );
    match fraction {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{fraction:09}")
            .trim_end_matches('0')
            .to_owned(),
    }
}

#[derive(Default)]
struct Fields<'a> {
    name: &'a [u8],
    letter: u8,
    mode: u32,
    uid: u32,
    gid: u32,
    size: u64,
    seconds: i64,
    target: &'a [u8],
    major: u32,
    minor: u32,
}

fn block(fields: &Fields<'_>) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    // What does not fit stands in the PAX header; here is as much of it as fits.
    let octal = |value: u64, width: usize| {
        let most = (1u64 << (3 * width)) - 1;
        format!("{:0width$o}", if value > most { 0 } else { value }).into_bytes()
    };
    put(0, &fields.name[..fields.name.len().min(NAME)]);
    put(100, &octal(u64::from(fields.mode & 0o7777), 7));
    put(108, &octal(u64::from(fields.uid), 7));
    put(116, &octal(u64::from(fields.gid), 7));
    put(124, &octal(fields.size, 11));
    put(136, &octal(u64::try_from(fields.seconds).unwrap_or(0), 11));
    put(148, b"        ");
    put(156, &[fields.letter]);
    put(157, &fields.target[..fields.target.len().min(NAME)]);
    put(257, b"ustar\x0000");
    put(329, &octal(u64::from(fields.major), 7));
    put(337, &octal(u64::from(fields.minor), 7));
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

pub(super) const BLOCK: usize = 512;
const NAME: usize = 100;
const MAX_7: u32 = 0o777_7777;
const MAX_11: i64 = 0o777_7777_7777;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_length_of_a_record_into_itself() {
        let mut out = Vec::new();
        record(&mut out, b"mtime", b"1.5");
        assert_eq!(out, b"13 mtime=1.5\n");
        for length in 0..2000 {
            let mut out = Vec::new();
            record(&mut out, b"key", &vec![b'x'; length]);
            let text = String::from_utf8(out).expect("ASCII");
            let said: usize = text
                .split(' ')
                .next()
                .expect("a length")
                .parse()
                .expect("a number");
            assert_eq!(said, text.len());
        }
    }

    #[test]
    fn writes_times_before_1970() {
        assert_eq!(time(0, 0), "0");
        assert_eq!(time(5, 120_000_000), "5.12");
        assert_eq!(time(-2, 500_000_000), "-1.5");
        assert_eq!(time(-1, 0), "-1");
    }

    #[test]
    fn keeps_to_the_plain_header_where_it_has_room() {
        let entry = Entry {
            name: b"./a".to_vec(),
            mode: 0o4755,
            seconds: 7,
            ..Entry::default()
        };
        let bytes = entry.to_bytes();
        assert_eq!(bytes.len(), BLOCK);
        let header = tar::Header::from_byte_slice(&bytes);
        assert_eq!(header.mode().expect("octal"), 0o4755);
        assert_eq!(header.mtime().expect("octal"), 7);
        assert_eq!(header.path_bytes().as_ref(), b"./a");
    }
}
