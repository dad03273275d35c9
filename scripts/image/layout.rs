//! Where everything lies in a raw image: the fields of the boot sector and the payload table of stage 2.
//!
//! This is the host's side of the contract with `asm/loader/sector.asm` and `asm/loader/stage2.asm`; a test assembles
//! both and compares. All numbers are little-endian.

use crate::{Result, pack};

pub const SECTOR: usize = 512;

// The boot sector.
pub const STAGE2_SECTORS_AT: usize = 434;
pub const STAGE2_CRC_AT: usize = 436;
pub const DISK_SIGNATURE_AT: usize = 440;
pub const PARTITIONS_AT: usize = 446;
pub const BOOT_SIGNATURE_AT: usize = 510;

// Stage 2 and its payload table.
pub const STAGE2_LBA: u32 = 1;
pub const STAGE2_SECTORS_MAX: usize = 16;
pub const STAGE2_MAGIC: [u8; 4] = *b"ERS2";
pub const TABLE_VERSION: u8 = 2;
pub const TABLE_BYTES: usize = COMMAND_LINE_AT + COMMAND_LINE_BYTES;
const VERSION_AT: usize = 7;
const KERNEL_AT: usize = 8;
const INITRAMFS_AT: usize = 32;
const KERNEL_ENTRY_AT: usize = 56;
const FRAMEBUFFER_AT: usize = 60;
const COMMAND_LINE_LENGTH_AT: usize = 66;
const COMMAND_LINE_AT: usize = 68;
const COMMAND_LINE_BYTES: usize = 1024;
/// What fits with its terminating NUL.
pub const COMMAND_LINE_MAX: usize = COMMAND_LINE_BYTES - 1;

/// The partition, and with it the payload, begins where every partitioning tool begins the first: at 1 MiB.
pub const PARTITION_LBA: u32 = 2048;

/// One thing that stage 2 loads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    pub lba: u32,
    /// In the image, packed.
    pub bytes: u32,
    /// Of those.
    pub crc: u32,
    pub unpacked: u32,
    /// 0 for the initramfs: stage 2 chooses.
    pub address: u32,
    /// Bytes of memory from there on: for unpacking, and for the kernel's .bss.
    pub room: u32,
}

impl Payload {
    /// Sectors in the image.
    pub fn sectors(&self) -> u32 {
        self.bytes.div_ceil(512)
    }
}

/// Size and depth of the framebuffer that the kernel asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framebuffer {
    pub width: u16,
    pub height: u16,
    pub depth: u16,
}

/// All that stage 2 is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadTable {
    pub kernel: Payload,
    pub initramfs: Payload,
    pub kernel_entry: u32,
    /// None: text mode.
    pub framebuffer: Option<Framebuffer>,
    pub command_line: String,
}

impl PayloadTable {
    /// Fills the table in at the start of `stage2`, which must be an assembled stage 2.
    pub fn store(&self, stage2: &mut [u8]) -> Result<()> {
        check_stage2(stage2)?;
        let command_line = self.command_line.as_bytes();
        if command_line.len() > COMMAND_LINE_MAX || command_line.contains(&0) {
            return Err(format!("the command line must have at most {COMMAND_LINE_MAX} bytes, none of them NUL"));
        }
        put_payload(stage2, KERNEL_AT, &self.kernel);
        put_payload(stage2, INITRAMFS_AT, &self.initramfs);
        put(stage2, KERNEL_ENTRY_AT, &self.kernel_entry.to_le_bytes());
        let size = self.framebuffer.map_or([0; 3], |wanted| [wanted.width, wanted.height, wanted.depth]);
        for (index, number) in size.iter().enumerate() {
            put(stage2, FRAMEBUFFER_AT + 2 * index, &number.to_le_bytes());
        }
        let length = u16::try_from(command_line.len()).map_err(|error| error.to_string())?;
        put(stage2, COMMAND_LINE_LENGTH_AT, &length.to_le_bytes());
        stage2[COMMAND_LINE_AT..TABLE_BYTES].fill(0);
        put(stage2, COMMAND_LINE_AT, command_line);
        Ok(())
    }

