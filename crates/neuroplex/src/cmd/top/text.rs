//! One view as text: what `--once` prints.

use super::cells::{self, Column};
use super::lines;
use super::view::{Listed, View};
use crate::table::Columns;

/// Most rows of a list that are printed: the rest is counted.
const ROWS_MAX: usize = 20;

/// The whole view; its rows are in order already.
pub(super) fn text(view: &View) -> String {
    let mut parts = vec![[lines::node(view), lines::rates(view), lines::counts(view)].join("\n")];
    parts.push(list("connections", cells::CONNECTIONS, &view.connections));
    parts.push(list("streams", cells::STREAMS, &view.streams));
    parts.push(list("subjects", cells::SUBJECTS, &view.subjects));
    parts.join("\n\n")
}

fn list<T>(what: &str, columns: &[Column<T>], listed: &Listed<T>) -> String {
    let headings: Vec<_> = columns.iter().map(|column| column.heading).collect();
    let mut table = Columns::new(&headings);
    for row in listed.rows.iter().take(ROWS_MAX) {
        table.row(columns.iter().map(|column| (column.cell)(row)));
    }
    let mut text = table.text(&format!("no {what}"));
    let more = listed.rows.len().saturating_sub(ROWS_MAX);
    if more > 0 {
        text.push_str(&format!("\n… and {more} more {what}; --json shows them"));
    }
    if let Some(note) = &listed.note {
        text.push_str(&format!("\n({note})"));
    }
    text
}
