//! Programs with damaged headers.

use crate::{Ends, Random, in_child};
use std::ffi::CString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::ptr;

/// Bytes of headers of a small program that all lie in one page.
const BYTES: usize = 512;
const COUNT: usize = 400;

/// A whole program that ends at once: ELF header, one program header, `mov eax, 60; xor edi, edi; syscall`.
fn program() -> [u8; BYTES] {
    let mut file = [0; BYTES];
    let mut put = |offset: usize, bytes: &[u8]| file[offset..offset + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &2_u16.to_le_bytes());
    put(18, &62_u16.to_le_bytes());
    put(20, &1_u32.to_le_bytes());
    put(24, &0x40_0100_u64.to_le_bytes());
    put(32, &64_u64.to_le_bytes());
    put(52, &64_u16.to_le_bytes());
    put(54, &56_u16.to_le_bytes());
    put(56, &1_u16.to_le_bytes());
    put(64, &1_u32.to_le_bytes());
    put(68, &5_u32.to_le_bytes());
    put(80, &0x40_0000_u64.to_le_bytes());
    put(88, &0x40_0000_u64.to_le_bytes());
    put(96, &(BYTES as u64).to_le_bytes());
    put(104, &(BYTES as u64).to_le_bytes());
    put(112, &4096_u64.to_le_bytes());
    put(256, &[0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05]);
    file
}

/// Executes programs whose headers are damaged, cut, or any bytes at all, and scripts that lead nowhere.
pub fn programs(ends: &mut Ends, random: &mut Random) {
    let path = "/tmp/hostile-program";
    for round in 0..COUNT {
        let mut file = program().to_vec();
        if round > 0 {
            for _ in 0..1 + random.below(4) {
                let place = random.below(120) as usize;
                file[place] = match random.below(3) {
                    0 => random.number() as u8,
                    1 => 0xff,
                    _ => file[place] ^ 1 << random.below(8),
                };
            }
        }
        match random.below(8) {
            0 => file.truncate(random.below(BYTES as u64) as usize),
            1 if round > 0 => file = b"#!/tmp/hostile-program\n".to_vec(),
            2 if round > 0 => file[..BYTES / 2].fill_with(|| random.number() as u8),
            _ => {}
        }
        execute(ends, path, &file);
    }
    let _ = fs::remove_file(path);
}

fn execute(ends: &mut Ends, path: &str, file: &[u8]) {
    if fs::write(path, file).is_err() || fs::set_permissions(path, fs::Permissions::from_mode(0o755)).is_err() {
        return;
    }
    let Ok(path) = CString::new(path) else { return };
    in_child(ends, || {
        let arguments = [path.as_ptr(), ptr::null()];
        // SAFETY: the arguments end in null; on failure the child ends.
        unsafe { libc::execv(path.as_ptr(), arguments.as_ptr()) };
    });
}
