//! Archives made byte by byte, so that every field can lie.

/// A tar archive under construction.
#[derive(Clone, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
}

/// One header, all fields open.
#[derive(Clone)]
pub(crate) struct Header {
    pub(crate) block: [u8; 512],
}

impl Archive {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn file(self, name: impl AsRef<[u8]>, data: &[u8]) -> Self {
        self.member(Header::new(b'0', name).size(data.len() as u64), data)
    }

    pub(crate) fn directory(self, name: impl AsRef<[u8]>) -> Self {
        self.member(Header::new(b'5', name).mode(0o755), b"")
    }

    pub(crate) fn symlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.member(Header::new(b'2', name).link(target), b"")
    }

    pub(crate) fn hard_link(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.member(Header::new(b'1', name).link(target), b"")
    }

    pub(crate) fn device(self, kind: u8, name: impl AsRef<[u8]>, major: u32, minor: u32) -> Self {
        self.member(Header::new(kind, name).device(major, minor), b"")
    }

    pub(crate) fn member(mut self, header: Header, data: &[u8]) -> Self {
        self.bytes.extend_from_slice(&header.finish());
        self.bytes.extend_from_slice(data);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    /// A PAX extension header with well-formed records.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        self.pax_raw(b'x', &pax_records(records))
    }

    pub(crate) fn global(self, records: &[(&str, &[u8])]) -> Self {
        self.pax_raw(b'g', &pax_records(records))
    }

    pub(crate) fn pax_raw(self, kind: u8, data: &[u8]) -> Self {
        self.member(
            Header::new(kind, "./PaxHeaders/x").size(data.len() as u64),
            data,
        )
    }

    /// A GNU long name (`L`) or long link (`K`).
    pub(crate) fn long(self, kind: u8, name: &[u8]) -> Self {
        let data = [name, b"\0"].concat();
        self.member(
            Header::new(kind, "././@LongLink")
                .gnu()
                .size(data.len() as u64),
            &data,
        )
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// The archive with its end marker.
    pub(crate) fn end(self) -> Vec<u8> {
        self.raw(&[0; 1024]).bytes
    }

    /// The archive without one.
    pub(crate) fn cut(self) -> Vec<u8> {
        self.bytes
    }
}

impl Header {
    pub(crate) fn new(kind: u8, name: impl AsRef<[u8]>) -> Self {
        let mut block = [0; 512];
        block[156] = kind;
        block[257..265].copy_from_slice(b"ustar\x0000");
        let id = rustix::process::geteuid().as_raw();
        let group = rustix::process::getegid().as_raw();
        Self { block }
            .put(0, name.as_ref())
            .mode(0o644)
            .octal(108..116, id.into())
            .octal(116..124, group.into())
            .octal(124..136, 0)
            .octal(136..148, 1_700_000_000)
    }

    pub(crate) fn gnu(self) -> Self {
        self.put(257, b"ustar  \0")
    }

    pub(crate) fn v7(self) -> Self {
        self.put(257, &[0; 8])
    }

    pub(crate) fn mode(self, mode: u64) -> Self {
        self.octal(100..108, mode)
    }

    pub(crate) fn owner(self, uid: u64, gid: u64) -> Self {
        self.octal(108..116, uid).octal(116..124, gid)
    }

    pub(crate) fn size(self, size: u64) -> Self {
        self.octal(124..136, size)
    }

    pub(crate) fn link(self, target: impl AsRef<[u8]>) -> Self {
        self.put(157, target.as_ref())
    }

    pub(crate) fn device(self, major: u32, minor: u32) -> Self {
        self.octal(329..337, major.into())
            .octal(337..345, minor.into())
    }

    /// Bytes at a place of the header, whatever they do there.
    pub(crate) fn put(mut self, at: usize, bytes: &[u8]) -> Self {
        self.block[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    fn octal(self, field: std::ops::Range<usize>, value: u64) -> Self {
        let width = field.len() - 1;
        let digits = format!("{value:0width$o}");
        assert_eq!(digits.len(), width, "{value} does not fit into {field:?}");
        self.put(field.start, digits.as_bytes())
            .put(field.end - 1, b"\0")
    }

    pub(crate) fn finish(mut self) -> [u8; 512] {
        self.block[148..156].fill(b' ');
        let sum: u32 = self.block.iter().map(|byte| u32::from(*byte)).sum();
        self.block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.block
    }
}

pub(crate) fn pax_records(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut all = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        all.extend_from_slice(format!("{length} {key}=").as_bytes());
        all.extend_from_slice(value);
        all.push(b'\n');
    }
    all
}
