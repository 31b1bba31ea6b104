use sha2::{Digest, Sha512};

/// The random numbers of CPython: MT19937, seeded with text as `random.Random(text)` does.
pub(crate) struct Twister {
    state: [u32; N],
    next: usize,
}

impl Twister {
    /// Seeded with `text`: its UTF-8 bytes and their SHA-512 make one big-endian number, whose
    /// 32-bit words, the least significant first, are the key.
    pub(crate) fn new(text: &str) -> Self {
        let mut number = text.as_bytes().to_vec();
        number.extend(Sha512::digest(text.as_bytes()));
        let mut key: Vec<u32> = number
            .rchunks(4)
            .map(|word| word.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
            .collect();
        while key.len() > 1 && key.last() == Some(&0) {
            key.pop();
        }
        let mut state = [0; N];
        state[0] = 19_650_218;
        for i in 1..N {
            state[i] = spread(state[i - 1])
                .wrapping_mul(1_812_433_253)
                .wrapping_add(i as u32);
        }
        let (mut i, mut j) = (1, 0);
        for _ in 0..N.max(key.len()) {
            state[i] = (state[i] ^ spread(state[i - 1]).wrapping_mul(1_664_525))
                .wrapping_add(key[j])
                .wrapping_add(j as u32);
            i = step(&mut state, i);
            j = (j + 1) % key.len();
        }
        for _ in 1..N {
            state[i] = (state[i] ^ spread(state[i - 1]).wrapping_mul(1_566_083_941))
                .wrapping_sub(i as u32);
            i = step(&mut state, i);
        }
        state[0] = 1 << 31;
        Self { state, next: N }
    }

    /// A number from 0 to 100, both included, as `randint(0, 100)` draws it.
    pub(crate) fn percentage(&mut self) -> u8 {
        loop {
            // 101 needs seven bits; what is over it is drawn again.
            let bits = (self.draw() >> 25) as u8;
            if bits <= 100 {
                return bits;
            }
        }
    }

    fn draw(&mut self) -> u32 {
        if self.next == N {
            for i in 0..N {
                let bits = self.state[i] & 0x8000_0000 | self.state[(i + 1) % N] & 0x7fff_ffff;
                let odd = if bits & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[i] = self.state[(i + M) % N] ^ bits >> 1 ^ odd;
            }
            self.next = 0;
        }
        let mut bits = self.state[self.next];
        self.next += 1;
        bits ^= bits >> 11;
        bits ^= bits << 7 & 0x9d2c_5680;
        bits ^= bits << 15 & 0xefc6_0000;
        bits ^ bits >> 18
    }
}

fn spread(word: u32) -> u32 {
    word ^ word >> 30
}

fn step(state: &mut [u32; N], i: usize) -> usize {
    if i + 1 < N {
        return i + 1;
    }
    state[0] = state[N - 1];
    1
}

const N: usize = 624;
const M: usize = 397;
