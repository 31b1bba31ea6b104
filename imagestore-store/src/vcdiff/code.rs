//! The codes of the instructions (RFC 3284 §5.6).

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Add,
    Copy { mode: u8 },
    Nothing,
    Run,
}

/// The two instructions of a code (RFC 3284 §5.6); a size of 0 stands in the section.
pub(super) fn code(code: u8) -> [(Kind, usize); 2] {
    let nothing = (Kind::Nothing, 0);
    let n = usize::from(code);
    match n {
        0 => [(Kind::Run, 0), nothing],
        1..=18 => [(Kind::Add, n - 1), nothing],
        19..=162 => {
            let (mode, n) = ((n - 19) / 16, (n - 19) % 16);
            let size = if n == 0 { 0 } else { n + 3 };
            [(copy(mode), size), nothing]
        }
        163..=234 => {
            let (mode, n) = ((n - 163) / 12, (n - 163) % 12);
            [(Kind::Add, n / 3 + 1), (copy(mode), n % 3 + 4)]
        }
        235..=246 => {
            let (mode, n) = ((n - 235) / 4 + 6, (n - 235) % 4);
            [(Kind::Add, n + 1), (copy(mode), 4)]
        }
        _ => [(copy(n - 247), 4), (Kind::Add, 1)],
    }
}

fn copy(mode: usize) -> Kind {
    Kind::Copy { mode: mode as u8 }
}
