//! The random bytes that the machine's host gives (Virtual I/O Device 1.2, section 5.4).

use super::transport::PciTransport;
use super::{VirtioError, devices, open};
use crate::hw::clock;
use crate::hw::virtio::Source;
use core::time::Duration;
use logic::bus::pci::Function;
use logic::bus::virtio::ENTROPY_SOURCE;
use logic::time::patience::Patience;
use virtio_drivers::device::common::Feature;

/// The only queue (section 5.4.2).
const QUEUE: u16 = 0;

/// For how long a device is waited for. A host answers within a millisecond, unless it is short of time or of randomness.
const LONGEST: Duration = Duration::from_secs(1);
/// Looks at a device, should time stand still.
const MOST_LOOKS: u32 = 10_000;
/// Between looks: first, and at most.
const SHORT_PAUSE: Duration = Duration::from_micros(20);
const LONG_PAUSE: Duration = Duration::from_millis(5);

/// Fills `bytes` from the machine's devices, as far as they answer in time; answers how many bytes that is. `pause` passes a time,
/// between looks. What is wrong with a device is warned of.
pub fn read(bytes: &mut [u8], pause: impl Fn(Duration)) -> usize {
    let mut filled = 0;
    for function in devices(ENTROPY_SOURCE) {
        let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) else { break };
        let (count, outcome) = read_from(function, rest, &pause);
        filled += count;
        if let Err(error) = outcome {
            log::warn!("virtio-rng {}: {error}", function.address);
        }
    }
    filled
}

/// How many bytes one device has filled, and why not all.
fn read_from(function: &Function, bytes: &mut [u8], pause: &impl Fn(Duration)) -> (usize, Result<(), VirtioError>) {
    let mut patience = Patience::new(LONGEST, MOST_LOOKS);
    let mut filled = 0;
    let outcome = start(function).and_then(|mut source| {
        // A host that rations its randomness gives a part at a time.
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            filled += read_once(&mut source, rest, &mut patience, pause)?;
        }
        Ok(())
    });
    (filled, outcome)
}

fn start(function: &Function) -> Result<Source<PciTransport>, VirtioError> {
    let mut transport = open(function)?;
    transport.agree(Feature::empty())?;
    Ok(Source::start(transport, QUEUE)?)
}

/// Asks once, and waits for the answer: at least one byte.
fn read_once(
    source: &mut Source<PciTransport>,
    bytes: &mut [u8],
    patience: &mut Patience,
    pause: &impl Fn(Duration),
) -> Result<usize, VirtioError> {
    source.ask(bytes.len())?;
    let mut time = SHORT_PAUSE;
    loop {
        if let Some(answer) = source.answer()? {
            let filled = bytes.iter_mut().zip(answer).map(|(byte, random)| *byte = *random).count();
            return if filled > 0 { Ok(filled) } else { Err(VirtioError::Empty) };
        }
        if !patience.lasts(clock::now()) {
            return Err(VirtioError::Silent);
        }
        pause(time);
        time = LONG_PAUSE.min(time * 2);
    }
}
