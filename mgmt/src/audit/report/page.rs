//! A page of headings, sentences and tables, as Markdown or HTML. What comes from outside is
//! escaped in both: a reason is never a tag, a link or another column.

use std::fmt::Write as _;

/// The page.
#[derive(Debug)]
pub(super) struct Page {
    title: String,
    blocks: Vec<Block>,
}

#[derive(Debug)]
enum Block {
    Heading(String),
    Text(String),
    Table(Table),
}

/// A table; with a note below it.
#[derive(Debug)]
pub(super) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    note: Option<String>,
}

impl Table {
    pub(super) fn new<const N: usize>(
        head: [&str; N],
        rows: impl Iterator<Item = [String; N]>,
    ) -> Self {
        Self {
            head: head.map(str::to_owned).into(),
            rows: rows.map(Vec::from).collect(),
            note: None,
        }
    }

    pub(super) fn note(mut self, note: String) -> Self {
        self.note = Some(note);
        self
    }
}

impl Page {
    pub(super) fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            blocks: Vec::new(),
        }
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.blocks.push(Block::Heading(text.to_owned()));
    }

    /// A sentence of ours; `code` in it is set as such.
    pub(super) fn text(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Text(text.into()));
    }

    pub(super) fn table(&mut self, table: Table) {
        self.blocks.push(Block::Table(table));
    }

    pub(super) fn markdown(&self) -> String {
        let mut out = format!("# {}\n", self.title);
        for block in &self.blocks {
            // Writing into a string cannot fail.
            let _ = match block {
                Block::Heading(text) => writeln!(out, "\n## {text}"),
                Block::Text(text) => writeln!(out, "\n{text}"),
                Block::Table(table) => write_markdown(&mut out, table),
            };
        }
        out
    }

    pub(super) fn html(&self) -> String {
        let title = html_text(&self.title);
        let mut out = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <title>{title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
        );
        for block in &self.blocks {
            let _ = match block {
                Block::Heading(text) => writeln!(out, "<h2>{}</h2>", html_text(text)),
                Block::Text(text) => writeln!(out, "<p>{}</p>", html_sentence(text)),
                Block::Table(table) => write_html(&mut out, table),
            };
        }
        out.push_str("</body></html>\n");
        out
    }
}

const STYLE: &str = "body{font-family:sans-serif;margin:2em}table{border-collapse:collapse}\
    th,td{border:1px solid #999;padding:.2em .5em;text-align:left;vertical-align:top}";

/// What stands in place of a table without rows.
const NOTHING: &str = "Nothing.";

fn write_markdown(out: &mut String, table: &Table) -> std::fmt::Result {
    if table.rows.is_empty() {
        return writeln!(out, "\n{NOTHING}");
    }
    writeln!(out, "\n| {} |", table.head.join(" | "))?;
    writeln!(out, "|{}", "---|".repeat(table.head.len()))?;
    for row in &table.rows {
        let cells: Vec<_> = row.iter().map(|cell| markdown_cell(cell)).collect();
        writeln!(out, "| {} |", cells.join(" | "))?;
    }
    table
        .note
        .iter()
        .try_for_each(|note| writeln!(out, "\n{note}"))
}

fn write_html(out: &mut String, table: &Table) -> std::fmt::Result {
    if table.rows.is_empty() {
        return writeln!(out, "<p>{NOTHING}</p>");
    }
    let row = |tag: &str, cells: &[String]| {
        let cells = cells.iter();
        let cells = cells.map(|cell| format!("<{tag}>{}</{tag}>", html_text(cell)));
        format!("<tr>{}</tr>", cells.collect::<String>())
    };
    writeln!(out, "<table>{}", row("th", &table.head))?;
    for cells in &table.rows {
        writeln!(out, "{}", row("td", cells))?;
    }
    writeln!(out, "</table>")?;
    let mut notes = table.note.iter();
    notes.try_for_each(|note| writeln!(out, "<p>{}</p>", html_text(note)))
}

/// One cell on one line, with nothing in it that Markdown or HTML would read.
fn markdown_cell(text: &str) -> String {
    let mut cell = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '~' | '!' | '#' => {
                cell.push('\\');
                cell.push(c);
            }
            '<' => cell.push_str("&lt;"),
            '&' => cell.push_str("&amp;"),
            c if c.is_control() => cell.push(' '),
            c => cell.push(c),
        }
    }
    cell
}

fn html_text(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// Every other piece between backticks is code.
fn html_sentence(text: &str) -> String {
    let pieces = text.split('`').map(html_text).enumerate();
    let pieces = pieces.map(|(i, piece)| match i % 2 {
        0 => piece,
        _ => format!("<code>{piece}</code>"),
    });
    pieces.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_becomes_a_tag_or_a_column() {
        let mut page = Page::new("Report");
        page.text("Run `x < y`.");
        let evil = "a|b\n[c](d)<script>&'";
        page.table(Table::new(["Why"], [[evil.to_owned()]].into_iter()));
        assert_eq!(
            page.markdown(),
            "# Report\n\nRun `x < y`.\n\n| Why |\n|---|\n| a\\|b \\[c\\](d)&lt;script>&amp;' |\n"
        );
        let html = page.html();
        assert!(html.contains("<p>Run <code>x &lt; y</code>.</p>"), "{html}");
        assert!(
            html.contains("<td>a|b\n[c](d)&lt;script&gt;&amp;&#39;</td>"),
            "{html}"
        );
    }
}
