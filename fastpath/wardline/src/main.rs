//! The `wardline` command; see the library for what it does.

use std::process::ExitCode;

fn main() -> ExitCode {
    wardline::main()
}
