//! A terminal's settings: names, bits and layout are those of Linux (termios(3), `asm-generic/termbits.h`), which
//! programs are compiled with.

use bitflags::bitflags;

bitflags! {
    /// What happens to input.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[repr(transparent)]
    pub struct InputFlags: u32 {
        /// Strips the eighth bit.
        const ISTRIP = 0o40;
        /// Newline becomes carriage return.
        const INLCR = 0o100;
        /// Carriage return is ignored.
        const IGNCR = 0o200;
        /// Carriage return becomes newline.
        const ICRNL = 0o400;
        /// VSTOP and VSTART stop and start output.
        const IXON = 0o2000;
        /// Any character starts output.
        const IXANY = 0o4000;
        /// Rings the bell when the line is full.
        const IMAXBEL = 0o20000;
        /// Input is UTF-8: erasing takes whole characters.
        const IUTF8 = 0o40000;
        /// All others are kept, and do nothing.
        const _ = !0;
    }

    /// What happens to output.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[repr(transparent)]
    pub struct OutputFlags: u32 {
        /// Any of this happens at all.
        const OPOST = 0o1;
        /// Newline becomes carriage return and newline.
        const ONLCR = 0o4;
        /// Carriage return becomes newline.
        const OCRNL = 0o10;
        /// No carriage return at column 0.
        const ONOCR = 0o20;
        /// Newline returns the carriage.
        const ONLRET = 0o40;
        /// Tabs become blanks (TAB3).
        const XTABS = 0o14000;
        /// All others are kept, and do nothing.
        const _ = !0;
    }

    /// What the line is like; there is none that would care.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[repr(transparent)]
    pub struct ControlFlags: u32 {
        /// Speed 38400, which is what a terminal without a speed says.
        const B38400 = 0o17;
        /// Eight bits a character.
        const CS8 = 0o60;
        /// Can receive.
        const CREAD = 0o200;
        /// Has a parity bit.
        const PARENB = 0o400;
        /// All others are kept, and do nothing.
        const _ = !0;
    }

    /// What the discipline does.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[repr(transparent)]
    pub struct LocalFlags: u32 {
        /// VINTR, VQUIT and VSUSP raise signals.
        const ISIG = 0o1;
        /// Input comes by lines, which can be edited.
        const ICANON = 0o2;
        /// Input is echoed.
        const ECHO = 0o10;
        /// VERASE takes the character off the screen.
        const ECHOE = 0o20;
        /// VKILL is followed by a new line.
        const ECHOK = 0o40;
        /// Newline is echoed even without ECHO.
        const ECHONL = 0o100;
        /// Signals leave input and output as they are.
        const NOFLSH = 0o200;
        /// Background processes may not write; the layer that knows processes sees to that.
        const TOSTOP = 0o400;
        /// Control characters are echoed as `^X`.
        const ECHOCTL = 0o1000;
        /// VKILL takes the line off the screen.
        const ECHOKE = 0o4000;
        /// VLNEXT, VWERASE, VREPRINT and VEOL2 work.
        const IEXTEN = 0o100000;
        /// All others are kept, and do nothing.
        const _ = !0;
    }
}

/// Characters with a meaning, by their place in [`Termios::characters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Special {
    /// Interrupts: ^C.
    Interrupt = 0,
    /// Quits: ^\.
    Quit = 1,
    /// Takes the last character back: DEL.
    Erase = 2,
    /// Takes the line back: ^U.
    Kill = 3,
    /// Ends the file: ^D.
    EndOfFile = 4,
    /// Starts output: ^Q.
    Start = 8,
    /// Stops output: ^S.
    Stop = 9,
    /// Suspends: ^Z.
    Suspend = 10,
    /// Ends a line: none.
    EndOfLine = 11,
    /// Shows the line again: ^R.
    Reprint = 12,
    /// Takes the last word back: ^W.
    WordErase = 14,
    /// The next character means itself: ^V.
    LiteralNext = 15,
    /// Ends a line, too: none.
    EndOfLine2 = 16,
}

/// Places in [`Termios::characters`] that hold numbers: tenths of a second, bytes.
const VTIME: usize = 5;
const VMIN: usize = 6;
/// Characters there are places for.
pub const NCCS: usize = 19;
/// What stands for no character.
const DISABLED: u8 = 0;

/// `struct termios` as the system calls TCGETS and TCSETS pass it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Termios {
    /// `c_iflag`.
    pub input: InputFlags,
    /// `c_oflag`.
    pub output: OutputFlags,
    /// `c_cflag`.
    pub control: ControlFlags,
    /// `c_lflag`.
    pub local: LocalFlags,
    /// `c_line`: the line discipline's number, of which there is one.
    pub discipline: u8,
    /// `c_cc`.
    pub characters: [u8; NCCS],
}

