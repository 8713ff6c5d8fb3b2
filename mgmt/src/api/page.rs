//! Lists in pages: `limit` and an opaque `cursor` that only this program makes.

use data_encoding::BASE64URL_NOPAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;

/// Entries of a page, unless the caller wants fewer or more.
const USUAL: u32 = 100;
/// Entries of the largest page.
pub const LARGEST: u32 = 1_000;
/// Bytes of a cursor.
const CURSOR_BYTES: usize = 1_024;

/// Which page of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Entries of a page
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before, with the same parameters
    pub cursor: Option<String>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// What to send as `cursor` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// From up to `limit + 1` entries: the one too many says that there are more.
    pub fn new<C: Serialize>(mut items: Vec<T>, limit: u32, cursor: impl Fn(&T) -> C) -> Self {
        let limit = limit as usize;
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items
            .last()
            .filter(|_| more)
            .map(|last| encode(&cursor(last)));
        Self { items, next_cursor }
    }

    /// The same page with other entries.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(change).collect(),
            next_cursor: self.next_cursor,
        }
    }
}

/// How many entries a page has.
///
/// # Errors
/// When the wish is out of bounds.
pub fn limit(wish: Option<u32>) -> Result<u32, Problem> {
    match wish {
        None => Ok(USUAL),
        Some(wish @ 1..=LARGEST) => Ok(wish),
        Some(_) => Err(Problem::query("limit", format!("1 to {LARGEST}"))),
    }
}

/// The text of a cursor.
pub fn encode(position: &impl Serialize) -> String {
    // What becomes a cursor is made of numbers and texts: it always has a JSON form.
    BASE64URL_NOPAD.encode(&serde_json::to_vec(position).unwrap_or_default())
}

/// Where a cursor points.
///
/// # Errors
/// When it is none of ours, or of another list.
pub fn decode<C: DeserializeOwned>(cursor: Option<&str>) -> Result<Option<C>, Problem> {
    let Some(text) = cursor else { return Ok(None) };
    let bytes = Some(text)
        .filter(|text| text.len() <= CURSOR_BYTES)
        .and_then(|text| BASE64URL_NOPAD.decode(text.as_bytes()).ok());
    bytes
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .map(Some)
        .ok_or_else(|| Problem::query("cursor", "the `next_cursor` of the page before"))
}

/// Which way a list is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Smallest, earliest, first in the alphabet.
    #[default]
    Ascending,
    /// The other way around.
    Descending,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_too_many_becomes_a_cursor() {
        let page = Page::new(vec![1, 2, 3], 2, |last| *last);
        assert_eq!(page.items, [1, 2]);
        let cursor = page.next_cursor.expect("there are more");
        assert_eq!(decode::<u32>(Some(&cursor)).expect("ours"), Some(2));
        assert_eq!(Page::new(vec![1, 2], 2, |last| *last).next_cursor, None);
        assert!(decode::<u32>(Some("bm9uc2Vuc2U")).is_err());
        assert!(limit(Some(0)).is_err() && limit(Some(1_001)).is_err());
    }
}
