//! Parsing of control sequences (ECMA-48, 5.4): marker, parameters, intermediate byte, final byte.

/// Maximum number of parameters of a sequence, sub-parameters included; further ones are dropped.
const PARAMETERS_MAX: usize = 32;

/// In place of the intermediate byte of a sequence that has more of them, which none of the
/// supported ones does.
const SEVERAL: u8 = 0xff;

/// A control sequence. The parser reads all sequences into the same value.
#[derive(Debug, Default)]
pub(super) struct Csi {
    /// One of `<`, `=`, `>`, `?`, or 0.
    pub(super) marker: u8,
    /// The intermediate byte, 0, or [`SEVERAL`].
    pub(super) intermediate: u8,
    /// The final byte, which selects the function.
    pub(super) last: u8,
    values: [Parameter; PARAMETERS_MAX],
    count: usize,
}

/// A parameter; its value saturates.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) value: u16,
    /// Whether it follows a colon, as a sub-parameter of the parameter before it.
    pub(super) sub: bool,
    /// Whether it has no digit. Its value is 0 then.
    pub(super) empty: bool,
}

impl Csi {
    /// Parses the bytes after `ESC [`; returns false if they are malformed.
    pub(super) fn read(&mut self, bytes: &[u8]) -> bool {
        self.count = 0;
        let Some((&last, bytes)) = bytes.split_last() else { return false };
        let (marker, mut bytes) = match bytes.split_first() {
            Some((&marker @ b'<'..=b'?', behind)) => (marker, behind),
            _ => (0, bytes),
        };
        let mut intermediate = 0;
        while let Some((&byte @ 0x20..=0x2f, before)) = bytes.split_last() {
            intermediate = if intermediate == 0 { byte } else { SEVERAL };
            bytes = before;
        }
        let mut open = Parameter { empty: true, ..Parameter::default() };
        for byte in bytes.iter().chain((!bytes.is_empty()).then_some(&b';')) {
            match byte {
                b'0'..=b'9' => {
                    open.value = open.value.saturating_mul(10).saturating_add(u16::from(byte - b'0'));
                    open.empty = false;
                }
                b':' | b';' => {
                    if let Some(place) = self.values.get_mut(self.count) {
                        *place = open;
                        self.count += 1;
                    }
                    open = Parameter { value: 0, sub: *byte == b':', empty: true };
                }
                _ => return false,
            }
        }
        (self.marker, self.intermediate, self.last) = (marker, intermediate, last);
        true
    }

    /// The parameters.
    pub(super) fn parameters(&self) -> &[Parameter] {
        self.values.get(..self.count).unwrap_or_default()
    }

    /// A parameter; 0 if it is missing.
    pub(super) fn value(&self, at: usize) -> u16 {
        self.parameters().get(at).map_or(0, |parameter| parameter.value)
    }

    /// A parameter as a count or a coordinate: at least 1.
    pub(super) fn count(&self, at: usize) -> usize {
        usize::from(self.value(at).max(1))
    }
}
