use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;

mod service;

const PLACE: Place<'static> =
    Place { tenant: "ten_1", table: "smpp_accounts", column: "password", row: "acc_1" };

fn vault() -> Vault {
    Vault::from_key([7; KEY_BYTES])
}

#[test]
fn what_is_sealed_opens_in_its_place_only() {
    let (data, _) = vault().create_data_key("ten_1").unwrap();
    let sealed = data.seal(PLACE, b"secret08").unwrap();
    assert_eq!(data.open(PLACE, &sealed).unwrap().as_slice(), b"secret08");
    let others = [
        Place { tenant: "ten_2", ..PLACE },
        Place { table: "connections", ..PLACE },
        Place { column: "token", ..PLACE },
        Place { row: "acc_2", ..PLACE },
    ];
    for place in others {
        assert!(matches!(data.open(place, &sealed), Err(SecretsError::Forged)), "{place:?}");
    }
    let empty = data.seal(PLACE, b"").unwrap();
    assert!(data.open(PLACE, &empty).unwrap().is_empty());
}

#[test]
fn every_flipped_bit_is_noticed() {
    let (data, _) = vault().create_data_key("ten_1").unwrap();
    let sealed = data.seal(PLACE, b"secret08").unwrap();
    let (head, encoded) = sealed.rsplit_once('.').unwrap();
    let octets = BASE64.decode(encoded).unwrap();
    assert_eq!(octets.len(), NONCE_BYTES + 8 + TAG_BYTES);
    for bit in 0..octets.len() * 8 {
        let mut changed = octets.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let text = format!("{head}.{}", BASE64.encode(changed));
        assert!(matches!(data.open(PLACE, &text), Err(SecretsError::Forged)), "bit {bit}");
    }
}

#[test]
fn the_text_has_version_key_id_and_a_fresh_nonce() {
    let (data, _) = vault().create_data_key("ten_1").unwrap();
    let (one, two) = (data.seal(PLACE, b"same").unwrap(), data.seal(PLACE, b"same").unwrap());
    assert_ne!(one, two);
    let fields: Vec<&str> = one.split('.').collect();
    assert_eq!((fields.len(), fields[0], fields[1]), (3, "v1", data.id()));
    assert_eq!(sealing_key_id(&one).unwrap(), data.id());
    assert!(one.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b)), "{one}");
}

#[test]
fn what_is_no_sealed_text_is_told_so() {
    let (data, _) = vault().create_data_key("ten_1").unwrap();
    let id = data.id();
    let texts = [
        String::new(),
        "v1".to_owned(),
        "secret08".to_owned(),
        format!("v2.{id}.AAAA"),
        format!("v1.{id}"),
        format!("v1.{id}.AAAA"),
        format!("v1.{id}.not base64"),
        format!("v1.{id}.{}", "A".repeat(36)),
        "v1.short.AAAA".to_owned(),
        format!("v1.{}é.AAAA", &id[..14]),
    ];
    for text in texts {
        let error = data.open(PLACE, &text).unwrap_err();
        assert!(matches!(error, SecretsError::Format(_)), "{text:?}: {error}");
    }
}

#[test]
fn the_wrong_key_is_named() {
    let (one, _) = vault().create_data_key("ten_1").unwrap();
    let (two, _) = vault().create_data_key("ten_1").unwrap();
    let sealed = one.seal(PLACE, b"secret08").unwrap();
    match two.open(PLACE, &sealed).unwrap_err() {
        SecretsError::OtherKey { sealed, given } => assert_eq!((&*sealed, &*given), (one.id(), two.id())),
        other => panic!("{other}"),
    }
    // A key that claims the other's id still does not open it.
    let claimed = sealed.replace(one.id(), two.id());
    assert!(matches!(two.open(PLACE, &claimed), Err(SecretsError::Forged)));
}

