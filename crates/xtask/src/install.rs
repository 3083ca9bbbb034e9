//! Brings what the suites need and the machine does not have, and says so. When everything is there it takes milliseconds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::postgres;

/// Packages of the npm registry, with their exact versions.
const NPM: [(&str, &str); 4] =
    [("smpp", "0.6.0-rc.4"), ("axe-core", "4.14.1"), ("oidc-provider", "9.13.3"), ("jose", "6.2.18")];
/// Packages of PyPI, with their exact versions.
const PYPI: [(&str, &str); 4] =
    [("smpplib", "2.2.4"), ("aiosmpplib", "0.7.4"), ("aiosmtpd", "1.4.6"), ("schemathesis", "4.32.5")];

/// How long one command may take; a registry that is not reached would be waited for without an end.
const STEP_LIMIT: Duration = Duration::from_secs(15 * 60);
/// How often a command is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Something that suites need beside Rust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// The server programs; the cluster is our own.
    Postgres,
    /// The browser, and fonts for it: without any, every glyph is a box.
    Chromium,
    /// bearerbox and smsbox, and the message centres of its own tests.
    Kannel,
    /// A carrier.
    OsmoMsc,
    /// The runtime, and node-smpp, axe-core, oidc-provider and jose.
    Node,
    /// The runtime, and smpplib, aiosmpplib, aiosmtpd and schemathesis.
    Python,
}

/// Everything that any suite needs.
pub(crate) const ALL: [Need; 6] =
    [Need::Postgres, Need::Chromium, Need::Kannel, Need::OsmoMsc, Need::Node, Need::Python];

impl Need {
    /// The Debian packages that are missing.
    fn missing_packages(self) -> Vec<&'static str> {
        let missing = |found: bool, packages: &[&'static str]| if found { vec![] } else { packages.to_vec() };
        match self {
            Need::Postgres => missing(postgres::programs().is_some(), &["postgresql"]),
            Need::Chromium => {
                missing(is_program("chromium"), &["chromium", "fonts-liberation", "fonts-dejavu-core"])
            }
            Need::Kannel => {
                let centres = Path::new("/usr/lib/kannel/test/drive_smpp").exists();
                missing(is_program("bearerbox") && centres, &["kannel", "kannel-extras"])
            }
            Need::OsmoMsc => missing(is_program("osmo-msc"), &["osmo-msc"]),
            // Where Node.js is not Debian's, npm comes with it and Debian's npm conflicts.
            Need::Node if is_program("node") => missing(is_program("npm"), &["npm"]),
            Need::Node => vec!["nodejs", "npm"],
            Need::Python => missing(python_makes_environments(), &["python3", "python3-venv"]),
        }
    }
}

/// Installs what is missing of `needs`; libraries go to `<target>/peers`.
///
/// # Errors
/// With the exact command to run where only root may install, or when an installation fails.
pub(crate) fn ensure(needs: &[Need], target: &Path) -> Result<()> {
    let packages: Vec<&str> = needs.iter().flat_map(|need| need.missing_packages()).collect();
    if !packages.is_empty() {
        install_packages(&packages)?;
    }
    let peers = target.join("peers");
    if needs.contains(&Need::Node) {
        ensure_node_packages(&peers.join("node"))?;
    }
    if needs.contains(&Need::Python) {
        ensure_python_packages(&peers.join("venv"))?;
    }
    Ok(())
}

fn install_packages(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    println!("missing on this machine: {list}");
    let words = format!("apt-get install -y --no-install-recommends {list}");
    ensure!(is_program("apt-get"), "there is no apt-get here: install by hand what Debian calls {list}");
    let root = Command::new("id").arg("-u").output()?.stdout.trim_ascii() == b"0";
    ensure!(root, "only root may install packages. Run this, then try again:\n\n    sudo {words}\n");

    let _quiet = NoServices::begin()?;
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(["-q", "-o", "DPkg::Lock::Timeout=300"]).args(arguments);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        step(&mut command)
    };
    apt(&["update"])?;
    apt(&[&["install", "-y", "--no-install-recommends"], packages].concat())
}

