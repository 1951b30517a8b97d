#![no_main]
tere_fuzz::target!(tere::protocol::fuzz::vouch, 4 << 20);
