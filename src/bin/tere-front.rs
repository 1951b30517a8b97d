//! See [`tere::front`].

fn main() -> std::process::ExitCode {
    tere::front::main()
}
