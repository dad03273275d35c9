//! A screen's pixels: reads the PPM that QEMU dumps, writes PNG for people.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// Red, green and blue.
pub type Colour = [u8; 3];

/// A rectangle of pixels, row by row from the top left corner.
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<Colour>,
}

impl Picture {
    /// Reads a binary PPM with one byte a sample (netpbm's ppm(5)): `P6 width height 255`, one blank, the samples.
    pub fn from_ppm(bytes: &[u8]) -> Result<Self, String> {
        let mut rest = bytes;
        let mut word = || -> Option<String> {
            let start = rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
            let length = rest[start..].iter().position(u8::is_ascii_whitespace)?;
            let word = String::from_utf8_lossy(&rest[start..start + length]).into_owned();
            rest = &rest[start + length + 1..];
            Some(word)
        };
        let header: Option<Vec<String>> = (0..4).map(|_| word()).collect();
        let header = header.ok_or("the screen dump has no PPM header")?;
        let (Ok(width), Ok(height)) = (header[1].parse::<usize>(), header[2].parse::<usize>()) else {
            return Err(format!("the screen dump's header is {header:?}"));
        };
        let pixels: Vec<Colour> = rest.as_chunks::<3>().0.to_vec();
        if header[0] != "P6" || header[3] != "255" || pixels.len() != width * height {
            return Err(format!("the screen dump's header is {header:?}, with {} pixels after it", pixels.len()));
        }
        Ok(Self { width, height, pixels })
    }

    /// The text of the QR code that is shown, if there is one that can be read.
    pub fn code(&self) -> Option<String> {
        let grey = |x: usize, y: usize| {
            let [red, green, blue] = self.pixels[y * self.width + x];
            red.max(green).max(blue)
        };
        let mut photograph = rqrr::PreparedImage::prepare_from_greyscale(self.width, self.height, grey);
        photograph.detect_grids().iter().find_map(|grid| Some(grid.decode().ok()?.1))
    }

    /// Writes a small file if there are no more than 256 colours, as on a screen of text.
    pub fn write_png(&self, path: &Path) -> Result<(), String> {
        let file = File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let (width, height) = (self.width as u32, self.height as u32);
        let mut encoder = png::Encoder::new(BufWriter::new(file), width, height);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::High);
        let data = match self.indexed() {
            Some((colours, indices)) => {
                encoder.set_color(png::ColorType::Indexed);
                encoder.set_palette(colours.as_flattened().to_vec());
                // The PNG specification (12.7): filters do not help indices.
                encoder.set_filter(png::Filter::NoFilter);
                indices
            }
            None => {
                encoder.set_color(png::ColorType::Rgb);
                self.pixels.as_flattened().to_vec()
            }
        };
        let written = encoder.write_header().and_then(|mut writer| {
            writer.write_image_data(&data)?;
            writer.finish()
        });
        written.map_err(|error| format!("{}: {error}", path.display()))
    }
}

impl Picture {
    /// The colours, and for each pixel which of them it has; `None` if they are too many for a byte.
    fn indexed(&self) -> Option<(Vec<Colour>, Vec<u8>)> {
        let colours: Vec<Colour> = self.pixels.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let index = |pixel| colours.binary_search(pixel).ok().and_then(|index| u8::try_from(index).ok());
        let indices = self.pixels.iter().map(index).collect::<Option<Vec<_>>>()?;
        Some((colours, indices))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_indexed_by_colour_if_there_are_few() {
        let mut picture = Picture { width: 2, height: 2, pixels: vec![[9; 3], [1, 2, 3], [9; 3], [0; 3]] };
        let (colours, indices) = picture.indexed().expect("three colours");
        assert_eq!((colours, indices), (vec![[0; 3], [1, 2, 3], [9; 3]], vec![2, 1, 2, 0]));
        picture.pixels = (0..=256_u16).map(|number| [0, number as u8, (number / 256) as u8]).collect();
        assert!(picture.indexed().is_none());
    }

    #[test]
    fn a_ppm_is_read_whole_or_refused() {
        let picture = Picture::from_ppm(b"P6\n2 1\n255\nabcdef").expect("a good picture");
        assert_eq!((picture.width, picture.height), (2, 1));
        assert_eq!(picture.pixels, [*b"abc", *b"def"]);
        assert!(Picture::from_ppm(b"P6\n2 1\n255\nabc").is_err());
        assert!(Picture::from_ppm(b"P6\n2").is_err());
        assert!(Picture::from_ppm(b"P5\n1 1\n255\nabc").is_err());
    }
}
