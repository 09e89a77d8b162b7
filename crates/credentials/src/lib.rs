//! What a client logs in with: mechanisms, SASL messages, tokens, and the account name that they claim.
//!
//! Everything here works on byte slices, so that hostile input can be tested against expected values. Nothing here
//! verifies a credential (the backend does), performs I/O, or prints a secret.
//!
//! | module | subject |
//! |---|---|
//! | [`attempt`] | one login as the client made it |
//! | [`mechanism`] | the SASL mechanisms, in one table |
//! | [`sasl`] | SASL exchanges on both sides |
//! | [`names`] | the account name that a credential claims |
//! | [`token`] | the account name inside a bearer token |

pub mod attempt;
pub mod mechanism;
pub mod names;
pub mod sasl;
pub mod token;
