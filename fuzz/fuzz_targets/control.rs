#![no_main]
tere_fuzz::target!(tere::protocol::fuzz::control, 4 << 20);