#[test]
fn a_wrapped_key_opens_with_its_root_and_for_its_tenant() {
    let (data, wrapped) = vault().create_data_key("ten_1").unwrap();
    let sealed = data.seal(PLACE, b"secret08").unwrap();
    assert_eq!(sealing_key_id(&wrapped).unwrap(), vault().key_id());
    let again = vault().unwrap("ten_1", &wrapped).unwrap();
    assert_eq!(again.open(PLACE, &sealed).unwrap().as_slice(), b"secret08");
    assert!(matches!(vault().unwrap("ten_2", &wrapped), Err(SecretsError::Forged)));
    assert!(matches!(Vault::from_key([8; 32]).unwrap("ten_1", &wrapped), Err(SecretsError::OtherKey { .. })));
    assert!(matches!(data.open(PLACE, &wrapped), Err(SecretsError::OtherKey { .. })));
    // What the root sealed for another purpose is no data key.
    let root = Key::new(Zeroizing::new([7; KEY_BYTES]));
    let short = root.seal(b"data key of ten_1", b"short").unwrap();
    assert!(matches!(vault().unwrap("ten_1", &short), Err(SecretsError::Format(_))));
}

#[tokio::test]
async fn a_new_root_key_wraps_anew_and_the_fields_stay() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.key");
    let vault = Vault::from_file(&path).unwrap();
    let (data, wrapped) = vault.create_data_key("ten_1").unwrap();
    let sealed = data.seal(PLACE, b"secret08").unwrap();
    let before = vault.key_id();
    let now = vault.turn(None).await.unwrap();
    assert_eq!((vault.key_id(), vault.former_key_ids()), (now.clone(), vec![before.clone()]));
    assert_ne!(now, before);
    // As it is after a crash between the new key and the wrapping anew.
    for vault in [&vault, &Vault::from_file(&path).unwrap()] {
        let opened = vault.unwrap("ten_1", &wrapped).unwrap();
        assert_eq!(opened.open(PLACE, &sealed).unwrap().as_slice(), b"secret08");
        let rewrapped = vault.rewrap("ten_1", &wrapped).unwrap();
        assert_eq!(sealing_key_id(&rewrapped).unwrap(), now);
        let again = vault.unwrap("ten_1", &rewrapped).unwrap();
        assert_eq!(again.open(PLACE, &sealed).unwrap().as_slice(), b"secret08");
    }
    let rewrapped = vault.rewrap("ten_1", &wrapped).unwrap();
    vault.forget().await.unwrap();
    for vault in [&vault, &Vault::from_file(&path).unwrap()] {
        assert!(vault.former_key_ids().is_empty());
        assert!(vault.unwrap("ten_1", &rewrapped).is_ok());
        assert!(matches!(vault.unwrap("ten_1", &wrapped), Err(SecretsError::OtherKey { .. })));
    }
    let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode, std::fs::read_dir(dir.path()).unwrap().count()), (0o600, 1), "no draft is left");
}

#[tokio::test]
async fn a_root_key_that_cannot_be_kept_does_not_become_the_current_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys/root.key");
    let vault = Vault::from_file(&path).unwrap();
    for _ in 1..ROOT_KEYS_MAX {
        vault.turn(None).await.unwrap();
    }
    let full = vault.key_id();
    assert!(matches!(vault.turn(None).await, Err(SecretsError::TooMany)));
    assert_eq!(Vault::from_file(&path).unwrap().former_key_ids(), vault.former_key_ids());
    std::fs::remove_dir_all(dir.path()).unwrap();
    std::fs::write(dir.path(), "no folder").unwrap();
    assert!(matches!(vault.forget().await, Err(SecretsError::File { .. })));
    assert_eq!((vault.key_id(), vault.former_key_ids().len()), (full, ROOT_KEYS_MAX - 1));
    std::fs::remove_file(dir.path()).unwrap();
}

#[tokio::test]
async fn a_root_key_is_handed_over_as_text() {
    let (old, new) = (Vault::new_key_text().unwrap(), Vault::new_key_text().unwrap());
    let (data, wrapped) = Vault::from_text(&old).unwrap().create_data_key("ten_1").unwrap();
    let both = Vault::from_text(&format!("{} {}\n", *new, *old)).unwrap();
    assert_eq!(both.unwrap("ten_1", &wrapped).unwrap().id(), data.id());
    assert!(matches!(both.turn(None).await, Err(SecretsError::Handed)));
    assert!(matches!(
        Vault::from_text(&new).unwrap().unwrap("ten_1", &wrapped),
        Err(SecretsError::OtherKey { .. })
    ));
    for bad in ["", " ", "v1.1234.abc", &new[..new.len() - 1]] {
        assert!(matches!(Vault::from_text(bad), Err(SecretsError::Format(_))), "{bad}");
    }
}

