//! The kernel's own symbol table: which function an address lies in.
//!
//! `scripts/link.sh` puts the table behind the kernel's constants; the tool `image symbols` makes it of the ELF file's symbols
//! with [`encode`], and a panic reads it with [`SymbolTable`]. Both are here, and so is the format, in this order:
//!
//! 1. an entry for each function, by address: the distance from the entry before (from 0 for the first) in LEB128; how many
//!    bytes of that entry's name this one's begins with; how many are its own; those bytes, in UTF-8;
//! 2. one more entry, without a name: where the last function ends.
//!
//! Looking up reads the table from its start, a few KiB, and needs no memory but the name's: it is for the end of the world.

use arrayvec::ArrayString;
use core::str;

/// Bytes of the longest name; longer ones are cut.
pub const MAX_NAME: usize = 128;

/// A function's name, as `kernel::hw::trap::install`.
pub type Name = ArrayString<MAX_NAME>;

/// A table that was read through once and found whole.
#[derive(Clone, Copy, Debug)]
pub struct SymbolTable<'a>(&'a [u8]);

impl<'a> SymbolTable<'a> {
    /// `None` if `bytes` are no whole table; no bytes at all are what a kernel has that was linked without one.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let mut entries = Entries::new(bytes);
        while !entries.rest.is_empty() {
            entries.advance()?;
        }
        (!bytes.is_empty() && entries.name.is_empty()).then_some(Self(bytes))
    }

    /// The function that `address` lies in, and how far behind its start.
    pub fn lookup(&self, address: u64) -> Option<(Name, u64)> {
        let mut entries = Entries::new(self.0);
        let mut found = None;
        while entries.advance().is_some() && entries.address <= address {
            found = Some((entries.name, address - entries.address));
        }
        found.filter(|(name, _)| !name.is_empty())
    }
}

/// The table of `symbols`, which come by address, none twice, and whose last ends at `end`. `None` if the order is another.
pub fn encode<'a>(
    symbols: impl IntoIterator<Item = (u64, &'a str)>,
    end: u64,
    table: &mut impl Extend<u8>,
) -> Option<()> {
    let mut last_address = 0;
    let mut last_name = "";
    for (address, name) in symbols.into_iter().chain([(end, "")]) {
        let name = &name[..name.floor_char_boundary(MAX_NAME)];
        let mut distance = address.checked_sub(last_address)?;
        while distance >= 0x80 {
            table.extend([distance as u8 | 0x80]);
            distance >>= 7;
        }
        let same = name.bytes().zip(last_name.bytes()).take_while(|(own, other)| own == other).count();
        let (shared, own) = name.split_at(name.floor_char_boundary(same));
        // Neither is longer than MAX_NAME.
        table.extend([distance as u8, shared.len() as u8, own.len() as u8]);
        table.extend(own.bytes());
        (last_address, last_name) = (address, name);
    }
    Some(())
}

/// A way through the entries.
struct Entries<'a> {
    rest: &'a [u8],
    address: u64,
    name: Name,
}

impl<'a> Entries<'a> {
    fn new(table: &'a [u8]) -> Self {
        Self { rest: table, address: 0, name: Name::new_const() }
    }

    /// Goes on to the next entry; `None` if there is none.
    fn advance(&mut self) -> Option<()> {
        self.address = self.address.checked_add(self.distance()?)?;
        let shared = usize::from(self.byte()?);
        let own = usize::from(self.byte()?);
        let (own, rest) = self.rest.split_at_checked(own)?;
        self.rest = rest;
        // False too where the name is shorter.
        if !self.name.is_char_boundary(shared) {
            return None;
        }
        self.name.truncate(shared);
        self.name.try_push_str(str::from_utf8(own).ok()?).ok()
    }

