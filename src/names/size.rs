use serde::{Deserialize, Serialize};

/// The size of a terminal in character cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked", into = "Unchecked")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TermSize {
    cols: u16,
    rows: u16,
}

/// A size in a message, before its bounds are checked.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    cols: u16,
    rows: u16,
}

/// Most columns, and most rows. A larger size is refused.
const TERM_SIZE_MAX: u16 = 1000;

/// Most cells; a larger size is refused. A worker has memory for two screens of this many cells,
/// and for their snapshots. A wall of four monitors with a small font has fewer.
const CELLS_MAX: u32 = 250_000;

/// A size outside 1..=1000, or with too many cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a terminal of {cols} columns and {rows} rows is outside 1 to 1000, or has more than {CELLS_MAX} cells"
)]
pub struct BadSize {
    cols: u16,
    rows: u16,
}

impl TermSize {
    /// The size of a terminal before anyone has set another: 80 columns and 24 rows.
    pub const DEFAULT: Self = Self { cols: 80, rows: 24 };

    /// A size of `cols` columns and `rows` rows.
    ///
    /// # Errors
    /// `BadSize` if either is 0 or above 1000, or if there are more than 250,000 cells.
    pub fn new(cols: u16, rows: u16) -> Result<Self, BadSize> {
        let allowed = 1..=TERM_SIZE_MAX;
        let few = u32::from(cols) * u32::from(rows) <= CELLS_MAX;
        if allowed.contains(&cols) && allowed.contains(&rows) && few {
            Ok(Self { cols, rows })
        } else {
            Err(BadSize { cols, rows })
        }
    }

    /// Columns, 1 to 1000.
    pub fn cols(self) -> u16 {
        self.cols
    }

    /// Rows, 1 to 1000.
    pub fn rows(self) -> u16 {
        self.rows
    }
}

impl TryFrom<Unchecked> for TermSize {
    type Error = BadSize;

    fn try_from(size: Unchecked) -> Result<Self, BadSize> {
        Self::new(size.cols, size.rows)
    }
}

impl From<TermSize> for Unchecked {
    fn from(size: TermSize) -> Self {
        Self { cols: size.cols, rows: size.rows }
    }
}
