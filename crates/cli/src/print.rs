//! Standard output: aligned tables, lines and JSON.

use std::io::{self, Write};

use serde::Serialize;

use crate::api_client::CommandError;
use crate::format::escaped;

/// A table with a header and rows of as many cells.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

/// Spaces between two columns.
const COLUMN_GAP: usize = 2;

// === impl Table ===

impl Table {
    pub(crate) fn new(header: &[&str]) -> Self {
        Self { rows: vec![header.iter().map(|&cell| cell.to_owned()).collect()] }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into_iter().map(|cell| escaped(&cell)).collect());
    }

    pub(crate) fn print(&self) -> Result<(), CommandError> {
        let widths = self.column_widths();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let padding = width - cell.chars().count() + COLUMN_GAP;
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', padding));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        print_bytes(text.as_bytes())
    }

    fn column_widths(&self) -> Vec<usize> {
        let mut widths = Vec::new();
        for row in &self.rows {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    }
}

/// Prints a line for people.
pub(crate) fn print_line(text: &str) -> Result<(), CommandError> {
    print_bytes(format!("{}\n", escaped(text)).as_bytes())
}

/// Prints `value` as indented JSON.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), CommandError> {
    let text = serde_json::to_string_pretty(value).map_err(json_error)?;
    print_bytes(format!("{text}\n").as_bytes())
}

/// Prints `value` as JSON on one line.
pub(crate) fn print_json_line(value: &impl Serialize) -> Result<(), CommandError> {
    let text = serde_json::to_string(value).map_err(json_error)?;
    print_bytes(format!("{text}\n").as_bytes())
}

/// Prints bytes unchanged.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), CommandError> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    written.map_err(|error| CommandError::File("standard output".to_owned(), error))
}

fn json_error(error: serde_json::Error) -> CommandError {
    CommandError::File("standard output".to_owned(), io::Error::other(error))
}
