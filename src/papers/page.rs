//! One self-contained page. The only place that writes markup: everything else hands it text.

use super::{Letterhead, Wording};
use crate::domain::Instant;

/// Nothing is loaded and nothing runs, whatever should slip into the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'";
const STYLE: &str = "@page{size:A4;margin:20mm}\
    body{font:11pt/1.45 Georgia,serif;color:#000;background:#fff;max-width:170mm;margin:1em auto;padding:0 1em}\
    h1{font-size:17pt;line-height:1.2}h2{font-size:13pt;margin-top:1.6em}\
    dl{display:grid;grid-template-columns:13em 1fr;gap:.35em 1em}dt{font-weight:bold}dd{margin:0}\
    dl,table,p{overflow-wrap:anywhere}ul{margin:0;padding-left:1.1em}\
    table{border-collapse:collapse;width:100%;font-size:9.5pt}td,th{border:1px solid #777;padding:.3em;\
    text-align:left;vertical-align:top}tr,dt,dd,.line{break-inside:avoid}\
    .line{border-bottom:1px solid #000;margin-top:2.4em}footer{margin-top:2em;font-size:8.5pt}\
    pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:7pt;border:1px solid #777;padding:.5em}";

/// A page in the making.
pub(super) struct Page {
    html: String,
}

/// One value beside its label or in a table's cell: lines of text.
pub(super) type Lines = Vec<String>;

impl Page {
    pub(super) fn new(title: &str) -> Self {
        let title = escaped(title);
        Self {
            html: format!(
                "<!DOCTYPE html>\n<html lang=\"en-GB\">\n<head>\n<meta charset=\"utf-8\">\n\
                 <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
                 <meta name=\"referrer\" content=\"no-referrer\">\n\
                 <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
            ),
        }
    }

    fn add(&mut self, markup: &str) {
        self.html.push_str(markup);
    }

    fn element(&mut self, tag: &str, text: &str) {
        self.add(&format!("<{tag}>{}</{tag}>\n", escaped(text)));
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.element("h2", text);
    }

    pub(super) fn paragraph(&mut self, text: &str) {
        self.element("p", text);
    }

    /// Values beside their labels.
    pub(super) fn terms(&mut self, terms: &[(&str, Lines)]) {
        self.add("<dl>\n");
        for (label, lines) in terms {
            self.add(&format!("<dt>{}</dt><dd>{}</dd>\n", escaped(label), several(lines)));
        }
        self.add("</dl>\n");
    }

    pub(super) fn table(&mut self, head: &[String], rows: &[Vec<Lines>]) {
        let cells = |tag: &str, cells: &mut dyn Iterator<Item = String>| {
            cells.map(|cell| format!("<{tag}>{cell}</{tag}>")).collect::<Vec<_>>().concat()
        };
        let head = cells("th", &mut head.iter().map(|text| escaped(text)));
        self.add(&format!("<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n"));
        for row in rows {
            let row = cells("td", &mut row.iter().map(|lines| several(lines)));
            self.add(&format!("<tr>{row}</tr>\n"));
        }
        self.add("</tbody>\n</table>\n");
    }

    /// A line to write on.
    pub(super) fn line(&mut self, label: &str) {
        self.add(&format!("<div class=\"line\">{}</div>\n", escaped(label)));
    }

    /// Text to be copied as it is.
    pub(super) fn attachment(&mut self, title: &str, text: &str) {
        self.add(&format!("<h3>{}</h3>\n<pre>{}</pre>\n", escaped(title), escaped(text)));
    }

    /// The page, with when it was made and by which wording.
    pub(super) fn finish(mut self, head: &Letterhead, wording: &Wording) -> String {
        let made = format!("{}: {}, {}", wording.labels.made, when(head.at), head.holder);
        let by = format!("{}: {}, SHA-256 {}", wording.labels.wording, wording.version(), head.wording_digest);
        self.add(&format!("<footer>{}<br>{}</footer>\n</body>\n</html>\n", escaped(&made), escaped(&by)));
        self.html
    }
}

fn several(lines: &[String]) -> String {
    match lines {
        [one] => escaped(one),
        lines => {
            let items: Vec<String> = lines.iter().map(|line| format!("<li>{}</li>", escaped(line))).collect();
            format!("<ul>{}</ul>", items.concat())
        }
    }
}

/// A time for people, to the minute.
pub(super) fn when(at: Instant) -> String {
    let text = at.to_string();
    match (text.get(..10), text.get(11..16)) {
        (Some(day), Some(minute)) => format!("{day}, {minute} UTC"),
        _ => text,
    }
}

/// Text as it stands between tags. What turns the order of letters around would let a name rewrite what is signed.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}' => {
                safe.push(char::REPLACEMENT_CHARACTER);
            }
            other if other.is_control() && other != '\n' => safe.push(char::REPLACEMENT_CHARACTER),
            other => safe.push(other),
        }
    }
    safe
}
