//! A client for QEMU's debugger stub, as far as tests need it: it writes to physical memory (QEMU docs/system/gdb, GDB manual,
//! "Remote Protocol"). The machine stands still while this is connected.

use super::qmp::Qmp;
use serde_json::json;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// QEMU takes packets of 4096 bytes, and each byte of memory is two of them.
const PIECE_BYTES: usize = 1024;

/// Writes `bytes` to physical memory at `address`, by a socket that QEMU is to open at `path`.
pub fn write_memory(qmp: &mut Qmp, path: &Path, address: u64, bytes: &[u8]) -> Result<(), String> {
    let server = |device: &str| json!({ "command-line": format!("gdbserver {device}") });
    qmp.execute("human-monitor-command", server(&format!("unix:{},server=on,wait=off", path.display())))?;
    let mut stream = UnixStream::connect(path).map_err(|error| format!("the debugger's socket: {error}"))?;
    stream.set_read_timeout(Some(ANSWER_LIMIT)).map_err(|error| error.to_string())?;
    expect_ok(&mut stream, "Qqemu.PhyMemMode:1")?;
    for (address, piece) in (address..).step_by(PIECE_BYTES).zip(bytes.chunks(PIECE_BYTES)) {
        let mut command = format!("M{address:x},{:x}:", piece.len());
        for byte in piece {
            write!(command, "{byte:02x}").map_err(|error| error.to_string())?;
        }
        expect_ok(&mut stream, &command)?;
    }
    // Detaching lets the machine run on.
    expect_ok(&mut stream, "D")?;
    qmp.execute("human-monitor-command", server("none"))?;
    Ok(())
}

/// Sends a packet, and waits for the answer that all is well.
fn expect_ok(stream: &mut UnixStream, command: &str) -> Result<(), String> {
    let sum = command.bytes().fold(0, u8::wrapping_add);
    write!(stream, "${command}#{sum:02x}").map_err(|error| error.to_string())?;
    let name = command.split(':').next().unwrap_or_default();
    loop {
        match receive(stream).map_err(|error| format!("{name}: {error}"))?.as_str() {
            "OK" => return Ok(()),
            // That the machine has stopped is no answer.
            stop if stop.starts_with('T') => {}
            answer => return Err(format!("the debugger answers {answer:?} to {name}")),
        }
    }
}

/// The next packet, which is acknowledged.
fn receive(stream: &mut UnixStream) -> io::Result<String> {
    let mut byte = || {
        let mut byte = [0];
        stream.read_exact(&mut byte).map(|()| char::from(byte[0]))
    };
    while byte()? != '$' {}
    let mut packet = String::new();
    loop {
        match byte()? {
            '#' => break,
            character => packet.push(character),
        }
    }
    // Two digits of sum.
    byte()?;
    byte()?;
    stream.write_all(b"+")?;
    Ok(packet)
}
