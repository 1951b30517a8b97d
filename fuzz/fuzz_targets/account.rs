#![no_main]
tere_fuzz::target!(tere::auth::fuzz::account, 64 << 20);
