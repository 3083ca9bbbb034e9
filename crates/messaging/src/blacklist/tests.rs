use super::*;

#[test]
fn a_list_is_read_with_and_without_a_heading() {
    let import = Import {
        text: "\u{feff}# numbers\n+33612345678\n336 11 11 11 11,\"moved, twice\"\nnobody\n\n".to_owned(),
        reason: Some("opt-out".to_owned()),
        ..Import::default()
    };
    let read = lines(&import).unwrap();
    let entries: Vec<_> = read.iter().map(|(line, read)| (*line, read.as_ref().unwrap())).collect();
    assert_eq!(entries.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(entries[0].1.reason.as_deref(), Some("opt-out"));
    assert_eq!(entries[1].1.reason.as_deref(), Some("moved, twice"));
    assert!(Kind::Number.normal(&entries[2].1.value).is_err());

    let import = Import {
        text: "Kind;Value;expires_at\nprefix;+33;2027-01-01T00:00:00Z\nsender;ACME*;\nplanet;x;\n".to_owned(),
        ..Import::default()
    };
    let read = lines(&import).unwrap();
    let prefix = read[0].1.as_ref().unwrap();
    assert_eq!((prefix.kind, prefix.value.as_str()), (Some(Kind::Prefix), "+33"));
    assert!(prefix.expires_at.is_some());
    assert_eq!(read[1].1.as_ref().unwrap().kind, Some(Kind::Sender));
    assert_eq!(read[2].1.as_ref().unwrap_err().place(), Some("kind"));
    assert!(lines(&Import::default()).is_err());
}

#[test]
fn values_have_one_form_each() {
    for (kind, text, normal) in [
        (Kind::Number, "+33 6 12 34 56 78", "33612345678"),
        (Kind::Prefix, "+336", "336"),
        (Kind::Ip, "203.0.113.0/24", "203.0.113.0/24"),
        (Kind::Sender, "ACME*", "acme*"),
        (Kind::Content, "FREE\u{200b} Money", "free money"),
    ] {
        assert_eq!(kind.normal(text).unwrap(), normal);
    }
    for (kind, text) in [
        (Kind::Number, "x"),
        (Kind::Prefix, "+"),
        (Kind::Ip, "10.0.0.1/8"),
        (Kind::Sender, " "),
        (Kind::Key, "key"),
        (Kind::Content, "x"),
    ] {
        assert_eq!(kind.normal(text).unwrap_err().place(), Some("value"), "{text}");
    }
}
