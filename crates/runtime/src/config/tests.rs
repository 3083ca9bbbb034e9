use std::collections::BTreeSet;
use std::path::Path;

use super::rules::{RULES, Rule};
use super::*;

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn from_env(pairs: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    Config::load(&Sources { env: env(pairs), ..Sources::default() })
}

fn from_flags(pairs: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    Config::load(&Sources { overrides: env(pairs), ..Sources::default() })
}

fn from_file(text: &str) -> (tempfile::TempDir, Sources) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("switchboard.toml");
    std::fs::write(&file, text).unwrap();
    (dir, Sources { file: Some(file), ..Sources::default() })
}

/// The errors for a file's text, one line each.
fn refusal(text: &str) -> String {
    let (_dir, sources) = from_file(text);
    Config::load(&sources).unwrap_err().to_string()
}

/// The manual as (key, comment above it, its words for the value).
fn manual() -> Vec<(String, String, String)> {
    let (mut section, mut comment, mut keys) = (String::new(), Vec::new(), Vec::new());
    for line in MANUAL.lines() {
        if let Some(text) = line.strip_prefix('#') {
            comment.push(text.trim().to_owned());
        } else if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = format!("{name}.");
        } else if let Some((name, value)) = line.split_once(" = ") {
            keys.push((format!("{section}{name}"), comment.join("\n"), value.to_owned()));
        }
        if !line.starts_with('#') {
            comment.clear();
        }
    }
    keys
}

fn leaves(value: &Value, above: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Dict(_, inner) => {
            for (name, value) in inner {
                leaves(value, format!("{above}.{name}").trim_start_matches('.'), found);
            }
        }
        _ => drop(found.insert(above.to_owned())),
    }
}

#[test]
fn every_field_has_its_line_in_the_manual_and_every_line_its_field() {
    let mut fields = BTreeSet::new();
    leaves(&Config::load(&Sources::default()).unwrap().values(), "", &mut fields);
    let written: Vec<String> = manual().into_iter().map(|(key, ..)| key).collect();
    assert_eq!(written.iter().cloned().collect::<BTreeSet<_>>(), fields);
    let ruled: Vec<&str> = RULES.iter().map(|(key, _)| *key).collect();
    assert_eq!(ruled, written, "the rules follow the manual, in its order");
}

#[test]
fn the_manual_says_of_each_key_what_it_may_be() {
    for (key, comment, _) in manual() {
        let (text, bound) = comment.rsplit_once('\n').unwrap_or_else(|| panic!("{key} has one line only"));
        assert!(text.len() > 15 && text.ends_with('.'), "{key}: {text}");
        let expected = match rules::rule(&key).unwrap() {
            Rule::Integer { min, max } => format!("Range: {min} to {max}"),
            Rule::Text { min, max } => format!("Text: {min} to {max} characters."),
            Rule::Networks { max } => format!("Networks: at most {max} in CIDR form."),
            Rule::Origins { max } => format!("Origins: at most {max}, such as https://crm.example.com."),
            Rule::Choice(choices) => format!("Choice: {}.", quoted(choices)),
            Rule::Flag => "Flag: true or false.".to_owned(),
            Rule::Address => "Address: IP:port.".to_owned(),
            Rule::Listen => "Address: IP:port, or empty.".to_owned(),
        };
        let rest =
            bound.strip_prefix(&expected).unwrap_or_else(|| panic!("{key}: {bound:?} is not {expected:?}"));
        assert!(rest.is_empty() || rest.starts_with(' ') || rest == ".", "{key}: {bound}");
        let units = [("_ms", " ms."), ("_s", " s."), ("_h", " h."), ("_m", " m."), ("_bytes_max", " bytes.")];
        for (end, unit) in units {
            assert!(!key.ends_with(end) || bound.ends_with(unit), "{key}: {bound}");
        }
    }
}

