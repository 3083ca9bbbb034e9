//! What tests need: the real program on free ports, users as types, peers, a browser
