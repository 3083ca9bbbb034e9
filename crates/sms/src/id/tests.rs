use super::{Form, candidates, canonical, decimal_to_hexadecimal, hexadecimal_to_decimal, key};

fn all(id: &str) -> Vec<String> {
    candidates(id).map(std::borrow::Cow::into_owned).collect()
}

#[test]
fn candidates_come_from_exact_to_converted() {
    assert_eq!(all("0059113978"), ["0059113978", "59113978", "38601fa", "1494301048"]);
    assert_eq!(all("4D19C83C"), ["4D19C83C", "4d19c83c", "1293535292"]);
    assert_eq!(all("6aad5"), ["6aad5", "436949"]);
    assert_eq!(all("7"), ["7"]);
    assert_eq!(all("0000"), ["0000", "0"]);
    assert_eq!(all(" 77\0"), ["77", "4d", "119"]);
    assert_eq!(all(""), Vec::<String>::new());
}

#[test]
fn what_is_no_number_is_not_converted() {
    assert_eq!(all("foo"), ["foo"]);
    assert_eq!(all("+77"), ["+77"]);
    assert_eq!(all("74e02ee1-4e2f-4a6e-a78b-4b247d756a22").len(), 1);
    assert_eq!(all("a29f6845555647139e5c8f3b817f2c9a").len(), 1);
}

#[test]
fn long_numbers_are_exact() {
    let decimal = "171026125222636445993424531920";
    let hexadecimal = decimal_to_hexadecimal(decimal).expect("30 digits");
    assert_eq!(hexadecimal_to_decimal(&hexadecimal).as_deref(), Some(decimal));
    assert_eq!(hexadecimal, "2289d7eb9e873de7c7ba231d0");
    assert_eq!(decimal_to_hexadecimal("18446744073709551616").as_deref(), Some("10000000000000000"));
    assert_eq!(decimal_to_hexadecimal(&"9".repeat(31)), None);
}

#[test]
fn known_forms_have_one_canonical_text() {
    assert_eq!(canonical("38601FA", Form::Hexadecimal), "59113978");
    assert_eq!(canonical("0059113978", Form::Decimal), "59113978");
    assert_eq!(canonical("00AbC", Form::Text), "abc");
    assert_eq!(canonical("xyz", Form::Hexadecimal), "xyz");
    assert_eq!((key(""), key("000")), ("".into(), "0".into()));
}