#[test]
fn origins_are_as_browsers_write_them() {
    let rule = Rule::Origins { max: 2 };
    let check = |items: &[&str]| {
        rule.check(&Value::from(items.iter().map(|item| Value::from(*item)).collect::<Vec<_>>()))
    };
    for good in ["https://crm.example.com", "http://localhost:3000", "https://192.0.2.1:8443"] {
        assert_eq!(check(&[good]), Ok(()), "{good}");
    }
    for bad in [
        "*",
        "null",
        "",
        "crm.example.com",
        "https://",
        "https://crm.example.com/",
        "https://CRM.example.com",
        "https://crm.example.com:443",
        "http://crm.example.com:080",
        "https://crm.example.com:99999",
        "ftp://crm.example.com",
        "https://crm.example.com:",
        "https://user@crm.example.com",
    ] {
        assert!(check(&[bad]).is_err(), "{bad}");
    }
    assert!(check(&["https://a.example", "https://b.example", "https://c.example"]).is_err());
}

fn quoted(choices: &[&str]) -> String {
    choices.iter().map(|choice| format!("{choice:?}")).collect::<Vec<_>>().join(" or ")
}

#[test]
fn the_defaults_have_nothing_to_find() {
    let config = Config::load(&Sources::default()).unwrap();
    assert_eq!(config.check(), []);
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.database_url().expose(), "sqlite:./switchboard-data/switchboard.db");
    assert_eq!(config.root_key_file(), Path::new("./switchboard-data/root.key"));
    assert_eq!(config.public_url(), "http://127.0.0.1:8080");
    assert_eq!(Config::for_tests("/tmp/x").check(), []);
}

