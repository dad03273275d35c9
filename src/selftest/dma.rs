//! Tests of memory for devices: buffers are lent to them wherever they lie.

use super::{Outcome, Test};
use crate::hw::virtio::lend;
use alloc::vec;
use virtio_drivers::BufferDirection;

/// All of them.
pub const TESTS: &[Test] =
    &[Test { name: "dma-stack", run: buffers_on_the_stack }, Test { name: "dma-heap", run: buffers_on_the_heap }];

const PAGE: usize = 4096;

/// Buffers of all lengths around those at which pages end.
const LENGTHS: [usize; 7] = [1, 16, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE - 1, 2 * PAGE];

fn pattern(index: usize, seed: usize) -> u8 {
    (index * 7 + index / 256 + seed) as u8
}

fn fill(bytes: &mut [u8], seed: usize) {
    bytes.iter_mut().enumerate().for_each(|(index, byte)| *byte = pattern(index, seed));
}

fn holds(bytes: &[u8], seed: usize) -> bool {
    bytes.iter().enumerate().all(|(index, byte)| *byte == pattern(index, seed))
}

/// A device reads what the driver wrote, and the driver what the device wrote.
fn both_ways(buffer: &mut [u8]) -> Outcome {
    let length = buffer.len();
    fill(buffer, 1);
    let mut was_seen = false;
    lend(buffer, BufferDirection::DriverToDevice, |device| was_seen = holds(device, 1));
    check!(was_seen, "a device sees something else in {length} bytes");
    check!(holds(buffer, 1), "a buffer of {length} bytes has changed that a device only reads");
    lend(buffer, BufferDirection::DeviceToDriver, |device| fill(device, 2));
    check!(holds(buffer, 2), "what a device wrote to {length} bytes is not there");
    Ok(())
}

fn buffers_on_the_stack() -> Outcome {
    // Stacks have no room for more than a page and a little.
    let mut stack = [0; PAGE + 1];
    LENGTHS.into_iter().filter(|length| *length <= PAGE + 1).try_for_each(|length| both_ways(&mut stack[..length]))
}

fn buffers_on_the_heap() -> Outcome {
    LENGTHS.into_iter().try_for_each(|length| {
        // Larger objects are in one piece.
        let mut objects = [vec![0; length], vec![0; length + 3 * PAGE]];
        objects.iter_mut().try_for_each(|object| both_ways(&mut object[..length]))
    })
}
