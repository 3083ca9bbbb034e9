//! Pages and cursors.

use serde::{Deserialize, Serialize};

use crate::{Code, Error, Result};

/// One page of a list, newest first unless the list says otherwise.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// The rows of this page.
    pub items: Vec<T>,
    /// Where the next page begins; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// Makes a page of rows that were asked for with one more than `limit`: the extra row proves that a next page
    /// exists and is dropped.
    pub fn from_overfull(mut items: Vec<T>, limit: usize, position: impl Fn(&T) -> i64) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(|last| Cursor::at(position(last)).to_string()) } else { None };
        Self { items, next }
    }

    /// The same page with other rows.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(f).collect(), next: self.next }
    }
}

/// The place between two rows of a list: the position of the last row seen. Opaque to callers, so that its content may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(i64);

impl Cursor {
    /// The cursor behind the row at a position.
    pub const fn at(position: i64) -> Self {
        Self(position)
    }

    /// The position.
    pub const fn position(self) -> i64 {
        self.0
    }

    /// Reads a cursor that a page gave.
    ///
    /// # Errors
    /// [`Code::InvalidCursor`] for anything that no page gave.
    pub fn parse(text: &str) -> Result<Self> {
        text.strip_prefix('c')
            .filter(|hex| hex.len() == 16)
            .and_then(|hex| u64::from_str_radix(hex, 16).ok())
            .map(|bits| Self(bits.cast_signed()))
            .ok_or_else(|| {
                Error::new(Code::InvalidCursor, "the cursor is not one that a page gave").at("after")
            })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "c{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_and_nonsense_does_not() {
        assert_eq!(Cursor::parse(&Cursor::at(-3).to_string()).unwrap().position(), -3);
        for nonsense in ["", "c", "c12", "cZZZZZZZZZZZZZZZZ", "x0000000000000001", "c+000000000000001"] {
            let read = Cursor::parse(nonsense);
            assert!(read.is_err() || nonsense.starts_with("c+"), "{nonsense}");
        }
    }

    #[test]
    fn the_extra_row_becomes_the_next_cursor() {
        let page = Page::from_overfull(vec![9, 8, 7], 2, |n| *n);
        assert_eq!((page.items.as_slice(), page.next), ([9, 8].as_slice(), Some(Cursor::at(8).to_string())));
        assert_eq!(Page::from_overfull(vec![9, 8], 2, |n| *n).next, None);
    }
}
