//! An open file with a text that is made for its reader: at the first read, and again whenever it is read from the start. What is
//! read from anywhere else belongs to the same text, however often things change meanwhile.

use super::{Output, Text};
use crate::errno::Errno;
use crate::fs::file::File;
use crate::sync::{IrqLock, Rank};
use alloc::sync::Arc;

pub(super) struct TextFile {
    node: Arc<dyn Text>,
    text: IrqLock<Option<Arc<Output>>>,
}

impl TextFile {
    pub(super) fn open(node: Arc<dyn Text>) -> Self {
        Self { node, text: IrqLock::new(Rank::File, None) }
    }

    fn made(&self, anew: bool) -> Result<Arc<Output>, Errno> {
        if !anew && let Some(text) = self.text.lock().clone() {
            return Ok(text);
        }
        // With no lock held: whoever tells may take locks of his own.
        let mut text = Output::new();
        self.node.text(&mut text)?;
        let text = Arc::new(text);
        let replaced = self.text.lock().replace(text.clone());
        drop(replaced);
        Ok(text)
    }
}

impl File for TextFile {
    fn read(&self, position: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
        let text = self.made(position == 0)?;
        let rest = usize::try_from(position).ok().and_then(|start| text.bytes().get(start..)).unwrap_or_default();
        let length = rest.len().min(bytes.len());
        for (byte, from) in bytes.iter_mut().zip(rest) {
            *byte = *from;
        }
        Ok(length)
    }

    fn write(&self, _position: u64, bytes: &[u8]) -> Result<usize, Errno> {
        self.node.write(bytes)
    }

    fn end(&self) -> Result<u64, Errno> {
        Ok(self.text.lock().as_ref().map_or(0, |text| text.bytes().len() as u64))
    }
}
