//! The seal: a sum over all that is loaded of a kernel, which `asm/entry.asm` compares with what it finds in memory. Loaders of
//! others check nothing of what they load.

use crate::Result;
use crate::kernel_elf;
use crate::layout::{get_u32, put};
use logic::seal::sum;

/// What stands before the sum, which the address of the end of what it covers follows.
const MARK: &[u8] = b"ERESSEAL";
/// It is so near to the kernel's beginning.
const SEARCH: usize = 4096;

/// Fills the seal in, and answers it.
pub fn seal(file: &mut [u8]) -> Result<u32> {
    let kernel = kernel_elf::flatten(file)?;
    let head = &kernel.bytes[..kernel.bytes.len().min(SEARCH)];
    let place = head.windows(MARK.len()).position(|bytes| bytes == MARK).ok_or("there is no place for a seal")?;
    let seal_at = place + MARK.len();
    let mut bytes = kernel.bytes.clone();
    let end = bytes.get(seal_at + 4..seal_at + 8).map(|field| get_u32(field, 0)).ok_or("the seal is cut off")?;
    let length =
        end.checked_sub(kernel.load_address).filter(|_| end <= kernel.end).ok_or("the seal has a wrong end")?;
    bytes.resize(length as usize, 0);
    if bytes.len() < kernel.bytes.len() || bytes.len() < seal_at + 4 {
        return Err(format!("the seal covers {length} bytes of {}", kernel.bytes.len()));
    }
    put(&mut bytes, seal_at, &[0; 4]);
    let sum = match sum(&bytes) {
        // 0 stands for none.
        0 => return Err("the sum is 0, which stands for no seal; any change of the sources helps".to_string()),
        sum => sum,
    };
    let places: Vec<usize> =
        file.windows(MARK.len()).enumerate().filter(|(_, bytes)| *bytes == MARK).map(|(at, _)| at).collect();
    match places[..] {
        [at] => put(file, at + MARK.len(), &sum.to_le_bytes()),
        _ => return Err(format!("there are {} places for a seal", places.len())),
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_kernel_is_refused() {
        assert!(seal(&mut [0; 100]).is_err());
    }
}