/// Speeds by the low bits of `c_cflag`, and those for which `CBAUDEX` is set; of the latter, the first (`BOTHER`) has no name.
const SPEEDS: [u32; 16] = [0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19_200, 38_400];
const HIGH_SPEEDS: [u32; 16] = [
    38_400, 57_600, 115_200, 230_400, 460_800, 500_000, 576_000, 921_600, 1_000_000, 1_152_000, 1_500_000, 2_000_000,
    2_500_000, 3_000_000, 3_500_000, 4_000_000,
];

impl Termios {
    /// Bytes of `struct termios` as system calls pass it.
    pub const SIZE: usize = size_of::<Self>();

    /// All zeros, for a terminal that is not used yet.
    pub const UNSET: Self = Self {
        input: InputFlags::empty(),
        output: OutputFlags::empty(),
        control: ControlFlags::empty(),
        local: LocalFlags::empty(),
        discipline: 0,
        characters: [DISABLED; NCCS],
    };

    /// What a terminal has at first: Linux' `tty_std_termios`, with UTF-8.
    pub const fn cooked() -> Self {
        Self {
            input: InputFlags::ICRNL.union(InputFlags::IXON).union(InputFlags::IUTF8).union(InputFlags::IMAXBEL),
            output: OutputFlags::OPOST.union(OutputFlags::ONLCR),
            control: ControlFlags::B38400.union(ControlFlags::CS8).union(ControlFlags::CREAD),
            local: LocalFlags::ISIG
                .union(LocalFlags::ICANON)
                .union(LocalFlags::ECHO)
                .union(LocalFlags::ECHOE)
                .union(LocalFlags::ECHOK)
                .union(LocalFlags::ECHOCTL)
                .union(LocalFlags::ECHOKE)
                .union(LocalFlags::IEXTEN),
            discipline: 0,
            // ^C ^\ DEL ^U ^D, VTIME, VMIN, none, ^Q ^S ^Z, none, ^R ^O ^W ^V, none.
            characters: [3, 0x1c, 0x7f, 0x15, 4, 0, 1, 0, 0x11, 0x13, 0x1a, 0, 0x12, 0x0f, 0x17, 0x16, 0, 0, 0],
        }
    }

    /// These settings made raw, as cfmakeraw(3) does: every byte reaches the program, nothing is echoed.
    pub fn raw(mut self) -> Self {
        // IGNBRK, BRKINT and PARMRK, which do nothing here.
        self.input -= InputFlags::from_bits_retain(0o13);
        self.input -= InputFlags::ISTRIP | InputFlags::INLCR | InputFlags::IGNCR | InputFlags::ICRNL | InputFlags::IXON;
        self.output -= OutputFlags::OPOST;
        self.local -=
            LocalFlags::ECHO | LocalFlags::ECHONL | LocalFlags::ICANON | LocalFlags::ISIG | LocalFlags::IEXTEN;
        self.control -= ControlFlags::PARENB;
        self.control |= ControlFlags::CS8;
        self.characters[VMIN] = 1;
        self.characters[VTIME] = 0;
        self
    }

    /// Reads `struct termios` of a program's memory.
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let [i0, i1, i2, i3, o0, o1, o2, o3, c0, c1, c2, c3, l0, l1, l2, l3, discipline, characters @ ..] = *bytes;
        Self {
            input: InputFlags::from_bits_retain(u32::from_ne_bytes([i0, i1, i2, i3])),
            output: OutputFlags::from_bits_retain(u32::from_ne_bytes([o0, o1, o2, o3])),
            control: ControlFlags::from_bits_retain(u32::from_ne_bytes([c0, c1, c2, c3])),
            local: LocalFlags::from_bits_retain(u32::from_ne_bytes([l0, l1, l2, l3])),
            discipline,
            characters,
        }
    }

    /// The same for a program's memory.
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        let flags = [self.input.bits(), self.output.bits(), self.control.bits(), self.local.bits()];
        let mut bytes = [0; Self::SIZE];
        let fields = flags.into_iter().flat_map(u32::to_ne_bytes).chain([self.discipline]).chain(self.characters);
        bytes.iter_mut().zip(fields).for_each(|(slot, byte)| *slot = byte);
        bytes
    }

    /// The line's speed in bits a second, as the settings name it. No line here has one; programs like to see what they set.
    pub fn speed(&self) -> u32 {
        const EXTENDED: u32 = 0o10000;
        let code = self.control.bits() & (EXTENDED | 0o17);
        let (table, index) = if code & EXTENDED == 0 { (&SPEEDS, code) } else { (&HIGH_SPEEDS, code & 0o17) };
        usize::try_from(index).ok().and_then(|index| table.get(index).copied()).unwrap_or(0)
    }

    /// Whether `byte` has the meaning `special`.
    pub fn is(&self, byte: u8, special: Special) -> bool {
        byte != DISABLED && self.characters.get(special as usize) == Some(&byte)
    }

    /// VMIN: bytes that a raw read waits for.
    pub fn minimum(&self) -> usize {
        usize::from(self.characters[VMIN])
    }

    /// VTIME: tenths of a second that a raw read waits.
    pub fn tenths(&self) -> u8 {
        self.characters[VTIME]
    }

    /// Sets VMIN and VTIME.
    pub fn set_pace(&mut self, minimum: u8, tenths: u8) {
        self.characters[VMIN] = minimum;
        self.characters[VTIME] = tenths;
    }

    /// Whether input comes by lines.
    pub fn is_canonical(&self) -> bool {
        self.local.contains(LocalFlags::ICANON)
    }
}

