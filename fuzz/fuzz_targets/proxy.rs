#![no_main]
tere_fuzz::target!(tere::front::fuzz::proxy, 64 << 20);
