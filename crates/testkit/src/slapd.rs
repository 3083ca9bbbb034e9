//! OpenLDAP's slapd as a tenant's directory: a process of its own, with its own configuration, data and certificate, on free ports.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::tether::Tether;

/// Where Debian has it.
const PROGRAM: &str = "/usr/sbin/slapd";
/// The entry below which everything stands.
pub const BASE: &str = "dc=example,dc=com";
/// The entry that may do everything, and that Switchboard asks as.
pub const ROOT_DN: &str = "cn=root,dc=example,dc=com";
/// Its password.
pub const ROOT_PASSWORD: &str = "the root's password";

/// A running directory.
#[derive(Debug)]
pub struct Slapd {
    /// Its address for StartTLS, or in clear.
    pub ldap: String,
    /// Its address with TLS from the start.
    pub ldaps: String,
    folder: PathBuf,
    program: Option<Tether>,
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Slapd {
    /// Starts it in a folder that outlives it, in which `cert.pem` and `key.pem` for localhost lie. It begins empty but for its
    /// base, `ou=people` and `ou=groups`.
    ///
    /// # Errors
    /// When it is not installed, or does not start.
    pub async fn start(folder: &Path) -> Result<Self> {
        ensure!(Path::new(PROGRAM).exists(), "slapd is not installed: cargo xtask install");
        std::fs::create_dir_all(folder.join("data"))?;
        let here = folder.display();
        let configuration = format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
             include /etc/ldap/schema/inetorgperson.schema\n\
             pidfile {here}/slapd.pid\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\nmoduleload memberof\nmoduleload ppolicy\n\
             TLSCertificateFile {here}/cert.pem\nTLSCertificateKeyFile {here}/key.pem\n\
             database mdb\nsuffix \"{BASE}\"\nrootdn \"{ROOT_DN}\"\nrootpw \"{ROOT_PASSWORD}\"\ndirectory {here}/data\n\
             sizelimit size.soft=2000 size.hard=2000 size.pr=100 size.prtotal=unlimited\n\
             overlay memberof\noverlay ppolicy\n\
             access to attrs=userPassword by anonymous auth by self write by * none\naccess to * by users read\n"
        );
        std::fs::write(folder.join("slapd.conf"), configuration)?;
        let (plain, tls) = (free_port()?, free_port()?);
        let (ldap, ldaps) = (format!("ldap://localhost:{plain}"), format!("ldaps://localhost:{tls}"));
        let mut slapd = Self { ldap, ldaps, folder: folder.to_owned(), program: None };
        slapd.go_on().await?;
        slapd.change(&format!(
            "dn: {BASE}\nchangetype: add\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n\n\
             dn: ou=people,{BASE}\nchangetype: add\nobjectClass: organizationalUnit\nou: people\n\n\
             dn: ou=groups,{BASE}\nchangetype: add\nobjectClass: organizationalUnit\nou: groups\n"
        ))?;
        Ok(slapd)
    }

    /// Starts it again with the data that it has.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn go_on(&mut self) -> Result<()> {
        let text = |path: PathBuf| path.display().to_string();
        let addresses = format!(
            "{} {}",
            self.ldap.replace("localhost", "127.0.0.1"),
            self.ldaps.replace("localhost", "127.0.0.1")
        );
        let log = self.folder.join("log");
        let command = [
            PROGRAM.to_owned(),
            "-d0".to_owned(),
            "-f".to_owned(),
            text(self.folder.join("slapd.conf")),
            "-h".to_owned(),
            addresses,
        ];
        let mut program = Tether::start(&command, "TERM", None, &log)?;
        let address = self.ldap.replace("ldap://localhost", "127.0.0.1");
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(&address).await.is_ok() {
                self.program = Some(program);
                return Ok(());
            }
            if program.ended().is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("slapd did not start: {}", std::fs::read_to_string(&log).unwrap_or_default())
    }

    /// Stops it; its data stay.
    pub fn stop(&mut self) {
        self.program = None;
    }

    /// Carries changes out, written as LDIF (RFC 2849).
    ///
    /// # Errors
    /// What it refuses.
    pub fn change(&self, ldif: &str) -> Result<()> {
        use std::io::Write as _;
        let mut program = Command::new("ldapmodify")
            .args([
                "-x",
                "-H",
                &self.ldap.replace("localhost", "127.0.0.1"),
                "-D",
                ROOT_DN,
                "-w",
                ROOT_PASSWORD,
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("ldapmodify is not installed: cargo xtask install")?;
        let mut input = program.stdin.take().context("its input is piped")?;
        input.write_all(ldif.as_bytes())?;
        drop(input);
        let ended = program.wait_with_output()?;
        ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        Ok(())
    }

    /// Adds a person `uid` with the address `uid@example.com`, a name and a password.
    ///
    /// # Errors
    /// What it refuses.
    pub fn add_person(&self, uid: &str, password: &str) -> Result<()> {
        self.change(&format!(
            "dn: uid={uid},ou=people,{BASE}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: Person {uid}\nsn: {uid}\n\
             mail: {uid}@example.com\nuserPassword: {password}\n"
        ))
    }

    /// Adds a group with these people in it.
    ///
    /// # Errors
    /// What it refuses.
    pub fn add_group(&self, name: &str, members: &[&str]) -> Result<()> {
        let members: String =
            members.iter().map(|uid| format!("member: uid={uid},ou=people,{BASE}\n")).collect();
        self.change(&format!(
            "dn: cn={name},ou=groups,{BASE}\nchangetype: add\nobjectClass: groupOfNames\ncn: {name}\n{members}"
        ))
    }
}
