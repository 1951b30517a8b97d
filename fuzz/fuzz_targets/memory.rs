#![no_main]
tere_fuzz::target!(tere::session::fuzz::memory, 64 << 20);
