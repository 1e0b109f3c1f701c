//! The `kalpha` command.

fn main() -> std::process::ExitCode {
    kalpha_cli::main()
}
