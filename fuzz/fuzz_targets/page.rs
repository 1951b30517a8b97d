#![no_main]
tere_fuzz::target!(tere::front::fuzz::page, 64 << 20);
