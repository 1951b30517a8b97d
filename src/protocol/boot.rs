//! What tere-machine tells the broker while it boots a machine. They share no socket: systemd has the
//! status text and the exit status of the machine's unit, and the broker reads them there.

use super::OpeningStep;

/// The exit statuses of tere-machine, as in sysexits(3head) and tere-machine(8). Once it has become
/// systemd-nspawn, the status is that of systemd-nspawn, which has none of these of its own.
pub mod exit_status {
    /// A template, a machine or its record is damaged. The lowest of all.
    pub const DAMAGED: u8 = 65;
    /// The template has no version.
    pub const NO_TEMPLATE: u8 = 66;
    /// There is no such machine.
    pub const NO_MACHINE: u8 = 68;
    /// The account has as many machines for tasks, or the machine as many checkpoints, as it may have.
    pub const TOO_MANY: u8 = 70;
    /// All ranges of uids are taken.
    pub const NO_RANGE: u8 = 69;
    /// A program of the system failed.
    pub const TOOL: u8 = 71;
    /// The version, or the machine, is there already.
    pub const EXISTS: u8 = 73;
    /// Reading or writing failed; the disk may be full.
    pub const STORAGE: u8 = 74;
    /// A machine is made of the version, or the machine cannot be stopped for long enough.
    pub const IN_USE: u8 = 75;
    /// The policy makes no machine of this name.
    pub const NOT_IN_POLICY: u8 = 77;
    /// The policy cannot be used. The highest of all.
    pub const POLICY: u8 = 78;
}

impl OpeningStep {
    /// The status text of the machine's unit during this step.
    #[must_use]
    pub fn status(self) -> &'static str {
        match self {
            Self::Making => "making",
            Self::Booting => "booting",
        }
    }

    /// The step that a status text names. Once systemd-nspawn runs, it begins each status with words
    /// of its own, so nothing in a machine can name a step.
    #[must_use]
    pub fn of_status(status: &str) -> Option<Self> {
        [Self::Making, Self::Booting].into_iter().find(|step| step.status() == status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_status_of_a_step_names_it() {
        for step in [OpeningStep::Making, OpeningStep::Booting] {
            assert_eq!(OpeningStep::of_status(step.status()), Some(step));
        }
        for status in ["", "making ", "Container running: making", "Making"] {
            assert_eq!(OpeningStep::of_status(status), None, "{status:?}");
        }
    }
}
