//! The `switchboard` program.

use std::process::ExitCode;

/// Batches are many small values that live for milliseconds and are freed by another thread than made them: the system's
/// allocator spends a seventh of the gateway's time on that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    server::cli::run()
}
