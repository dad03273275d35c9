//! The kernel's symbol table, made of its ELF file: `logic::symbols` has the format.
//!
//! Every function of the symbol table proper is in it, by address and once; its name is demangled and without its hash, so
//! that the same sources give the same table.

use crate::Result;
use elf::ElfBytes;
use elf::abi::STT_FUNC;
use elf::endian::LittleEndian;
use std::collections::BTreeMap;

/// The table, and how many functions are in it.
pub fn table(file: &[u8]) -> Result<(Vec<u8>, usize)> {
    let (functions, end) = functions(file)?;
    let mut table = Vec::new();
    let symbols = functions.iter().map(|(address, name)| (*address, name.as_str()));
    logic::symbols::encode(symbols, end, &mut table).ok_or("the last function ends before it starts")?;
    Ok((table, functions.len()))
}

/// Names by address, and where the last function ends: with its section, for those of assembly have no size.
fn functions(file: &[u8]) -> Result<(BTreeMap<u64, String>, u64)> {
    let elf = ElfBytes::<LittleEndian>::minimal_parse(file).map_err(|error| format!("not an ELF file: {error}"))?;
    let (symbols, names) = elf.symbol_table().map_err(|error| error.to_string())?.ok_or("no symbol table")?;
    let sections = elf.section_headers().ok_or("no section headers")?;
    let mut functions: BTreeMap<u64, String> = BTreeMap::new();
    let mut end = 0;
    for symbol in symbols.iter().filter(|symbol| symbol.st_symtype() == STT_FUNC && !symbol.is_undefined()) {
        let mangled = names.get(symbol.st_name as usize).map_err(|error| format!("a symbol's name: {error}"))?;
        let name = format!("{:#}", rustc_demangle::demangle(mangled));
        let section = sections.get(symbol.st_shndx.into()).map_err(|error| format!("{name}: {error}"))?;
        end = end.max(section.sh_addr.saturating_add(section.sh_size));
        // Of several names for one address the first in the alphabet stands for all, whatever their order in the file.
        if !name.is_empty() && functions.get(&symbol.st_value).is_none_or(|other| name < *other) {
            functions.insert(symbol.st_value, name);
        }
    }
    Ok((functions, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use logic::symbols::SymbolTable;
    use proptest::prelude::*;

    const FUNC: u8 = 2;
    const OBJECT: u8 = 1;

    /// An ELF file of nothing but a symbol table: type, address, name, all in a section from 0x1000 to 0x2010.
    fn elf_file(symbols: &[(u8, u64, &str)]) -> Vec<u8> {
        let mut names = vec![0];
        let mut entries = vec![0; 24];
        for (kind, address, name) in symbols {
            entries.extend((names.len() as u32).to_le_bytes());
            entries.extend([*kind, 0, 3, 0]);
            entries.extend([*address, 0].iter().flat_map(|number| number.to_le_bytes()));
            names.extend(name.bytes().chain([0]));
        }
        let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
        file.extend([0_u64, 0, 64].iter().flat_map(|number| number.to_le_bytes()));
        file.extend([0, 0, 0, 0, 64, 0, 0, 0, 0, 0, 64, 0, 4, 0, 0, 0]);
        let entries_at = 64 + 4 * 64;
        for (kind, address, offset, size, link, entry_size) in [
            (0_u32, 0_u64, 0, 0, 0_u32, 0_u64),
            (2, 0, entries_at, entries.len(), 2, 24),
            (3, 0, entries_at + entries.len(), names.len(), 0, 0),
            (1, 0x1000, 0, 0x1010, 0, 0),
        ] {
            file.extend([0, kind].iter().flat_map(|number| number.to_le_bytes()));
            file.extend([0, address, offset as u64, size as u64].iter().flat_map(|number| number.to_le_bytes()));
            file.extend([link, 0].iter().flat_map(|number| number.to_le_bytes()));
            file.extend([1, entry_size].iter().flat_map(|number| number.to_le_bytes()));
        }
        file.extend(entries);
        file.extend(names);
        file
    }

    #[test]
    fn functions_are_found_by_address_and_under_readable_names() {
        let file = elf_file(&[
            (FUNC, 0x2000, "_ZN6kernel5panic17h0123456789abcdefE"),
            (OBJECT, 0x1800, "table"),
            (FUNC, 0x1000, "memcpy"),
            (FUNC, 0x1000, "bcopy"),
        ]);
        let (table, count) = table(&file).unwrap();
        let symbols = SymbolTable::new(&table).unwrap();
        let name = |address| symbols.lookup(address).map(|(name, _)| name.to_string());
        assert_eq!(count, 2);
        assert_eq!(name(0x1900).as_deref(), Some("bcopy"));
        assert_eq!(name(0x200f).as_deref(), Some("kernel::panic"));
        assert_eq!(name(0x2010), None);
    }

    #[test]
    fn a_file_without_symbols_is_refused() {
        assert!(table(b"").is_err());
        let mut stripped = elf_file(&[]);
        stripped[64 + 64 + 4] = 1;
        assert!(table(&stripped).unwrap_err().contains("no symbol table"));
    }

    proptest! {
        #[test]
        fn a_damaged_file_never_panics(
            damage in prop::collection::vec((0_usize..450, any::<u8>()), 1..8),
            length in 0_usize..450,
        ) {
            let mut file = elf_file(&[(FUNC, 0x1000, "one"), (FUNC, 0x1010, "other")]);
            for (at, value) in damage {
                if let Some(byte) = file.get_mut(at) {
                    *byte = value;
                }
            }
            file.truncate(length.max(64));
            let _ = table(&file);
        }
    }
}
