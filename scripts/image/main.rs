//! The host tool that composes what Eres boots from: raw disk images, initramfs archives, the kernel's symbol table, a look
//! into an image, and the log of a QR code that the kernel showed.
//!
//! Invariants: the same inputs give the same bytes; an output file is either the old one or the whole new one; bad
//! input is one line on standard error and exit status 1, never a panic.

mod compose;
mod cpio;
mod kernel_elf;
mod layout;
mod mbr;
mod multiboot_header;
mod pack;
mod seal;
mod symbols;

use logic::log_code;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Every failure is a sentence for the person at the terminal.
type Result<T> = std::result::Result<T, String>;

const USAGE: &str = "usage:
  image raw --sector FILE --stage2 FILE --kernel ELF [--initramfs FILE] [--command-line TEXT] [--text] --output FILE
  image cpio DIRECTORY OUTPUT
  image layout IMAGE
  image log TEXT    (what a phone reads of a QR code; or `-` for standard input)
  image symbols ELF OUTPUT
  image seal ELF";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let printed = run(&arguments)
        .and_then(|output| writeln!(io::stdout(), "{output}").map_err(|error| format!("standard output: {error}")));
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("image: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Carries out one command line; the answer is what to print.
fn run(arguments: &[OsString]) -> Result<String> {
    let (command, rest) = arguments.split_first().ok_or(USAGE)?;
    match (command.to_str(), rest) {
        (Some("raw"), options) => raw(options),
        (Some("cpio"), [directory, output]) => cpio_archive(Path::new(directory), Path::new(output)),
        (Some("layout"), [image]) => layout::describe(&read(Path::new(image))?),
        (Some("log"), text @ [_, ..]) => log(text),
        (Some("seal"), [kernel]) => sealed(Path::new(kernel)),
        (Some("symbols"), [kernel, output]) => symbol_table(Path::new(kernel), Path::new(output)),
        _ => Err(USAGE.to_string()),
    }
}

fn raw(options: &[OsString]) -> Result<String> {
    let options = RawOptions::parse(options)?;
    let kernel = kernel_elf::flatten(&read(&options.kernel)?)
        .map_err(|message| format!("{}: {message}", options.kernel.display()))?;
    let initramfs = options.initramfs.as_deref().map(read).transpose()?.unwrap_or_default();
    let image = compose::image(&compose::Parts {
        sector: &read(&options.sector)?,
        stage2: &read(&options.stage2)?,
        kernel: &kernel,
        initramfs: &initramfs,
        command_line: &options.command_line,
        text: options.text,
    })?;
    write(&options.output, &image)?;
    let table = layout::PayloadTable::load(&image[layout::SECTOR..])?;
    Ok(format!(
        "{}: kernel {} bytes, packed {}, in memory {}; initramfs {} bytes, packed {}",
        options.output.display(),
        table.kernel.unpacked,
        table.kernel.bytes,
        table.kernel.room,
        table.initramfs.unpacked,
        table.initramfs.bytes,
    ))
}

fn cpio_archive(directory: &Path, output: &Path) -> Result<String> {
    let entries = cpio::collect(directory)?;
    let archive = cpio::archive(&entries)?;
    write(output, &archive)?;
    Ok(format!("{}: {} bytes, {} entries", output.display(), archive.len(), entries.len()))
}

/// The log in the text of a QR code. The text has a blank, so that it may come as several words.
fn log(words: &[OsString]) -> Result<String> {
    let text = match words {
        [dash] if dash == "-" => {
            io::read_to_string(io::stdin()).map_err(|error| format!("cannot read standard input: {error}"))?
        }
        _ => words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "),
    };
    log_code::unpack(&text).map(|report| report.to_string()).map_err(|error| error.to_string())
}

fn sealed(kernel: &Path) -> Result<String> {
    let mut file = read(kernel)?;
    let sum = seal::seal(&mut file).map_err(|message| format!("{}: {message}", kernel.display()))?;
    write(kernel, &file)?;
    Ok(format!("{}: sealed by {sum:#010x}", kernel.display()))
}

fn symbol_table(kernel: &Path, output: &Path) -> Result<String> {
    let (table, functions) =
        symbols::table(&read(kernel)?).map_err(|message| format!("{}: {message}", kernel.display()))?;
    write(output, &table)?;
    Ok(format!("{}: {} bytes, {functions} functions", output.display(), table.len()))
}

/// What `image raw` was told.
struct RawOptions {
    sector: PathBuf,
    stage2: PathBuf,
    kernel: PathBuf,
    initramfs: Option<PathBuf>,
    command_line: String,
    text: bool,
    output: PathBuf,
}

impl RawOptions {
    fn parse(options: &[OsString]) -> Result<Self> {
        let (mut sector, mut stage2, mut kernel, mut initramfs, mut output) = (None, None, None, None, None);
        let mut command_line = String::new();
        let mut text = false;
        let mut rest = options.iter();
        while let Some(option) = rest.next() {
            let mut value = || rest.next().ok_or_else(|| format!("{} needs a value", option.display()));
            match option.to_str() {
                Some("--sector") => sector = Some(PathBuf::from(value()?)),
                Some("--stage2") => stage2 = Some(PathBuf::from(value()?)),
                Some("--kernel") => kernel = Some(PathBuf::from(value()?)),
                Some("--initramfs") => initramfs = Some(PathBuf::from(value()?)),
                Some("--output") => output = Some(PathBuf::from(value()?)),
                Some("--command-line") => {
                    command_line = value()?.to_str().ok_or("the command line is not UTF-8")?.to_string();
                }
                Some("--text") => text = true,
                _ => return Err(format!("unknown option {}\n{USAGE}", option.display())),
            }
        }
        let required = |value: Option<PathBuf>, name: &str| value.ok_or_else(|| format!("{name} is missing\n{USAGE}"));
        Ok(Self {
            sector: required(sector, "--sector")?,
            stage2: required(stage2, "--stage2")?,
            kernel: required(kernel, "--kernel")?,
            output: required(output, "--output")?,
            initramfs,
            command_line,
            text,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// Writes a file beside the wanted one and renames it, so that nobody ever sees half of it.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path.file_name().ok_or_else(|| format!("{} is not a file name", path.display()))?;
    let mut temporary_name = OsString::from(".");
    temporary_name.push(name);
    temporary_name.push(format!(".{}.new", std::process::id()));
    let temporary = path.with_file_name(temporary_name);
    fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path)).map_err(|error| {
        // The first error is the one to report; that there may be nothing to remove is no second one.
        let _ = fs::remove_file(&temporary);
        format!("cannot write {}: {error}", path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> Result<String> {
        run(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn wrong_command_lines_are_answered_with_the_reason() {
        for words in [
            &[][..],
            &["raw"],
            &["cpio", "x"],
            &["layout"],
            &["log"],
            &["symbols", "x"],
            &["paint"],
            &["raw", "--paint"],
        ] {
            assert!(line(words).unwrap_err().contains("usage:"), "{words:?}");
        }
        assert!(line(&["raw", "--sector"]).unwrap_err().contains("--sector needs a value"));
        assert!(line(&["layout", "/nonexistent/image"]).unwrap_err().contains("cannot read /nonexistent/image"));
    }

    #[test]
    fn the_log_of_a_code_is_told_however_the_text_is_split() {
        let lines = |text: &'static str| text.lines().map(str::as_bytes);
        let mut packer = Box::new(log_code::Packer::new());
        let report = log_code::Report { head: lines("Eres OS 1.2.3\npanic"), newest_first: lines("ready\nstarting") };
        let text = packer.pack(report, 400).to_owned();
        let told = Ok("Eres OS 1.2.3\npanic\n\nThe log's end:\nstarting\nready".to_owned());
        assert_eq!(line(&["log", &text]), told);
        assert_eq!(line(&[&["log"], &text.split(' ').collect::<Vec<_>>()[..]].concat()), told);
        assert_eq!(line(&["log", "hello"]), Err("the text of a code begins with ERES1".to_owned()));
        assert!(line(&["log", &text[..text.len() - 3]]).is_err_and(|reason| reason.contains("not whole")));
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_nothing_behind() {
        let directory = std::env::temp_dir().join(format!("eres-image-write-{}", std::process::id()));
        fs::create_dir_all(directory.join("taken")).unwrap();
        fs::write(directory.join("taken/inside"), b"x").unwrap();
        assert!(write(&directory.join("taken"), b"y").is_err());
        write(&directory.join("free"), b"z").unwrap();
        let mut names: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["free", "taken"]);
        fs::remove_dir_all(&directory).unwrap();
    }
}