#[test]
fn a_later_layer_wins_and_each_value_knows_its_layer() {
    let (_dir, mut sources) = from_file(
        "drain_ms = 1\n[http]\nlisten = \"127.0.0.1:1001\"\nbody_bytes_max = 1025\n[smpp]\nlisten = \"127.0.0.1:1002\"\n\
         [outbound]\nallow_private = [\"10.0.0.0/8\"]",
    );
    sources.env = env(&[
        ("SWITCHBOARD_HTTP", "127.0.0.1:2001"),
        ("SWITCHBOARD__SMPP__LISTEN", "127.0.0.1:2002"),
        ("SWITCHBOARD__DRAIN_MS", "4000"),
        ("SWITCHBOARD__HTTP__TRUSTED_PROXIES", "10.0.0.0/8, fd00::/8"),
        ("HOME", "/root"),
    ]);
    sources.overrides = env(&[("http.listen", "127.0.0.1:3001"), ("demo.enabled", "false")]);
    let config = Config::load(&sources).unwrap();
    assert_eq!(config.http.listen.port(), 3001);
    assert_eq!(config.smpp.listen.port(), 2002);
    assert_eq!((config.drain_ms, config.http.body_bytes_max, config.demo.enabled), (4000, 1025, false));
    assert_eq!(config.http.trusted_proxies, ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
    let origin = |key: &str| config.origin(key).to_string();
    assert_eq!(origin("http.listen"), "flag for http.listen");
    assert_eq!(origin("smpp.listen"), "environment variable SWITCHBOARD__SMPP__LISTEN");
    assert!(origin("outbound.allow_private").starts_with("file:/"), "{}", origin("outbound.allow_private"));
    assert_eq!(origin("jobs.workers"), "default");
    let entries = config.entries();
    assert_eq!(entries.len(), RULES.len());
    let shown = |key: &str| entries.iter().find(|entry| entry.key == key).unwrap().value.clone();
    assert_eq!(shown("http.listen"), "\"127.0.0.1:3001\"");
    assert_eq!(shown("outbound.allow_private"), "[\"10.0.0.0/8\"]");
    assert_eq!((shown("demo.enabled"), shown("drain_ms")), ("false".to_owned(), "4000".to_owned()));
}

#[test]
fn the_environment_can_name_the_file_and_the_flag_wins() {
    let (_dir, sources) = from_file("drain_ms = 7000");
    let path = sources.file.clone().unwrap();
    let named = env(&[("SWITCHBOARD_CONFIG", path.to_str().unwrap())]);
    let config = Config::load(&Sources { env: named, ..Sources::default() }).unwrap();
    assert_eq!(config.drain_ms, 7000);
    let elsewhere = env(&[("SWITCHBOARD_CONFIG", "/nowhere/at/all.toml")]);
    assert!(Config::load(&Sources { env: elsewhere.clone(), ..sources }).is_ok());
    let error = Config::load(&Sources { env: elsewhere, ..Sources::default() }).unwrap_err().to_string();
    assert!(error.starts_with("error: (file:/nowhere/at/all.toml): cannot be read: "), "{error}");
}

#[test]
fn everything_wrong_is_told_at_once_with_its_place() {
    let (_dir, mut sources) =
        from_file("[http]\nlisten = \"localhost\"\n[smpp]\nwindow_default = 0\nbinds_max = \"many\"");
    sources.env = env(&[("SWITCHBOARD__JOBS__WORKERS", "-1"), ("SWITCHBOARD__LOG__FORMAT", "xml")]);
    sources.overrides =
        env(&[("simulator.enabled", "yes"), ("smpp.window", "5"), ("messaging.retry_min_ms", "86000000")]);
    let errors = Config::load(&sources).unwrap_err();
    let found: Vec<(&str, String)> =
        errors.0.iter().map(|f| (f.key.as_str(), f.origin.to_string())).collect();
    let file = format!("file:{}", sources.file.unwrap().display());
    let expected = [
        ("http.listen", file.as_str()),
        ("smpp.binds_max", &file),
        ("smpp.window_default", &file),
        ("jobs.workers", "environment variable SWITCHBOARD__JOBS__WORKERS"),
        ("log.format", "environment variable SWITCHBOARD__LOG__FORMAT"),
        ("simulator.enabled", "flag for simulator.enabled"),
        ("smpp.window", "flag for smpp.window"),
        ("messaging.retry_min_ms", "flag for messaging.retry_min_ms"),
    ];
    assert_eq!(found, expected.map(|(key, origin)| (key, origin.to_owned())), "{errors}");
    assert_eq!(errors.to_string().lines().count(), expected.len());
}

#[test]
fn a_refused_value_is_told_once_and_not_blamed_for_what_lies_beneath() {
    // With the refused address gone, the default would clash with the other listener.
    let errors = from_flags(&[("http.listen", "127.0.0.1:2775"), ("smpp.listen", "nowhere")]).unwrap_err();
    assert_eq!(errors.0.len(), 1, "{errors}");
    assert!(errors.0[0].problem.contains("nowhere"), "{errors}");
}

#[test]
fn both_ends_of_a_range_are_allowed_and_their_neighbours_are_not() {
    let tried = |text: &str| from_flags(&[("smpp.enquire_missed_max", text)]);
    assert!(tried("1").is_ok() && tried("100").is_ok());
    for text in ["0", "101", "-1", "1.5", "", "99999999999999999999999999"] {
        let error = tried(text).unwrap_err().to_string();
        assert!(error.ends_with("; write a whole number from 1 to 100"), "{text}: {error}");
    }
    // The ends of every key fit the type that holds it.
    for (key, rule) in RULES {
        let Rule::Integer { min, max } = rule else { continue };
        for end in [min, max] {
            let errors =
                from_flags(&[(key, &end.to_string())]).err().map_or_else(Vec::new, |errors| errors.0);
            let unfit =
                errors.iter().find(|f| f.problem.contains("invalid") || f.problem.contains("expected"));
            assert!(unfit.is_none(), "{key} {end}: {unfit:?}");
        }
    }
}

#[test]
fn a_key_that_is_not_there_gets_a_hint() {
    let cases = [
        ("[http]\nlisen = \"x\"", "http.lisen", "did you mean http.listen?"),
        ("[smpp]\nwindow_defualt = 3", "smpp.window_defualt", "did you mean smpp.window_default?"),
        ("data_dri = \"x\"", "data_dri", "did you mean data_dir?"),
        ("listen = \"x\"", "listen", "did you mean http.listen?"),
        ("[htpt]\nlisten = \"x\"", "htpt", "remove it"),
        ("http = 3", "http", "http is a section: write its keys under [http]"),
        ("[http.listen]\nport = 3", "http.listen", "write an IP address and a port"),
        ("[http.tls]\ncertificat = 3", "http.tls.certificat", "did you mean http.tls.certificate?"),
        ("[http.proxy]\nzone = 3", "http.proxy.zone", "remove it"),
        ("[zoo]", "zoo", "remove it"),
    ];
    for (text, key, advice) in cases {
        let error = refusal(text);
        assert!(
            error.starts_with(&format!("error: {key} (file:")) && error.contains(advice),
            "{text}: {error}"
        );
    }
}

#[test]
fn a_file_that_is_not_toml_is_told_by_line_and_shows_no_secret() {
    let error = refusal("drain_ms = 5\n[security]\nadmin_key = \"hunter2-hunter2\nx = 1");
    assert!(error.contains("line 3 is not TOML") && !error.contains("hunter2"), "{error}");
}

#[test]
fn variables_of_a_container_platform_are_only_warned_of() {
    let config =
        from_env(&[("SWITCHBOARD_PORT_8080_TCP", "tcp://10.0.0.1:8080"), ("SWITCHBOARD_HTPP", "x")]).unwrap();
    let found = config.check();
    assert_eq!(found.iter().map(|f| f.severity).collect::<Vec<_>>(), [Severity::Warning; 2]);
    assert!(found[1].advice.contains("did you mean SWITCHBOARD_HTTP?"), "{}", found[1]);
    let error = from_env(&[("SWITCHBOARD__HTTP__LISEN", "x")]).unwrap_err().to_string();
    assert!(error.contains("(environment variable SWITCHBOARD__HTTP__LISEN)"), "{error}");
}

#[test]
fn one_key_set_to_two_things_by_two_variables_is_an_error() {
    let two =
        |second| from_env(&[("SWITCHBOARD_HTTP", "127.0.0.1:1"), ("SWITCHBOARD__HTTP__LISTEN", second)]);
    assert!(two("127.0.0.1:1").is_ok());
    let error = two("127.0.0.1:2").unwrap_err().to_string();
    assert!(error.contains("set to something else by SWITCHBOARD_HTTP"), "{error}");
}

#[test]
fn secrets_stay_out_of_debug_entries_and_errors() {
    let key = "hunter2-hunter2-hunter2-hunter2-";
    let config = from_env(&[
        ("SWITCHBOARD_ADMIN_KEY", key),
        ("SWITCHBOARD_DATABASE", "postgres://sms:hunter2@db/sms"),
    ])
    .unwrap();
    assert_eq!(config.security.admin_key.expose(), key);
    let shown = format!("{config:?} {:?} {:?}", config.entries(), config.check());
    assert!(!shown.contains("hunter2") && shown.contains("sms:***@db"), "{shown}");
    let error =
        from_env(&[("SWITCHBOARD_ADMIN_KEY", "hunter2"), ("SWITCHBOARD_DATABASE", "mysql://u:hunter2@db/x")]);
    let error = error.unwrap_err();
    assert_eq!(error.0.len(), 2, "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
}

#[test]
fn settings_that_do_not_fit_together_are_found() {
    use Severity::{Error, Warning};
    type Case = (&'static [(&'static str, &'static str)], &'static str, Severity);
    let cases: &[Case] = &[
        (&[("smpp.listen", "127.0.0.1:8080")], "smpp.listen", Error),
        (&[("smpp.listen", "0.0.0.0:8080")], "smpp.listen", Error),
        (&[("simulator.listen", "127.0.0.1:2775")], "simulator.listen", Error),
        (&[("simulator.listen", "0.0.0.0:2776")], "simulator.listen", Warning),
        (&[("http.tls.certificate", "x")], "http.tls.key", Error),
        (&[("http.tls.key", "x")], "http.tls.certificate", Error),
        (
            &[("http.tls.certificate", "x"), ("http.tls.key", "y"), ("http.public_url", "http://localhost")],
            "http.public_url",
            Warning,
        ),
        (&[("smpp.tls.listen", "127.0.0.1:2785")], "smpp.tls.certificate", Error),
        (&[("smpp.tls.listen", "127.0.0.1:2785"), ("smpp.tls.certificate", "x")], "smpp.tls.key", Error),
        (&[("smpp.tls.listen", "127.0.0.1:2775")], "smpp.tls.listen", Error),
        (&[("smpp.tls.listen", "here")], "smpp.tls.listen", Error),
        (&[("smpp.window_default", "2000")], "smpp.window_default", Error),
        (&[("messaging.validity_max_s", "60")], "messaging.validity_default_s", Error),
        (&[("outbound.timeout_ms", "10")], "outbound.connect_timeout_ms", Error),
        (&[("http.public_url", "sms.example.com")], "http.public_url", Error),
        (&[("http.public_url", "ftp://sms.example.com")], "http.public_url", Error),
        (&[("http.public_url", "https://sms.example.com/sms")], "http.public_url", Error),
        (&[("http.public_url", "http://sms.example.com")], "http.public_url", Warning),
        (&[("database.url", "mysql://db/sms")], "database.url", Error),
        (&[("database.synchronous", "normal")], "database.synchronous", Warning),
        (&[("security.admin_key", "short")], "security.admin_key", Error),
        (&[("security.admin_key", "0123456789 0123456789 0123456789")], "security.admin_key", Error),
        (
            &[("security.argon2_memory_kib", "8"), ("security.argon2_lanes", "2")],
            "security.argon2_memory_kib",
            Error,
        ),
        (&[("security.argon2_memory_kib", "64")], "security.argon2_memory_kib", Warning),
        (&[("kms.provider", "aws"), ("kms.region", "eu-west-3")], "kms.key", Error),
        (&[("kms.provider", "vault"), ("kms.key", "root")], "kms.url", Error),
        (
            &[("kms.provider", "vault"), ("kms.key", "root"), ("kms.url", "http://127.example.com:8200")],
            "kms.url",
            Error,
        ),
        (&[("outbound.allow_private", "0.0.0.0/0")], "outbound.allow_private", Warning),
        (&[("outbound.allow_private", "10.0.0.0/99")], "outbound.allow_private", Error),
        (&[("http.trusted_proxies", "::/0")], "http.trusted_proxies", Error),
        (&[("jobs.lease_ms", "1000")], "jobs.lease_ms", Error),
        (&[("log.filter", "info,smpp=loud")], "log.filter", Error),
        (&[("smpp.inactivity_ms", "10")], "smpp.inactivity_ms", Warning),
        (&[("drain_ms", "0")], "drain_ms", Warning),
        (&[("http.listen", "0.0.0.0:80")], "demo.enabled", Warning),
    ];
    for (flags, key, severity) in cases {
        let found = from_flags(flags).map_or_else(|errors| errors.0, |config| config.check());
        let hit = found.iter().find(|finding| finding.key == *key && finding.severity == *severity);
        assert!(hit.is_some(), "{flags:?}: {found:?}");
        assert!(!hit.unwrap().advice.is_empty());
    }
    let config = from_flags(&[("http.tls.certificate", "x"), ("http.tls.key", "y")]).unwrap();
    assert_eq!((config.public_url().as_str(), config.is_https()), ("https://127.0.0.1:8080", true));
    // Ports that the system chooses never clash, nor does a simulator that does not run.
    let zero =
        [("http.listen", "127.0.0.1:0"), ("smpp.listen", "127.0.0.1:0"), ("simulator.listen", "127.0.0.1:0")];
    assert!(from_flags(&zero).is_ok());
    assert!(from_flags(&[("simulator.listen", "127.0.0.1:2775"), ("simulator.enabled", "false")]).is_ok());
}

#[test]
fn a_value_changed_by_a_program_is_judged_too() {
    let mut config = Config::for_tests("/tmp/x");
    config.smpp.enquire_missed_max = 0;
    config.data_dir = PathBuf::new();
    let found: Vec<String> = config.check().into_iter().map(|finding| finding.key).collect();
    assert_eq!(found, ["data_dir", "smpp.enquire_missed_max"]);
}
