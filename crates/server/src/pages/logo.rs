//! The operator's logo: a small picture at the top of each page.

use bytes::Bytes;

/// The largest file, so that a page stays small.
const MAX_BYTES: usize = 64 * 1024;

/// A picture that browsers show.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Logo {
    pub(crate) content: Bytes,
    pub(crate) content_type: &'static str,
    pub(crate) extension: &'static str,
}

/// Why a file can't be the logo.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidLogo {
    /// It is larger than 64 KiB.
    #[error("a logo has at most 64 KiB")]
    TooLarge,
    /// It is no picture of a known kind.
    #[error("a logo is an SVG, PNG, JPEG or WebP picture")]
    UnknownKind,
}

impl Logo {
    /// Finds out by its content what kind of picture a file is.
    pub fn new(content: Vec<u8>) -> Result<Self, InvalidLogo> {
        if content.len() > MAX_BYTES {
            return Err(InvalidLogo::TooLarge);
        }
        let (content_type, extension) = match &content[..] {
            [0x89, b'P', b'N', b'G', ..] => ("image/png", "png"),
            [0xff, 0xd8, 0xff, ..] => ("image/jpeg", "jpg"),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => ("image/webp", "webp"),
            text if std::str::from_utf8(text).is_ok_and(|text| text.contains("<svg")) => ("image/svg+xml", "svg"),
            _ => return Err(InvalidLogo::UnknownKind),
        };
        Ok(Self { content: content.into(), content_type, extension })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_of_a_picture_is_found_by_its_content() {
        for (content, content_type) in [
            (&b"<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\"/>"[..], "image/svg+xml"),
            (b"\x89PNG\r\n\x1a\n", "image/png"),
            (b"\xff\xd8\xff\xe0", "image/jpeg"),
            (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        ] {
            assert_eq!(Logo::new(content.to_vec()).unwrap().content_type, content_type);
        }
        assert_eq!(Logo::new(b"<html></html>".to_vec()), Err(InvalidLogo::UnknownKind));
        assert_eq!(Logo::new(vec![0; MAX_BYTES + 1]), Err(InvalidLogo::TooLarge));
    }
}
