//! The system as a whole: uname(2), sysinfo(2), getrandom(2), reboot(2), names of the host.

use super::arguments::{UserBuffer, UserPtr, zeroed};
use crate::hw::{clock, frames, power};
use crate::proc::process::{Answer, Current, give_reset_keys_to_init, with_tree};
use crate::proc::{host, load, random};
use core::mem::offset_of;
use linux_raw_sys::general;
use linux_raw_sys::system::{new_utsname, sysinfo as SystemInformation};
use logic::errno::Errno;

/// Bytes of each string of uname(2), with its NUL.
const FIELD_BYTES: usize = host::NAME_BYTES + 1;

/// uname(2).
pub fn uname(current: &mut Current, target: UserPtr<[u8; size_of::<new_utsname>()]>) -> Answer {
    let (host, domain) = (host::HOST.get(), host::DOMAIN.get());
    let mut bytes = [0; size_of::<new_utsname>()];
    for (offset, text) in [
        (offset_of!(new_utsname, sysname), host::SYSTEM.as_bytes()),
        (offset_of!(new_utsname, nodename), &host),
        (offset_of!(new_utsname, release), host::RELEASE.as_bytes()),
        (offset_of!(new_utsname, version), host::VERSION.as_bytes()),
        (offset_of!(new_utsname, machine), host::MACHINE.as_bytes()),
        (offset_of!(new_utsname, domainname), &domain),
    ] {
        let field = &mut bytes[offset..offset + FIELD_BYTES - 1];
        field.iter_mut().zip(text).for_each(|(place, byte)| *place = *byte);
    }
    target.write(&current.task, &bytes)?;
    Ok(0)
}

fn change_name(current: &Current, name: &host::Changeable, buffer: UserBuffer) -> Answer {
    if !current.task.credentials().is_privileged() {
        return Err(Errno::EPERM.into());
    }
    name.set(&buffer.read(&current.task, host::NAME_BYTES)?);
    Ok(0)
}

/// sethostname(2).
pub fn sethostname(current: &mut Current, name: UserBuffer) -> Answer {
    change_name(current, &host::HOST, name)
}

/// setdomainname(2).
pub fn setdomainname(current: &mut Current, name: UserBuffer) -> Answer {
    change_name(current, &host::DOMAIN, name)
}

/// sysinfo(2).
pub fn sysinfo(current: &mut Current, target: UserPtr<[u8; size_of::<SystemInformation>()]>) -> Answer {
    let statistics = frames::statistics();
    let total: u64 = statistics.zones.iter().map(|zone| zone.total).sum();
    let processes = with_tree(|tree| tree.processes().count()).unwrap_or(0);
    let [one, five, fifteen] = load::averages().for_sysinfo();
    let mut bytes = [0; size_of::<SystemInformation>()];
    for (offset, word) in [
        (offset_of!(SystemInformation, uptime), clock::now().nanoseconds() / 1_000_000_000),
        (offset_of!(SystemInformation, totalram), total * 4096),
        (offset_of!(SystemInformation, freeram), frames::free_frames() * 4096),
        (offset_of!(SystemInformation, loads), one),
        (offset_of!(SystemInformation, loads) + 8, five),
        (offset_of!(SystemInformation, loads) + 16, fifteen),
    ] {
        bytes[offset..offset + 8].copy_from_slice(&word.to_le_bytes());
    }
    let count = u16::try_from(processes).unwrap_or(u16::MAX);
    let place = offset_of!(SystemInformation, procs);
    bytes[place..place + 2].copy_from_slice(&count.to_le_bytes());
    let place = offset_of!(SystemInformation, mem_unit);
    bytes[place..place + 4].copy_from_slice(&1u32.to_le_bytes());
    target.write(&current.task, &bytes)?;
    Ok(0)
}

/// getrandom(2).
pub fn getrandom(current: &mut Current, buffer: UserBuffer, flags: u32) -> Answer {
    const PIECE: usize = 4096;
    const KNOWN: u32 = general::GRND_NONBLOCK | general::GRND_RANDOM | general::GRND_INSECURE;
    let both = general::GRND_RANDOM | general::GRND_INSECURE;
    if flags & !KNOWN != 0 || flags & both == both {
        return Err(Errno::EINVAL.into());
    }
    let mut done = 0;
    let mut piece = zeroed(buffer.length.min(PIECE))?;
    while done < buffer.length {
        let wanted = (buffer.length - done).min(PIECE);
        let bytes = piece.get_mut(..wanted).unwrap_or_default();
        random::fill(bytes);
        match buffer.part(done, wanted).write(&current.task, bytes) {
            Ok(_) => done += wanted,
            Err(_) if done > 0 => break,
            Err(error) => return Err(error.into()),
        }
        if current.task.wants_attention() {
            break;
        }
    }
    Ok(done as u64)
}

/// reboot(2).
pub fn reboot(current: &mut Current, first: u32, second: u32, command: u32, _: u64) -> Answer {
    const MAGIC: u32 = general::LINUX_REBOOT_MAGIC1;
    const SECOND: [u32; 4] = [
        general::LINUX_REBOOT_MAGIC2,
        general::LINUX_REBOOT_MAGIC2A,
        general::LINUX_REBOOT_MAGIC2B,
        general::LINUX_REBOOT_MAGIC2C,
    ];
    if !current.task.credentials().is_privileged() {
        return Err(Errno::EPERM.into());
    }
    if first != MAGIC || !SECOND.contains(&second) {
        return Err(Errno::EINVAL.into());
    }
    match command {
        general::LINUX_REBOOT_CMD_RESTART => {
            log::info!("init asks for a reset");
            power::reboot()
        }
        general::LINUX_REBOOT_CMD_POWER_OFF => {
            log::info!("init switches the machine off");
            power::power_off()
        }
        general::LINUX_REBOOT_CMD_HALT => {
            log::info!("halted");
            crate::hw::cpu::halt()
        }
        general::LINUX_REBOOT_CMD_CAD_ON | general::LINUX_REBOOT_CMD_CAD_OFF => {
            give_reset_keys_to_init(command == general::LINUX_REBOOT_CMD_CAD_OFF);
            Ok(0)
        }
        _ => Err(Errno::EINVAL.into()),
    }
}

/// personality(2): Linux's own.
pub fn personality(_: &mut Current, wanted: u32) -> Answer {
    match wanted {
        0 | u32::MAX => Ok(0),
        _ => Err(Errno::EINVAL.into()),
    }
}
