//! placeholder
pub fn folder() -> Option<std::path::PathBuf> { None }
