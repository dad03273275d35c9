//! Scripts that name their interpreter: `#!` as execve(2) has it.

use crate::errno::Errno;
use alloc::vec::Vec;

/// Bytes of a file that count.
pub const FIRST_BYTES: usize = 256;

/// So many scripts may be each other's interpreters before a program comes.
pub const MOST_SCRIPTS: usize = 5;

/// What the first line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Script<'a> {
    /// The interpreter's path.
    pub interpreter: &'a [u8],
    /// All that follows it, as one argument.
    pub argument: Option<&'a [u8]>,
}

impl<'a> Script<'a> {
    /// Reads the first line of a file from its first bytes, of which 256 count; `None` if this is no script.
    ///
    /// # Errors
    /// [`Errno::ENOEXEC`] if no interpreter is named, or its name may go on after what counts.
    pub fn parse(file: &'a [u8]) -> Result<Option<Self>, Errno> {
        let first = file.get(..FIRST_BYTES).unwrap_or(file);
        let Some(text) = first.strip_prefix(b"#!") else { return Ok(None) };
        let end = text.iter().position(|byte| matches!(byte, b'\n' | 0));
        let is_whole = end.is_some() || file.len() < FIRST_BYTES;
        let line = text.get(..end.unwrap_or(text.len())).unwrap_or_default();
        let line = trim_start(line);
        let name_end = line.iter().position(|byte| is_blank(*byte));
        // An argument that is cut short is what Linux passes too; a path that is cut short may name another program.
        if name_end.is_none() && !is_whole {
            return Err(Errno::ENOEXEC);
        }
        let (interpreter, rest) = line.split_at_checked(name_end.unwrap_or(line.len())).ok_or(Errno::ENOEXEC)?;
        if interpreter.is_empty() {
            return Err(Errno::ENOEXEC);
        }
        let argument = Some(trim_end(trim_start(rest))).filter(|argument| !argument.is_empty());
        Ok(Some(Self { interpreter, argument }))
    }

    /// Makes the arguments of the interpreter from those of the script, which is at `path`: the name by which the
    /// script was called gives way to interpreter, argument and path.
    ///
    /// # Errors
    /// [`Errno::ELOOP`] if `scripts` before this one are [`MOST_SCRIPTS`]; [`Errno::ENOMEM`].
    pub fn arguments(&self, path: &[u8], arguments: &mut Vec<Vec<u8>>, scripts: usize) -> Result<(), Errno> {
        if scripts >= MOST_SCRIPTS {
            return Err(Errno::ELOOP);
        }
        let head = [Some(self.interpreter), self.argument, Some(path)];
        let mut new = Vec::new();
        new.try_reserve(head.len().saturating_add(arguments.len())).map_err(|_| Errno::ENOMEM)?;
        for text in head.into_iter().flatten() {
            let mut copy = Vec::new();
            copy.try_reserve_exact(text.len()).map_err(|_| Errno::ENOMEM)?;
            copy.extend_from_slice(text);
            new.push(copy);
        }
        new.extend(arguments.drain(..).skip(1));
        *arguments = new;
        Ok(())
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn trim_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !is_blank(*byte)).unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

fn trim_end(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !is_blank(*byte)).map_or(0, |last| last + 1);
    text.get(..end).unwrap_or_default()
}
