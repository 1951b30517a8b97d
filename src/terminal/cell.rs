//! The cells of a screen and their styles.

/// A colour, packed because styles are compared for every cell and have to compare fast.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct CellColor(u32);

/// The unpacked form of a [`CellColor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColorKind {
    /// The default colour of the terminal.
    Default,
    /// One of the 256 indexed colours.
    Indexed(u8),
    /// Red, green, blue.
    Rgb(u8, u8, u8),
}

impl CellColor {
    /// The default colour of the terminal.
    pub(super) const DEFAULT: Self = Self(0);

    /// One of the 256 indexed colours.
    pub(super) fn indexed(index: u8) -> Self {
        Self(u32::from_be_bytes([1, 0, 0, index]))
    }

    /// Red, green, blue.
    pub(super) fn rgb(r: u8, g: u8, b: u8) -> Self {
        Self(u32::from_be_bytes([2, r, g, b]))
    }

    /// Unpacks the colour.
    pub(super) fn kind(self) -> ColorKind {
        match self.0.to_be_bytes() {
            [1, _, _, index] => ColorKind::Indexed(index),
            [2, r, g, b] => ColorKind::Rgb(r, g, b),
            _ => ColorKind::Default,
        }
    }
}

/// Attributes that are on or off, as bits of [`Style::flags`], in the order of [`FLAGS`].
pub(super) const BOLD: u8 = 1;
pub(super) const DIM: u8 = 1 << 1;
pub(super) const ITALIC: u8 = 1 << 2;
pub(super) const BLINK: u8 = 1 << 3;
pub(super) const INVERSE: u8 = 1 << 4;
pub(super) const HIDDEN: u8 = 1 << 5;
pub(super) const STRIKE: u8 = 1 << 6;
pub(super) const OVERLINE: u8 = 1 << 7;

/// Each attribute with the SGR parameter that sets it.
pub(super) const FLAGS: [(u8, u8); 8] =
    [(BOLD, 1), (DIM, 2), (ITALIC, 3), (BLINK, 5), (INVERSE, 7), (HIDDEN, 8), (STRIKE, 9), (OVERLINE, 53)];

/// The style of a character.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) foreground: CellColor,
    pub(super) background: CellColor,
    pub(super) line_color: CellColor,
    /// The kind of underline, 0 (none) to 5, as in SGR `4:n`.
    pub(super) underline: u8,
    pub(super) flags: u8,
    /// The hyperlink, as a number in the table of the state; 0 for none.
    pub(super) link: u16,
}

/// The part of a character that a cell shows.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// A whole character of one cell.
    #[default]
    Narrow,
    /// The left half of a wide character; the cell to its right is always its [`Part::Right`], in
    /// the same style.
    Left,
    /// The right half of a wide character.
    Right,
}

/// A cell of a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) glyph: char,
    /// The combining marks, as a number in the table of the state; 0 for none.
    pub(super) marks: u16,
    pub(super) part: Part,
    /// Whether a selective erase leaves the cell (DECSCA).
    pub(super) protected: bool,
    pub(super) style: Style,
}

/// Memory of a cell in bytes.
pub(super) const CELL_WEIGHT: usize = size_of::<Cell>();

impl Cell {
    /// A blank cell in the plain style, as at power-on.
    pub(super) const BLANK: Self = Self::narrow(' ', Style::PLAIN);

    /// A character of one cell.
    pub(super) const fn narrow(glyph: char, style: Style) -> Self {
        Self { glyph, marks: 0, part: Part::Narrow, protected: false, style }
    }
}

impl Style {
    /// No attributes, default colours, no hyperlink.
    pub(super) const PLAIN: Self = Self {
        foreground: CellColor::DEFAULT,
        background: CellColor::DEFAULT,
        line_color: CellColor::DEFAULT,
        underline: 0,
        flags: 0,
        link: 0,
    };

    /// The cell that erasing in this style leaves: a blank that keeps only the background.
    pub(super) fn erased(self) -> Cell {
        Cell::narrow(' ', Self { background: self.background, ..Self::PLAIN })
    }

    /// The style without its hyperlink, which SGR does not change.
    pub(super) fn unlinked(self) -> Self {
        Self { link: 0, ..self }
    }
}
