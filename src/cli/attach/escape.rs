//! The escape character, as ssh(1) has it: at the beginning of a line, it introduces an order to
//! the command itself.

/// What a person wants of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Leave the session, which goes on.
    Detach,
    /// Reset the terminal of the session, for everybody.
    Reset,
    /// Say which orders there are.
    Help,
}

/// What is typed, up to an order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// For the shell.
    Input(Vec<u8>),
    Order(Order),
}

/// Tells orders from what is typed to the shell.
#[derive(Debug)]
pub(super) struct Escape {
    /// None if there is no such character.
    character: Option<u8>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the beginning of a line.
    LineBegins,
    /// The escape character was typed there.
    Escaped,
    /// Somewhere else in a line.
    InLine,
}

impl Escape {
    pub(super) fn new(character: Option<u8>) -> Self {
        Self { character, state: State::LineBegins }
    }

    /// Takes what was typed.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<Typed> {
        let mut typed = Vec::new();
        for &byte in bytes {
            let is_escape = self.character == Some(byte);
            match (self.state, byte) {
                (State::LineBegins, _) if is_escape => {
                    self.state = State::Escaped;
                    continue;
                }
                (State::Escaped, b'.') => typed.push(Typed::Order(Order::Detach)),
                (State::Escaped, b'R') => typed.push(Typed::Order(Order::Reset)),
                (State::Escaped, b'?') => typed.push(Typed::Order(Order::Help)),
                (State::Escaped, _) if is_escape => input(&mut typed, &[byte]),
                (State::Escaped, _) => {
                    input(&mut typed, self.character.as_slice());
                    input(&mut typed, &[byte]);
                }
                (State::LineBegins | State::InLine, _) => input(&mut typed, &[byte]),
            }
            let is_order = matches!(typed.last(), Some(Typed::Order(_)));
            let begins = is_order || matches!(byte, b'\r' | b'\n');
            self.state = if begins { State::LineBegins } else { State::InLine };
        }
        typed
    }
}

fn input(typed: &mut Vec<Typed>, bytes: &[u8]) {
    if let Some(Typed::Input(input)) = typed.last_mut() {
        input.extend_from_slice(bytes);
    } else {
        typed.push(Typed::Input(bytes.to_vec()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(parts: &[&str]) -> Vec<Typed> {
        let mut escape = Escape::new(Some(b'~'));
        parts.iter().flat_map(|part| escape.take(part.as_bytes())).collect()
    }

    fn typed(text: &str) -> Typed {
        Typed::Input(text.as_bytes().to_vec())
    }

    #[test]
    fn an_order_follows_the_escape_character_at_the_beginning_of_a_line() {
        let (detach, reset, help) =
            (Typed::Order(Order::Detach), Typed::Order(Order::Reset), Typed::Order(Order::Help));
        assert_eq!(taken(&["~."]), [detach]);
        assert_eq!(taken(&["ls\r~R~?x"]), [typed("ls\r"), reset, help, typed("x")]);
        assert_eq!(taken(&["~~.\r"]), [typed("~.\r")]);
        assert_eq!(taken(&["cd ~."]), [typed("cd ~.")]);
        assert_eq!(taken(&["~/bin\r"]), [typed("~/bin\r")]);
        // However it is cut.
        assert_eq!(taken(&["\r", "~", "."]), [typed("\r"), Typed::Order(Order::Detach)]);
        assert_eq!(Escape::new(None).take(b"~."), [typed("~.")]);
    }
}
