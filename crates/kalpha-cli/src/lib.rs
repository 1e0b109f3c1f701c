//! The shell face of kalpha: arguments in, the engine's answer out.
//!
//! Data go to stdout, progress and errors to stderr. Exit codes: 0 done, 1 user or data,
//! 2 a bug, 130 interrupted.

mod args;
mod convert;
mod demo;
mod input;
mod inspect;
mod interrupt;
mod output;
mod own;
mod progress;
mod recipe;
mod run;

use clap::Parser;
use std::process::ExitCode;

/// Somebody pressed Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::from(error.use_stderr()));
        }
    };
    match std::panic::catch_unwind(|| dispatch(args)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => report(&error),
        Err(_) => {
            eprintln!("error: kalpha made a mistake; nothing was written");
            eprintln!("hint: please report it with the lines above and the command you gave");
            ExitCode::from(2)
        }
    }
}

fn dispatch(args: args::Args) -> anyhow::Result<()> {
    match args.command {
        args::Command::Run(args) => run::run(&args),
        args::Command::Inspect(args) => inspect::inspect(&args),
        args::Command::Convert(args) => convert::convert(&args),
        args::Command::Recipe(args) => recipe::recipe(&args),
        args::Command::Own(args) => own::own(&args),
    }
}

/// One line for the error, one for the hint.
fn report(error: &anyhow::Error) -> ExitCode {
    // A closed pipe (`kalpha run --json | head`) is no error of ours.
    let closed_pipe = error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    });
    if closed_pipe {
        return ExitCode::SUCCESS;
    }
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        // Wrapped errors often repeat their source.
        if !text.contains(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    // One line that cannot drive the terminal, whatever a damaged file put into it.
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    match text.rsplit_once(" (hint: ") {
        Some((what, hint)) => {
            eprintln!("error: {what}");
            eprintln!("hint: {}", hint.strip_suffix(')').unwrap_or(hint));
        }
        None => eprintln!("error: {text}"),
    }
    let cancelled = error.chain().any(|cause| {
        cause.downcast_ref::<kalpha_recipe::RunError>().is_some_and(|e| e.is_cancelled())
            || cause.is::<kalpha_core::Cancelled>()
    });
    ExitCode::from(if cancelled { INTERRUPTED } else { 1 })
}
