//! The one colour that an operator may choose, and its contrast (WCAG 2.2, success criterion 1.4.3).
//!
//! The accent fills buttons whose text has the page's own colour, so a single ratio, accent to page, covers both.
//! No colour reaches 4.5 to 1 on a light and on a dark page alike: the operator gives the light scheme's, and the
//! dark scheme gets the same hue, lightened until it is legible there. It keeps its saturation: a greyish button looks
//! as if it were disabled.

use std::fmt;

const STYLE: &str = include_str!("style.css");

/// `--page` of the light scheme in `style.css`.
const LIGHT_PAGE: Colour = Colour([0xfc, 0xfd, 0xfe]);
/// `--page` of the dark scheme in `style.css`.
const DARK_PAGE: Colour = Colour([0x12, 0x16, 0x1b]);
/// Level AA for text of ordinary size.
const LEGIBLE: f64 = 4.5;
/// Thin light strokes on dark look fainter than their ratio says, so the dark scheme aims at level AAA.
const LEGIBLE_ON_DARK: f64 = 7.0;

/// A colour for buttons, links and the focus ring, legible in both schemes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Accent {
    light: Colour,
    dark: Colour,
}

/// A text that can't be the accent.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidAccent {
    /// Too light for the page and for the text of buttons.
    #[error(
        "the accent #{colour} has a contrast of {contrast:.1} to 1 with the page; 4.5 to 1 is needed: choose a darker colour"
    )]
    Faint {
        /// The colour, without `#`.
        colour: String,
        /// Its ratio to the light page, 1 to 21.
        contrast: f64,
    },
    /// Not `#rrggbb`.
    #[error("the accent is written #rrggbb, six hexadecimal digits: #0f5c8a for example")]
    Form,
}

impl Accent {
    /// Reads `#rrggbb` and checks that people can read it.
    ///
    /// Errors: another form, or less than 4.5 to 1 with the light page (WCAG 2.2 AA).
    pub fn parse(text: &str) -> Result<Self, InvalidAccent> {
        let light = Colour::parse(text).ok_or(InvalidAccent::Form)?;
        let contrast = light.contrast(LIGHT_PAGE);
        if contrast < LEGIBLE {
            // Rounded down: "4.5, but 4.5 is needed" would help nobody.
            let contrast = (contrast * 10.0).floor() / 10.0;
            return Err(InvalidAccent::Faint { colour: light.to_string(), contrast });
        }
        Ok(Self { light, dark: light.lightened_for(DARK_PAGE) })
    }
}

impl Default for Accent {
    fn default() -> Self {
        Self { light: Colour([0x0f, 0x5c, 0x8a]), dark: Colour([0x0f, 0x5c, 0x8a]).lightened_for(DARK_PAGE) }
    }
}

/// The style sheet of all pages, with `accent` in place of the colour in `style.css`.
pub(crate) fn stylesheet(accent: &Accent) -> String {
    let mut css = String::with_capacity(STYLE.len());
    let mut schemes = [accent.light, accent.dark].into_iter();
    for line in STYLE.lines() {
        let declaration = line.trim_start();
        match declaration.starts_with("--accent:").then(|| schemes.next()).flatten() {
            Some(colour) => {
                let indent = &line[..line.len() - declaration.len()];
                css.push_str(&format!("{indent}--accent: #{colour};"));
            }
            None => css.push_str(line),
        }
        css.push('\n');
    }
    css
}

/// Red, green and blue in sRGB.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Colour([u8; 3]);

