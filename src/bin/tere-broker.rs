//! See [`tere::broker`].

fn main() -> std::process::ExitCode {
    tere::broker::main()
}
