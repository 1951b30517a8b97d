//! See [`tere::cli`].

fn main() -> std::process::ExitCode {
    tere::cli::main()
}
