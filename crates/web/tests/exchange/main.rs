//! Exchanges between a client and a backend that the test itself plays, byte by byte, over real sockets.

mod bodies;
mod gone;
mod guesses;
mod h2_server;
mod interim;
mod limits;
mod requests;
mod retry;
mod support;
mod websocket;
