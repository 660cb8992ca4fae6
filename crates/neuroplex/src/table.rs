//! Tables for people: columns without lines, numbers to the right. What others named cannot drive the terminal.

use comfy_table::{CellAlignment, Table, presets};

use crate::text::plain;

/// A table under construction.
pub(crate) struct Columns(Table);

impl Columns {
    /// With these headings; one that begins with `#` stands over numbers.
    pub(crate) fn new(headings: &[&str]) -> Columns {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(headings.iter().map(|h| h.trim_start_matches('#').to_uppercase()));
        table.discover_columns();
        for (column, heading) in table.column_iter_mut().zip(headings) {
            column.set_padding((0, 2));
            if heading.starts_with('#') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        Columns(table)
    }

    /// A name and what stands for it, line by line.
    pub(crate) fn pairs(rows: impl IntoIterator<Item = (&'static str, String)>) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        for (name, value) in rows {
            table.add_row([name.to_owned(), plain(&value)]);
        }
        table.column_iter_mut().for_each(|column| _ = column.set_padding((2, 0)));
        table.trim_fmt()
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.add_row(cells.into_iter().map(|cell| plain(&cell)));
    }

    /// The table's lines, or `otherwise` where it has none.
    pub(crate) fn text(&self, otherwise: &str) -> String {
        if self.0.is_empty() { otherwise.into() } else { self.0.trim_fmt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_their_headings() {
        let mut columns = Columns::new(&["name", "#messages"]);
        assert_eq!(columns.text("none"), "none");
        columns.row(["ORDERS".into(), "3".into()]);
        columns.row(["A".into(), "1200".into()]);
        assert_eq!(columns.text("none"), "NAME    MESSAGES\nORDERS         3\nA           1200");
        let pairs = Columns::pairs([("subjects", "a.>".into()), ("age", "7d".into())]);
        assert_eq!(pairs, "  subjects  a.>\n  age       7d");
    }
}