impl Colour {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#')?;
        if digits.len() != 6 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let [_, r, g, b] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
        Some(Self([r, g, b]))
    }

    /// Relative luminance, 0 to 1 (WCAG 2.2, "relative luminance").
    fn luminance(self) -> f64 {
        let [r, g, b] = self.0.map(|channel| {
            let c = f64::from(channel) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    /// Contrast ratio, 1 to 21 (WCAG 2.2, "contrast ratio").
    fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance() + 0.05, other.luminance() + 0.05);
        if a > b { a / b } else { b / a }
    }

    /// The first step from this colour towards white, of the same hue and saturation, that is legible on a dark `page`.
    fn lightened_for(self, page: Self) -> Self {
        let (hue, saturation, lightness) = self.hsl();
        (0..=64)
            .map(|step| Self::from_hsl(hue, saturation, lightness + (1.0 - lightness) * f64::from(step) / 64.0))
            .find(|colour| colour.contrast(page) >= LEGIBLE_ON_DARK)
            .unwrap_or(Self([255; 3]))
    }

    /// Hue in sixths of the circle, saturation and lightness from 0 to 1 (CSS Color Module Level 4 section 7).
    fn hsl(self) -> (f64, f64, f64) {
        let [r, g, b] = self.0.map(|channel| f64::from(channel) / 255.0);
        let (most, least) = (r.max(g).max(b), r.min(g).min(b));
        let (span, lightness) = (most - least, (most + least) / 2.0);
        if span == 0.0 {
            return (0.0, 0.0, lightness);
        }
        let hue = match most {
            most if most == r => (g - b) / span,
            most if most == g => (b - r) / span + 2.0,
            _ => (r - g) / span + 4.0,
        };
        (hue.rem_euclid(6.0), span / (1.0 - (2.0 * lightness - 1.0).abs()), lightness)
    }

    fn from_hsl(hue: f64, saturation: f64, lightness: f64) -> Self {
        let reach = saturation * lightness.min(1.0 - lightness);
        let channel = |place: f64| {
            let at = (place + 2.0 * hue).rem_euclid(12.0);
            let value = lightness - reach * (at - 3.0).min(9.0 - at).clamp(-1.0, 1.0);
            (value * 255.0).round() as u8
        };
        Self([channel(0.0), channel(8.0), channel(4.0)])
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [r, g, b] = self.0;
        write!(f, "{r:02x}{g:02x}{b:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_that_of_wcag() {
        let (black, white, grey) = (Colour([0; 3]), Colour([255; 3]), Colour([0x76; 3]));
        assert!((black.contrast(white) - 21.0).abs() < 0.001);
        assert!((white.contrast(grey) - 4.54).abs() < 0.01, "#767676 is the well-known limit on white");
        assert!((black.contrast(black) - 1.0).abs() < 0.001);
    }

    #[test]
    fn a_faint_accent_is_refused_with_its_ratio() {
        let error = Accent::parse("#ffcc00").unwrap_err();
        assert!(error.to_string().contains("#ffcc00 has a contrast of 1.4 to 1"), "{error}");
        assert!(matches!(Accent::parse("#7f7f7f"), Err(InvalidAccent::Faint { .. })));
    }

    #[test]
    fn another_form_is_refused() {
        for text in ["", "#", "0f5c8a", "#0f5c8", "#0f5c8a0", "#0f5c8g", "#+f5c8a", "#0f5c8a;", "red", "#ééé"] {
            assert_eq!(Accent::parse(text), Err(InvalidAccent::Form), "{text}");
        }
    }

    #[test]
    fn accepted_accents_are_legible_in_both_schemes() {
        let mut accepted = 0;
        for packed in (0..0x0100_0000u32).step_by(4099) {
            let Ok(accent) = Accent::parse(&format!("#{packed:06x}")) else { continue };
            assert!(accent.light.contrast(LIGHT_PAGE) >= LEGIBLE);
            assert!(accent.dark.contrast(DARK_PAGE) >= LEGIBLE);
            // As strong a colour as in the light scheme, except for the rounding of very dark ones.
            let [light, dark] = [accent.light, accent.dark].map(|colour| colour.hsl().1);
            assert!(dark > light - 0.05 || accent.dark == Colour([255; 3]), "#{packed:06x}: {light} {dark}");
            accepted += 1;
        }
        assert!(accepted > 1000);
    }

    #[test]
    fn the_style_sheet_carries_the_accent_once_per_scheme() {
        let accent = Accent::parse("#7A1FA2").unwrap();
        let css = stylesheet(&accent);
        let declared: Vec<_> = css.lines().filter_map(|line| line.trim().strip_prefix("--accent: ")).collect();
        assert_eq!(declared, [format!("#{};", accent.light), format!("#{};", accent.dark)]);
        assert_eq!(css.matches("--accent:").count(), 2);
    }

    #[test]
    fn default_accent_is_legible_on_the_style_sheets_pages() {
        assert_eq!(Accent::parse("#0f5c8a"), Ok(Accent::default()));
        assert_eq!(stylesheet(&Accent::default()), STYLE, "the file shows what is served");
        let pages: Vec<_> = STYLE.lines().filter_map(|line| line.trim().strip_prefix("--page: ")).collect();
        assert_eq!(pages, [format!("#{LIGHT_PAGE};"), format!("#{DARK_PAGE};")]);
    }

    #[test]
    fn the_style_sheet_stays_under_8_kilobytes() {
        assert!(stylesheet(&Accent::default()).len() < 8192);
    }
}
