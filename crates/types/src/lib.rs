//! Ids, time, numbers, errors and events that every capability shares
