//! The meanings a colour may have. Components take a tone, never a colour.

/// What a coloured mark says. Each tone keeps 4.5:1 contrast for text in light and in dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// Nothing to act on.
    #[default]
    Neutral,
    /// Under way, or worth knowing.
    Info,
    /// Done, healthy.
    Good,
    /// Needs an eye soon.
    Warn,
    /// Failed, or will be lost.
    Bad,
    /// The product's own colour: selection, novelty.
    Accent,
}

impl Tone {
    /// All tones, for the style page and tests.
    pub const ALL: [Tone; 6] = [Tone::Neutral, Tone::Info, Tone::Good, Tone::Warn, Tone::Bad, Tone::Accent];

    /// The name that the stylesheet knows: `neutral`, `info`, `good`, `warn`, `bad` or `accent`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Tone::Neutral => "neutral",
            Tone::Info => "info",
            Tone::Good => "good",
            Tone::Warn => "warn",
            Tone::Bad => "bad",
            Tone::Accent => "accent",
        }
    }
}