/// `struct winsize` as TIOCGWINSZ and TIOCSWINSZ pass it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct WindowSize {
    /// Rows of characters.
    pub rows: u16,
    /// Columns of characters.
    pub columns: u16,
    /// Pixels across.
    pub width: u16,
    /// Pixels down.
    pub height: u16,
}

impl WindowSize {
    /// Bytes of `struct winsize`.
    pub const SIZE: usize = size_of::<Self>();

    /// Of a program's memory.
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let [r0, r1, c0, c1, w0, w1, h0, h1] = *bytes;
        let [rows, columns, width, height] = [[r0, r1], [c0, c1], [w0, w1], [h0, h1]].map(u16::from_ne_bytes);
        Self { rows, columns, width, height }
    }

    /// For a program's memory.
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let [[r0, r1], [c0, c1], [w0, w1], [h0, h1]] =
            [self.rows, self.columns, self.width, self.height].map(u16::to_ne_bytes);
        [r0, r1, c0, c1, w0, w1, h0, h1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structures_are_those_of_the_system_calls() {
        assert_eq!((size_of::<Termios>(), size_of::<WindowSize>()), (36, 8));
        assert_eq!(core::mem::offset_of!(Termios, characters), 17);
        let cooked = Termios::cooked();
        assert_eq!((cooked.input.bits(), cooked.output.bits()), (0o62400, 0o5));
        assert_eq!((cooked.control.bits(), cooked.local.bits()), (0o277, 0o105073));
    }

    #[test]
    fn structures_are_read_as_they_are_written() {
        let bytes = Termios::cooked().to_bytes();
        assert_eq!(bytes[..4], 0o62400_u32.to_ne_bytes());
        assert_eq!((bytes[16], bytes[17], bytes[19], bytes[35]), (0, 3, 0x7f, 0));
        assert_eq!(Termios::from_bytes(&bytes), Termios::cooked());
        let window = WindowSize { rows: 24, columns: 80, width: 3, height: 4 };
        assert_eq!(WindowSize::from_bytes(&window.to_bytes()), window);
        assert_eq!(window.to_bytes()[..4], [24, 0, 80, 0]);
    }

    #[test]
    fn speeds_are_those_of_their_names() {
        let speed = |bits| Termios { control: ControlFlags::from_bits_retain(bits), ..Termios::cooked() }.speed();
        assert_eq!([0, 0o15, 0o17, 0o77, 0o10002, 0o10017].map(speed), [0, 9600, 38400, 38400, 115_200, 4_000_000]);
    }

    #[test]
    fn raw_settings_are_those_of_cfmakeraw() {
        let raw = Termios::cooked().raw();
        assert_eq!((raw.input.bits(), raw.output.bits(), raw.local.bits()), (0o60000, 0o4, 0o5060));
        assert_eq!((raw.minimum(), raw.tenths()), (1, 0));
    }

    #[test]
    fn a_disabled_character_is_no_character() {
        assert!(!Termios::cooked().is(0, Special::EndOfLine));
        use Special::{EndOfFile, Erase, Interrupt, Kill, LiteralNext, Quit, Reprint, Start, Stop, Suspend, WordErase};
        let named = [Interrupt, Quit, Erase, Kill, EndOfFile, Start, Stop, Suspend, Reprint, WordErase, LiteralNext];
        for (special, byte) in named.into_iter().zip(*b"\x03\x1c\x7f\x15\x04\x11\x13\x1a\x12\x17\x16") {
            assert!(Termios::cooked().is(byte, special), "{special:?}");
        }
        assert_eq!((Termios::cooked().minimum(), Termios::cooked().tenths()), (1, 0));
    }
}
