#![no_main]
tere_fuzz::target!(tere::protocol::fuzz::viewer, 4 << 20);
