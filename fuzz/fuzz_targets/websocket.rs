#![no_main]
tere_fuzz::target!(tere::front::fuzz::websocket, 64 << 20);