    /// A number in LEB128, less than 2^63.
    fn distance(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        // The tenth byte has the sixty-fourth bit: the first address of a kernel in the upper half.
        let byte = self.byte()?;
        (byte <= 1).then(|| number | u64::from(byte) << 63)
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn table(symbols: &[(u64, &str)], end: u64) -> Vec<u8> {
        let mut table = Vec::new();
        encode(symbols.iter().copied(), end, &mut table).unwrap();
        table
    }

    const BASE: u64 = 0xffff_ffff_8010_1000;

    #[test]
    fn an_address_is_found_in_the_function_that_holds_it() {
        let bytes =
            table(&[(BASE, "kernel::one"), (BASE + 16, "kernel::other"), (BASE + 0x1000, "memcpy")], BASE + 0x1010);
        let symbols = SymbolTable::new(&bytes).unwrap();
        let found = |address| symbols.lookup(address).map(|(name, offset)| (name.to_string(), offset));
        assert_eq!(found(BASE - 1), None);
        assert_eq!(found(BASE), Some(("kernel::one".into(), 0)));
        assert_eq!(found(BASE + 15), Some(("kernel::one".into(), 15)));
        assert_eq!(found(BASE + 16), Some(("kernel::other".into(), 0)));
        assert_eq!(found(BASE + 0x100f), Some(("memcpy".into(), 15)));
        assert_eq!(found(BASE + 0x1010), None);
        assert_eq!(found(u64::MAX), None);
    }

    #[test]
    fn what_two_names_begin_with_is_stored_once() {
        let alone = table(&[(0, "kernel::drivers::console::attach")], 9).len();
        let both = table(&[(0, "kernel::drivers::console::attach"), (8, "kernel::drivers::console::start")], 9).len();
        assert_eq!(both - alone, 3 + "start".len());
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let long = format!("{}ää", "x".repeat(MAX_NAME - 1));
        let bytes = table(&[(1, &long)], 2);
        let (name, _) = SymbolTable::new(&bytes).unwrap().lookup(1).unwrap();
        assert_eq!(&name, &long[..MAX_NAME - 1]);
    }

    #[test]
    fn no_table_and_half_a_table_are_refused() {
        let bytes = table(&[(BASE, "one"), (BASE + 300, "other")], BASE + 400);
        assert!((0..bytes.len()).all(|length| SymbolTable::new(&bytes[..length]).is_none()));
        assert!(encode([(2, "b"), (1, "a")], 3, &mut Vec::new()).is_none());
    }

    proptest! {
        #[test]
        fn every_symbol_is_found_again(
            symbols in prop::collection::btree_map(any::<u64>(), "(alpha|beta)::\\PC{1,40}", 1..40),
            addresses in prop::collection::vec(any::<u64>(), 0..20),
        ) {
            let symbols: BTreeMap<u64, String> = symbols;
            let mut bytes = Vec::new();
            encode(symbols.iter().map(|(address, name)| (*address, name.as_str())), u64::MAX, &mut bytes).unwrap();
            let table = SymbolTable::new(&bytes).unwrap();
            for address in symbols.keys().copied().chain(addresses).filter(|address| *address != u64::MAX) {
                let expected = symbols.range(..=address).next_back();
                let expected = expected.map(|(start, name)| (name[..name.floor_char_boundary(MAX_NAME)].to_owned(), address - start));
                prop_assert_eq!(table.lookup(address).map(|(name, offset)| (name.to_string(), offset)), expected);
            }
        }

        #[test]
        fn a_garbled_table_is_refused_or_answers_but_never_panics(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            damage in prop::collection::vec((0_usize..60, any::<u8>()), 0..6),
            address in any::<u64>(),
        ) {
            let mut garbled = table(&[(BASE, "kernel::one"), (BASE + 300, "kernel::ähnlich"), (BASE + 301, "memcpy")], BASE + 400);
            for (at, value) in damage {
                if let Some(byte) = garbled.get_mut(at) {
                    *byte = value;
                }
            }
            for bytes in [&bytes, &garbled] {
                if let Some(table) = SymbolTable::new(bytes) {
                    table.lookup(address);
                    table.lookup(BASE + 300);
                }
            }
        }
    }
}
