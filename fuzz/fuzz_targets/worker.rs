#![no_main]
tere_fuzz::target!(tere::protocol::fuzz::worker, 4 << 20);
