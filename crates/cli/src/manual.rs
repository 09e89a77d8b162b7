//! `pointsman completions` and `pointsman man`: generated from the definition of the arguments, so that they always
//! agree with the program.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::api_client::CommandError;
use crate::arguments::Arguments;
use crate::print::print_bytes;

/// Prints the completion script for `shell`.
pub(crate) fn completions(shell: Shell) -> Result<(), CommandError> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "pointsman", &mut text);
    print_bytes(&text)
}

/// Prints the manual page of the program, or writes the page of every command to `directory`.
pub(crate) fn pages(directory: Option<&Path>) -> Result<(), CommandError> {
    if let Some(directory) = directory {
        return clap_mangen::generate_to(Arguments::command(), directory)
            .map_err(|error| CommandError::File(directory.display().to_string(), error));
    }
    let mut text = Vec::new();
    Man::new(Arguments::command())
        .render(&mut text)
        .map_err(|error| CommandError::File("the manual page".to_owned(), error))?;
    print_bytes(&text)
}
