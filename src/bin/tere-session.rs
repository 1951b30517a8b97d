//! See [`tere::session`].

fn main() -> std::process::ExitCode {
    tere::session::main()
}
