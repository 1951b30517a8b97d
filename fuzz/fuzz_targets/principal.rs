#![no_main]
tere_fuzz::target!(tere::protocol::fuzz::principal, 4 << 20);