    /// Reads the table back.
    pub fn load(stage2: &[u8]) -> Result<Self> {
        check_stage2(stage2)?;
        let [width, height, depth] = [0, 2, 4].map(|offset| get_u16(stage2, FRAMEBUFFER_AT + offset));
        let length = usize::from(get_u16(stage2, COMMAND_LINE_LENGTH_AT)).min(COMMAND_LINE_MAX);
        Ok(Self {
            kernel: get_payload(stage2, KERNEL_AT),
            initramfs: get_payload(stage2, INITRAMFS_AT),
            kernel_entry: get_u32(stage2, KERNEL_ENTRY_AT),
            framebuffer: (width != 0).then_some(Framebuffer { width, height, depth }),
            command_line: String::from_utf8_lossy(&stage2[COMMAND_LINE_AT..COMMAND_LINE_AT + length]).into_owned(),
        })
    }
}

fn check_stage2(stage2: &[u8]) -> Result<()> {
    if stage2.len() < TABLE_BYTES || stage2[..4] != STAGE2_MAGIC {
        return Err("there is no stage 2 of the Eres loader".to_string());
    }
    match stage2[VERSION_AT] {
        TABLE_VERSION => Ok(()),
        other => Err(format!("stage 2 has payload table version {other}, not {TABLE_VERSION}")),
    }
}

/// An image's own account of itself, one `name: value` a line, with every checksum tried.
pub fn describe(image: &[u8]) -> Result<String> {
    let boot_sector = image.get(..SECTOR).ok_or("the image is shorter than a sector")?;
    if boot_sector[BOOT_SIGNATURE_AT..] != [0x55, 0xaa] {
        return Err("the image has no boot sector".to_string());
    }
    let sectors = u32::from(get_u16(boot_sector, STAGE2_SECTORS_AT));
    let crc = get_u32(boot_sector, STAGE2_CRC_AT);
    let bytes = sectors * 512;
    let stage2 = Payload { lba: STAGE2_LBA, bytes, crc, unpacked: bytes, address: 0x8000, room: bytes };
    let table = PayloadTable::load(image.get(SECTOR..).unwrap_or_default())?;

    let mut lines = Vec::new();
    for (name, payload) in [("stage2", &stage2), ("kernel", &table.kernel), ("initramfs", &table.initramfs)] {
        lines.extend([
            format!("{name}.lba: {}", payload.lba),
            format!("{name}.bytes: {}", payload.bytes),
            format!("{name}.sectors: {}", payload.sectors()),
            format!("{name}.crc: {:#010x}", payload.crc),
            format!("{name}.unpacked: {}", payload.unpacked),
            format!("{name}.address: {:#x}", payload.address),
            format!("{name}.room: {}", payload.room),
            format!("{name}.state: {}", state(image, payload)),
        ]);
    }
    let framebuffer = table
        .framebuffer
        .map_or("text".to_string(), |Framebuffer { width, height, depth }| format!("{width}x{height}x{depth}"));
    lines.extend([
        format!("kernel.entry: {:#x}", table.kernel_entry),
        format!("framebuffer: {framebuffer}"),
        format!("command_line: {}", table.command_line),
    ]);
    Ok(lines.join("\n"))
}

fn state(image: &[u8], payload: &Payload) -> &'static str {
    if payload.bytes == 0 {
        return "none";
    }
    let bytes = usize::try_from(payload.lba)
        .ok()
        .and_then(|lba| image.get(lba.checked_mul(SECTOR)?..))
        .and_then(|rest| rest.get(..usize::try_from(payload.bytes).ok()?));
    match bytes {
        Some(bytes) if crc32fast::hash(bytes) != payload.crc => "damaged",
        Some(bytes) if !unpacks(bytes, payload) => "not as packed",
        Some(_) => "ok",
        None => "truncated",
    }
}

/// Stage 2 itself is not packed.
fn unpacks(bytes: &[u8], payload: &Payload) -> bool {
    payload.lba == STAGE2_LBA || pack::unpack(bytes, payload.unpacked as usize).is_ok()
}

fn put_payload(bytes: &mut [u8], at: usize, payload: &Payload) {
    let Payload { lba, bytes: length, crc, unpacked, address, room } = *payload;
    let fields = [lba, length, crc, unpacked, address, room];
    for (index, field) in fields.iter().enumerate() {
        put(bytes, at + 4 * index, &field.to_le_bytes());
    }
}

fn get_payload(bytes: &[u8], at: usize) -> Payload {
    let [lba, length, crc, unpacked, address, room] = [0, 4, 8, 12, 16, 20].map(|offset| get_u32(bytes, at + offset));
    Payload { lba, bytes: length, crc, unpacked, address, room }
}

