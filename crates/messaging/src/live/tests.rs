use super::*;

#[test]
fn receipts_are_told_by_their_state() {
    assert_eq!(receipt_in_words(Some(2)), ("DELIVRD".to_owned(), "the message is delivered".to_owned()));
    assert_eq!(receipt_in_words(Some(1)).1, "the message is still on its way");
    assert_eq!(receipt_in_words(None).0, receipt_in_words(Some(0)).0);
}
