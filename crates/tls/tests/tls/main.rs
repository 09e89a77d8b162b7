//! Both sides of TLS over loopback sockets: each test performs handshakes as the program does.

// `cfg(test)` is always set here; it tells clippy that helpers are test code too.
#[cfg(test)]
mod bridged;
#[cfg(test)]
mod client;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod selection;
#[cfg(test)]
mod server;
#[cfg(test)]
mod stream;
#[cfg(test)]
mod support;
