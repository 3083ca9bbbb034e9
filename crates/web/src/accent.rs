//! A tenant's own colour: what is made of it for light and dark, so that everything stays readable (WCAG 2.2, 1.4.3).
//!
//! The stylesheet is computed from the colour in its address and from nothing else, because the content policy lets no page
//! carry styles of its own.

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use types::{Code, Error, Result};

/// The least contrast between text and what it stands on.
const CONTRAST_MIN: f64 = 4.5;
/// What coloured text and buttons stand on, in light and in dark; the stylesheet's own grounds.
const LIGHT: [Colour; 3] = [Colour(0xff, 0xff, 0xff), Colour(0xf4, 0xf6, 0xf3), Colour(0xee, 0xf1, 0xed)];
const DARK: [Colour; 3] = [Colour(0x1f, 0x29, 0x27), Colour(0x10, 0x16, 0x15), Colour(0x0c, 0x11, 0x10)];
const WHITE: Colour = Colour(0xff, 0xff, 0xff);
const BLACK: Colour = Colour(0, 0, 0);
/// Steps of a mix.
const STEPS: u32 = 50;

/// An sRGB colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Colour(u8, u8, u8);

impl Colour {
    fn read(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').unwrap_or(text);
        if digits.len() != 6 || !digits.bytes().all(|octet| octet.is_ascii_hexdigit()) {
            return None;
        }
        let part = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
        Some(Self(part(0)?, part(2)?, part(4)?))
    }

    fn hex(self) -> String {
        format!("{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }

    /// So much of another colour in it, 0 to 1.
    fn mixed(self, other: Self, share: f64) -> Self {
        let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * share).round() as u8;
        Self(mix(self.0, other.0), mix(self.1, other.1), mix(self.2, other.2))
    }

    /// Relative luminance (WCAG 2.2).
    fn luminance(self) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }

    fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// The nearest to it, on the way to another, that can be read on all of these.
    fn readable(self, towards: Self, grounds: &[Self]) -> Self {
        let steps = (0..=STEPS).map(|step| self.mixed(towards, f64::from(step) / f64::from(STEPS)));
        steps.into_iter().find(|one| least(*one, grounds) >= CONTRAST_MIN).unwrap_or(towards)
    }
}

fn least(colour: Colour, grounds: &[Colour]) -> f64 {
    grounds.iter().map(|ground| colour.contrast(*ground)).fold(f64::INFINITY, f64::min)
}

/// A colour as it was meant: `rrggbb`. It must be readable on light as it is; for dark a lighter one is made of it.
///
/// # Errors
/// [`Code::InvalidValue`] at `accent`, with the contrast and a colour that would do.
pub fn checked(text: &str) -> Result<String> {
    let colour = Colour::read(text.trim())
        .ok_or_else(|| Error::invalid("accent", "give a colour of six hexadecimal digits such as #0b625d"))?;
    let found = least(colour, &LIGHT);
    if found >= CONTRAST_MIN {
        return Ok(colour.hex());
    }
    let near = colour.readable(BLACK, &LIGHT);
    Err(Error::new(
        Code::InvalidValue,
        format!(
            "#{} on a light page has a contrast of {found:.1}, and {CONTRAST_MIN} is needed",
            colour.hex()
        ),
    )
    .at("accent")
    .hint(format!("#{} is the nearest that would do", near.hex())))
}

/// The address of the stylesheet for a colour that was checked.
pub fn url(colour: &str) -> String {
    format!("/brand/accent/{colour}.css")
}

/// Accent, stronger accent, text on the accent and soft ground.
struct Tokens {
    accent: Colour,
    strong: Colour,
    on: Colour,
    soft: Colour,
}

fn light(colour: Colour) -> Tokens {
    let accent = colour.readable(BLACK, &LIGHT);
    let soft = accent.mixed(WHITE, 0.88);
    let strong = accent.mixed(BLACK, 0.25).readable(BLACK, &[soft, LIGHT[0], LIGHT[1]]);
    Tokens { accent: accent.readable(BLACK, &[soft]), strong, on: WHITE, soft }
}

fn dark(colour: Colour) -> Tokens {
    let accent = colour.mixed(WHITE, 0.35).readable(WHITE, &DARK);
    let soft = accent.mixed(DARK[1], 0.82);
    let accent = accent.readable(WHITE, &[soft]);
    let strong = accent.mixed(WHITE, 0.35).readable(WHITE, &[soft]);
    Tokens { accent, strong, on: DARK[1].readable(BLACK, &[accent, strong]), soft }
}

fn stylesheet(colour: Colour) -> String {
    let (light, dark) = (light(colour), dark(colour));
    let pair = |light: Colour, dark: Colour| format!("light-dark(#{}, #{})", light.hex(), dark.hex());
    format!(
        ":root {{ --accent: {}; --accent-strong: {}; --on-accent: {}; --accent-soft: {}; }}\n",
        pair(light.accent, dark.accent),
        pair(light.strong, dark.strong),
        pair(light.on, dark.on),
        pair(light.soft, dark.soft)
    )
}

async fn serve(Path(name): Path<String>) -> Response {
    let Some(colour) = name.strip_suffix(".css").filter(|name| name.len() == 6).and_then(Colour::read) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, stylesheet(colour)).into_response()
}

/// Serves `/brand/accent/{colour}.css`.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/brand/accent/{name}", get(serve))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_becomes_readable_in_light_and_in_dark() {
        for step in 0..4096_u32 {
            let part = |shift: u32| ((step >> shift & 15) * 17) as u8;
            let colour = Colour(part(0), part(4), part(8));
            for (tokens, grounds) in [(light(colour), LIGHT), (dark(colour), DARK)] {
                assert!(least(tokens.accent, &grounds) >= CONTRAST_MIN);
                let Tokens { accent, strong, on, soft } = tokens;
                for (ink, ground) in [
                    (accent, grounds[0]),
                    (accent, grounds[1]),
                    (accent, soft),
                    (strong, soft),
                    (on, accent),
                    (on, strong),
                ] {
                    let ratio = ink.contrast(ground);
                    assert!(ratio >= CONTRAST_MIN, "{colour:?}: {ink:?} on {ground:?} is {ratio:.2}");
                }
            }
        }
    }

    #[test]
    fn a_pale_colour_is_refused_with_one_that_would_do() {
        let refused = checked("#ffcc00").unwrap_err();
        assert_eq!((refused.code(), refused.place()), (Code::InvalidValue, Some("accent")));
        assert_eq!(checked(" #0B625D ").unwrap(), "0b625d");
        for bad in ["", "red", "#12345", "#1234567", "#12345g", "#é2345"] {
            assert!(checked(bad).is_err(), "{bad}");
        }
        let near = light(Colour(0xff, 0xcc, 0)).accent.hex();
        assert!(checked(&near).is_ok(), "{near}");
    }
}
