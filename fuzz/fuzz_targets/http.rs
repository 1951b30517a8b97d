#![no_main]
tere_fuzz::target!(tere::front::fuzz::http, 64 << 20);
