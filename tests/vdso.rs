//! The vDSO as C libraries and debuggers see it: an ELF file in one page, with every function under both of its names.

use elf::ElfBytes;
use elf::abi::{DT_HASH, DT_NULL, DT_STRTAB, DT_SYMTAB, DT_VERDEF, DT_VERSYM, ET_DYN, PF_R, PF_X, PT_DYNAMIC, PT_LOAD};
use elf::abi::{SHN_UNDEF, STB_GLOBAL, STB_WEAK, STT_FUNC};
use elf::endian::LittleEndian;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const FUNCTIONS: [&str; 4] = ["clock_gettime", "gettimeofday", "time", "getcpu"];

/// The file, assembled as `scripts/build.rs` does it.
fn image(name: &str) -> Vec<u8> {
    let output = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let status = Command::new("nasm")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["-f", "bin", "-Werror", "-i", "asm", "-o"])
        .arg(&output)
        .arg("asm/vdso.asm")
        .status();
    assert!(status.expect("nasm runs; scripts/setup.sh installs it").success());
    fs::read(output).expect("nasm has written it")
}

fn parse(image: &[u8]) -> ElfBytes<'_, LittleEndian> {
    ElfBytes::minimal_parse(image).expect("it is an ELF file")
}

#[test]
fn it_is_loaded_as_one_page_that_nobody_writes_to() {
    let image = image("loaded.so");
    let file = parse(&image);
    assert_eq!(file.ehdr.e_type, ET_DYN);
    let segments = file.segments().expect("it has program headers");
    let loaded: Vec<_> = segments.iter().filter(|segment| segment.p_type == PT_LOAD).collect();
    assert_eq!(loaded.len(), 1);
    assert_eq!((loaded[0].p_offset, loaded[0].p_vaddr, loaded[0].p_flags), (0, 0, PF_R | PF_X));
    assert_eq!((loaded[0].p_filesz, loaded[0].p_memsz), (image.len() as u64, image.len() as u64));
    assert!(image.len() <= 4096);
}

#[test]
fn every_function_is_found_by_both_names_with_its_version() {
    let image = image("names.so");
    let file = parse(&image);
    let data = file.find_common_data().expect("its sections are where their headers say");
    let (symbols, names, hash) = (data.dynsyms.unwrap(), data.dynsyms_strs.unwrap(), data.sysv_hash.unwrap());
    let versions = file.symbol_version_table().expect("its versions can be read").expect("it has versions");
    for function in FUNCTIONS {
        for (name, binding) in [(format!("__vdso_{function}"), STB_GLOBAL), (function.into(), STB_WEAK)] {
            let found = hash.find(name.as_bytes(), &symbols, &names).expect("the hash table can be read");
            let (index, symbol) = found.unwrap_or_else(|| panic!("{name} is not found"));
            assert_eq!((symbol.st_symtype(), symbol.st_bind()), (STT_FUNC, binding), "{name}");
            let section = file.section_headers().unwrap().get(symbol.st_shndx.into()).expect("its section is there");
            assert_ne!(symbol.st_shndx, SHN_UNDEF, "{name}");
            let code = section.sh_addr..section.sh_addr + section.sh_size;
            assert!(code.contains(&symbol.st_value) && symbol.st_size > 0, "{name}");
            assert!(symbol.st_value + symbol.st_size <= code.end, "{name}");
            let version = versions.get_definition(index).unwrap().expect("it has a version");
            assert_eq!(version.names.map(Result::unwrap).collect::<Vec<_>>(), ["LINUX_2.6"], "{name}");
            assert_eq!(version.hash, 0x3ae_75f6, "{name}");
        }
    }
    assert!(hash.find(b"__vdso_clock_settime", &symbols, &names).unwrap().is_none());
}

#[test]
fn the_dynamic_section_says_what_the_section_headers_say() {
    let image = image("dynamic.so");
    let file = parse(&image);
    let segments = file.segments().expect("it has program headers");
    let dynamic = segments.iter().find(|segment| segment.p_type == PT_DYNAMIC).expect("it has one");
    let entries: Vec<_> = file.dynamic().unwrap().expect("it can be read").iter().collect();
    assert_eq!(entries.last().map(|entry| entry.d_tag), Some(DT_NULL));
    let headers = [
        (DT_STRTAB, ".dynstr"),
        (DT_SYMTAB, ".dynsym"),
        (DT_HASH, ".hash"),
        (DT_VERSYM, ".gnu.version"),
        (DT_VERDEF, ".gnu.version_d"),
    ];
    for (tag, name) in headers {
        let entry = entries.iter().find(|entry| entry.d_tag == tag).unwrap_or_else(|| panic!("no {name}"));
        let section = file.section_header_by_name(name).unwrap().unwrap_or_else(|| panic!("no header of {name}"));
        assert_eq!(entry.d_ptr(), section.sh_addr, "{name}");
        assert_eq!(section.sh_addr, section.sh_offset, "{name}");
    }
    assert_eq!(file.section_header_by_name(".dynamic").unwrap().unwrap().sh_addr, dynamic.p_vaddr);
}
