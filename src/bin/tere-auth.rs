//! See [`tere::auth`].

fn main() -> std::process::ExitCode {
    tere::auth::main()
}
