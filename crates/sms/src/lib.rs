//! Text messages: alphabets, parts, headers, delivery receipts
