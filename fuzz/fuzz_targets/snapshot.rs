#![no_main]
tere_fuzz::target!(tere::terminal::fuzz::snapshot, 64 << 20);
