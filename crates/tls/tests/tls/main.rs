//! Both sides of TLS over loopback sockets: each test does handshakes as the program does them.

// `cfg(test)` is always so here; it tells clippy that helpers are test code too.
#[cfg(test)]
mod choice;
#[cfg(test)]
mod client;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod server;
#[cfg(test)]
mod stream;
#[cfg(test)]
mod support;
