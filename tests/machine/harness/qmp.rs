//! A client for QMP, QEMU's control protocol: one JSON object a line over a Unix socket (QEMU docs/interop/qmp-spec).

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long QEMU may take to answer one command; a busy machine on a busy host takes its time.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
const CONNECT_LIMIT: Duration = Duration::from_secs(20);

/// A connection past its greeting, ready for commands.
pub struct Qmp {
    stream: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects to the socket that QEMU is about to create at `path`.
    pub fn connect(path: &Path) -> Result<Self, String> {
        let deadline = Instant::now() + CONNECT_LIMIT;
        let stream = loop {
            match UnixStream::connect(path) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > deadline => {
                    return Err(format!("QEMU opens no control socket: {error}"));
                }
                Err(_) => thread::sleep(Duration::from_millis(2)),
            }
        };
        stream.set_read_timeout(Some(ANSWER_LIMIT)).map_err(|error| error.to_string())?;
        let mut qmp = Self { stream: BufReader::new(stream) };
        qmp.receive()?;
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Runs one command and answers its `return` value, or the error's description.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, String> {
        let request = json!({ "execute": command, "arguments": arguments });
        writeln!(self.stream.get_mut(), "{request}").map_err(|error| format!("{command}: {error}"))?;
        loop {
            // Anything that is neither an answer nor an error is an event, which nobody here waits for.
            let mut answer = self.receive()?;
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = answer.get("error") {
                return Err(format!("{command}: {}", error["desc"].as_str().unwrap_or("no description")));
            }
        }
    }

    fn receive(&mut self) -> Result<Value, String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => Err("QEMU closed its control socket".into()),
            Ok(_) => serde_json::from_str(&line).map_err(|error| format!("QMP sent {line:?}: {error}")),
            Err(error) => Err(format!("QMP: {error}")),
        }
    }
}
