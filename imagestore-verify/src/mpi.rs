//! Multiprecision integers: a length in bits, then the bytes.

/// Takes `count` integers off the front; gives their bytes without leading zeros, and the rest.
pub(crate) fn split(
    mut bytes: &[u8],
    count: usize,
    version: u8,
) -> Result<(Vec<&[u8]>, &[u8]), &'static str> {
    let mut numbers = Vec::with_capacity(count);
    for _ in 0..count {
        let (number, rest) = first(bytes, version)?;
        numbers.push(number);
        bytes = rest;
    }
    Ok((numbers, bytes))
}

fn first(bytes: &[u8], version: u8) -> Result<(&[u8], &[u8]), &'static str> {
    let [high, low, rest @ ..] = bytes else {
        return Err("a number is cut off");
    };
    let announced = usize::from(u16::from_be_bytes([*high, *low]));
    if announced > MAX_BITS {
        return Err("a number is longer than 16384 bits");
    }
    let length = announced.div_ceil(8);
    let (number, rest) = rest.split_at_checked(length).ok_or("a number is cut off")?;
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let number = &number[zeros..];
    // Version 6 forbids a second spelling of a number, and no version allows bits above the highest
    // (RFC 9580 §3.2); version 4 signers of the past wrote leading zeros.
    let found = bits(number);
    if found > announced || version == 6 && found != announced {
        return Err("a number has not the length it announces");
    }
    Ok((number, rest))
}

/// The number of bits of an integer without leading zero bytes.
pub(crate) fn bits(number: &[u8]) -> usize {
    match number.first() {
        Some(first) => number.len() * 8 - first.leading_zeros() as usize,
        None => 0,
    }
}

const MAX_BITS: usize = 16_384;
