#![no_main]
tere_fuzz::target!(tere_fuzz::webauthn::answer, 64 << 20);
