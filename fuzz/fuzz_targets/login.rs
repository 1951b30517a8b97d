#![no_main]
tere_fuzz::target!(tere::protocol::fuzz::login, 4 << 20);
