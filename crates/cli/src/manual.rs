//! `pointsman completions` and `pointsman man`: made from the arguments themselves, so that they cannot
//! tell anything else.

use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::arguments::Arguments;
use crate::client::Failure;
use crate::print::out;

/// Prints the completions for `shell`.
pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "pointsman", &mut text);
    out(&text)
}

/// Prints the manual page of the program, or writes every page into `folder`.
pub(crate) fn pages(folder: Option<&Path>) -> Result<(), Failure> {
    match folder {
        Some(folder) => clap_mangen::generate_to(Arguments::command(), folder)
            .map_err(|error| Failure::File(folder.display().to_string(), error)),
        None => {
            let mut text = Vec::new();
            let rendered: io::Result<()> = Man::new(Arguments::command()).render(&mut text);
            rendered.map_err(|error| Failure::File("the manual page".to_owned(), error))?;
            out(&text)
        }
    }
}