#[test]
fn the_first_start_makes_a_root_key_that_only_its_owner_reads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data/keys/root.key");
    let first = Vault::from_file(&path).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
    assert_eq!(Vault::from_file(&path).unwrap().key_id(), first.key_id());
    let other = Vault::from_file(&dir.path().join("other.key")).unwrap();
    assert_ne!(other.key_id(), first.key_id());
}

#[test]
fn starting_together_gives_one_root_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.key");
    let ids: Vec<String> = std::thread::scope(|scope| {
        let starts: Vec<_> =
            (0..8).map(|_| scope.spawn(|| Vault::from_file(&path).unwrap().key_id())).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[test]
fn a_root_key_file_that_cannot_be_right_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.key");
    Vault::from_file(&path).unwrap();
    let good = std::fs::read_to_string(&path).unwrap();
    let middle = good.len() / 2;
    let swapped = if &good[middle..=middle] == "A" { "B" } else { "A" };
    let cases: [(Vec<u8>, &str); 7] = [
        (Vec::new(), "is empty"),
        (b"\n".to_vec(), "is empty"),
        (vec![0xff; 32], "is not a text"),
        (b"correct horse battery staple".to_vec(), "is not of the form"),
        (good.as_bytes()[..middle].to_vec(), "holds a key that is not 32 octets long|is not of the form"),
        ([&good[..middle], swapped, &good[middle + 1..]].concat().into_bytes(), "is damaged"),
        (good.repeat(9).into_bytes(), "holds more than 8 keys"),
    ];
    for (octets, problem) in cases {
        std::fs::write(&path, &octets).unwrap();
        let error = Vault::from_file(&path).unwrap_err();
        assert!(matches!(error, SecretsError::KeyFile { .. }), "{error}");
        let error = error.to_string();
        assert!(problem.split('|').any(|problem| error.contains(problem)), "{problem}: {error}");
        assert!(error.contains("root.key") && !error.contains(good[20..60].trim()), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), octets);
    }
    std::fs::write(&path, good.trim()).unwrap();
    assert!(Vault::from_file(&path).is_ok(), "an editor that drops the newline does no harm");
}

#[test]
fn a_root_key_that_others_can_reach_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.key");
    Vault::from_file(&path).unwrap();
    for (mode, fine) in
        [(0o400, true), (0o440, true), (0o640, true), (0o644, false), (0o660, false), (0o604, false)]
    {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        match Vault::from_file(&path) {
            Ok(_) => assert!(fine, "{mode:o}"),
            Err(error) => {
                assert!(
                    !fine && error.to_string().contains(&format!("mode {mode:03o}")),
                    "{mode:o}: {error}"
                );
            }
        }
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Vault::from_file(&file.join("root.key")).unwrap_err().to_string();
    assert!(error.contains("could not be"), "{error}");
    let error = Vault::from_file(dir.path()).unwrap_err().to_string();
    assert!(!error.is_empty(), "a folder is no key file");
}

#[test]
fn nothing_secret_is_printed() {
    let vault = vault();
    let (data, _) = vault.create_data_key("ten_1").unwrap();
    assert_eq!(format!("{vault:?}"), format!("Vault({})", vault.key_id()));
    assert_eq!(format!("{data:?}"), format!("DataKey {{ key: Key({}) }}", data.id()));
}

#[test]
fn tokens_are_url_safe_and_differ() {
    let tokens: std::collections::BTreeSet<String> = (0..100).map(|_| token(32).unwrap()).collect();
    assert_eq!(tokens.len(), 100);
    for token in &tokens {
        assert_eq!(token.len(), 43);
        assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{token}");
    }
}

#[test]
fn the_digest_is_sha_256() {
    // FIPS 180-4, examples.
    assert_eq!(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

#[test]
fn secrets_are_compared_whole() {
    assert!(constant_time_eq("", "") && constant_time_eq("secret08", b"secret08"));
    for other in ["", "secret0", "secret09", "Secret08", "secret08\0", "secret080"] {
        assert!(!constant_time_eq("secret08", other), "{other:?}");
    }
}
