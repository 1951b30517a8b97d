#![no_main]
tere_fuzz::target!(tere::terminal::fuzz::terminal, 64 << 20);
