#![no_main]
tere_fuzz::target!(tere::protocol::fuzz::exec, 4 << 20);