/// Overwrites `bytes` from `at`. The caller has checked that the field lies inside.
pub fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// Number at `at`. The caller has checked that the field lies inside.
pub fn get_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// Number at `at`. The caller has checked that the field lies inside.
pub fn get_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;
    use std::process::Command;

    /// The assembled `asm/loader/<name>.asm`, and the listing's symbols as (name, address).
    pub fn assemble(name: &str) -> (Vec<u8>, Vec<(String, usize)>) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("asm/loader");
        let unique = format!("eres-layout-{name}-{}-{:?}", std::process::id(), std::thread::current().id());
        let output = std::env::temp_dir().join(unique);
        let map = output.with_extension("map");
        let wrapper = output.with_extension("asm");
        std::fs::write(&wrapper, format!("[map symbols {}]\n%include \"{name}.asm\"\n", map.display())).unwrap();
        let status = Command::new("nasm")
            .args(["-f", "bin", "-Werror", "-i"])
            .arg(format!("{}/", source.display()))
            .arg("-o")
            .args([&output, &wrapper])
            .status()
            .expect("nasm is needed to build Eres; scripts/setup.sh installs it");
        assert!(status.success(), "nasm refuses asm/loader/{name}.asm");
        let bytes = std::fs::read(&output).unwrap();
        let symbols = std::fs::read_to_string(&map).unwrap();
        for file in [&output, &map, &wrapper] {
            std::fs::remove_file(file).unwrap();
        }
        // Lines of the map: real address, virtual address, name.
        let symbols = symbols.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = usize::from_str_radix(words.next()?, 16).ok()?;
            Some((words.nth(1)?.to_string(), address))
        });
        (bytes, symbols.collect())
    }

    fn address(symbols: &[(String, usize)], name: &str) -> usize {
        symbols.iter().find(|(symbol, _)| symbol == name).unwrap_or_else(|| panic!("no symbol {name}")).1
    }

    #[test]
    fn the_boot_sector_has_its_fields_where_we_fill_them_in() {
        let (bytes, symbols) = assemble("sector");
        assert_eq!(bytes.len(), SECTOR);
        assert_eq!(bytes[BOOT_SIGNATURE_AT..], [0x55, 0xaa]);
        assert_eq!(address(&symbols, "stage2_sectors") - 0x7c00, STAGE2_SECTORS_AT);
        assert_eq!(address(&symbols, "stage2_crc") - 0x7c00, STAGE2_CRC_AT);
        assert!(bytes[STAGE2_SECTORS_AT..BOOT_SIGNATURE_AT].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn stage_2_has_its_table_where_we_fill_it_in() {
        let (bytes, symbols) = assemble("stage2");
        assert!(bytes.len() <= STAGE2_SECTORS_MAX * SECTOR);
        check_stage2(&bytes).unwrap();
        let offset = |name| address(&symbols, name) - 0x8000;
        assert_eq!(offset("kernel"), KERNEL_AT);
        assert_eq!(offset("initramfs"), INITRAMFS_AT);
        assert_eq!(offset("kernel_entry"), KERNEL_ENTRY_AT);
        assert_eq!(offset("preferred_width"), FRAMEBUFFER_AT);
        assert_eq!(offset("preferred_height"), FRAMEBUFFER_AT + 2);
        assert_eq!(offset("preferred_depth"), FRAMEBUFFER_AT + 4);
        assert_eq!(offset("command_line_bytes"), COMMAND_LINE_LENGTH_AT);
        assert_eq!(offset("command_line"), COMMAND_LINE_AT);
        assert_eq!(offset("real_mode_entry"), TABLE_BYTES);
    }

    #[test]
    fn a_command_line_that_does_not_fit_is_refused() {
        let (mut stage2, _) = assemble("stage2");
        let mut table = PayloadTable::load(&stage2).unwrap();
        table.command_line = "x".repeat(COMMAND_LINE_MAX);
        table.store(&mut stage2).unwrap();
        assert_eq!(PayloadTable::load(&stage2).unwrap(), table);
        table.command_line.push('x');
        assert!(table.store(&mut stage2).is_err());
        table.command_line = "a\0b".to_string();
        assert!(table.store(&mut stage2).is_err());
    }

    proptest! {
        #[test]
        fn describing_any_bytes_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..4096), head: bool) {
            if head && bytes.len() > SECTOR + 8 {
                put(&mut bytes, BOOT_SIGNATURE_AT, &[0x55, 0xaa]);
                put(&mut bytes, SECTOR, &STAGE2_MAGIC);
                bytes[SECTOR + VERSION_AT] = TABLE_VERSION;
            }
            let _ = describe(&bytes);
        }
    }
}