/// While it lives, Debian's packages start no service: PostgreSQL's would take its port, osmo-msc's several.
struct NoServices {
    policy: Option<PathBuf>,
}

impl NoServices {
    fn begin() -> Result<NoServices> {
        let policy = PathBuf::from("/usr/sbin/policy-rc.d");
        if policy.exists() {
            // The machine has a policy of its own, as containers do.
            return Ok(NoServices { policy: None });
        }
        // 101 is "action forbidden by policy".
        fs::write(&policy, "#!/bin/sh\nexit 101\n")?;
        let quiet = NoServices { policy: Some(policy.clone()) };
        ensure!(Command::new("chmod").arg("755").arg(&policy).status()?.success(), "chmod failed");
        Ok(quiet)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some(policy) = &self.policy
            && let Err(error) = fs::remove_file(policy)
        {
            println!("please remove {}: {error}", policy.display());
        }
    }
}

fn ensure_node_packages(folder: &Path) -> Result<()> {
    let there = |(name, version): &(&str, &str)| {
        let manifest = folder.join("node_modules").join(name).join("package.json");
        fs::read_to_string(manifest).is_ok_and(|text| text.contains(&format!("\"version\": \"{version}\"")))
    };
    if NPM.iter().all(there) {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    let packages = NPM.map(|(name, version)| format!("{name}@{version}"));
    let mut command = Command::new("npm");
    command.args(["install", "--no-audit", "--no-fund", "--no-save", "--prefix"]).arg(folder).args(packages);
    step(&mut command)
}

fn ensure_python_packages(folder: &Path) -> Result<()> {
    let versions = fs::read_dir(folder.join("lib")).into_iter().flatten().flatten();
    let there = |packages: &Path| {
        PYPI.iter().all(|(name, version)| packages.join(format!("{name}-{version}.dist-info")).is_dir())
    };
    if versions.into_iter().any(|version| there(&version.path().join("site-packages"))) {
        return Ok(());
    }
    step(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
    let packages = PYPI.map(|(name, version)| format!("{name}=={version}"));
    let quiet = ["install", "--quiet", "--disable-pip-version-check"];
    step(Command::new(folder.join("bin/pip")).args(quiet).args(packages))
}

/// Runs a command in sight, with the seconds it took; one that waits for ever is ended.
fn step(command: &mut Command) -> Result<()> {
    let arguments: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    let words = format!("{} {}", command.get_program().display(), arguments.join(" "));
    println!("$ {words}");
    let begun = Instant::now();
    let child = command.stdin(Stdio::null()).spawn();
    let mut child = child.with_context(|| format!("starting `{words}`"))?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if begun.elapsed() > STEP_LIMIT {
            child.kill()?;
            bail!("`{words}` did not end within {STEP_LIMIT:?}: is its registry reached from here?");
        }
        std::thread::sleep(LOOK_EVERY);
    };
    if !status.success() {
        bail!("`{words}` ended with {status}");
    }
    println!("  took {:.1} s", begun.elapsed().as_secs_f64());
    Ok(())
}

fn is_program(name: &str) -> bool {
    #[expect(
        clippy::disallowed_methods,
        reason = "the search path is the system's, not a setting of the product"
    )]
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/bin", "/usr/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).any(|folder| folder.join(name).is_file())
}

/// Debian's python3 has no `venv` until python3-venv is there.
fn python_makes_environments() -> bool {
    let mut ask = Command::new("python3");
    ask.args(["-c", "import ensurepip, venv"]).stdin(Stdio::null()).stderr(Stdio::null());
    ask.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_programs() {
        assert!(is_program("sh"));
        assert!(!is_program("no-such-program"));
    }
}
