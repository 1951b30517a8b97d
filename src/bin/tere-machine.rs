//! See [`tere::machine`].

fn main() -> std::process::ExitCode {
    tere::machine::main()
}
