//! A table as a chart: bars, what is left out hatched, and the rule below.

use concordat::proto::v1::StatisticsTable;

use super::chart::{LEFT_OUT, label, numbers};

const WIDTH: i64 = 960;
const LABELS: i64 = 420;
const BAR: i64 = 18;
const STEP: i64 = 26;
const TOP: i64 = 64;
/// How many characters of the rule fit on a line.
const RULE_CHARACTERS: usize = 130;

/// The whole document. It names no font file and no address, so it looks the same wherever it is opened.
pub(super) fn chart(table: &StatisticsTable) -> String {
    let numbers = numbers(table);
    let most = numbers.iter().filter_map(|number| number.organisations).max().unwrap_or_default().max(1);
    let rule = lines(&table.rule, RULE_CHARACTERS);
    let bottom = TOP + STEP * i64::try_from(numbers.len()).unwrap_or_default() + 24;
    let height = bottom + 16 * i64::try_from(rule.len()).unwrap_or_default() + 12;
    let heading = escaped(&format!("{}, {}: {}", table.holder, table.quarter, table.title));
    let mut parts = vec![format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"13\" role=\"img\">\n\
         <title>{heading}</title>\n\
         <defs><pattern id=\"left-out\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">\
         <path d=\"M0 6 6 0\" stroke=\"#767676\"/></pattern></defs>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"32\" font-size=\"18\" font-weight=\"bold\">{heading}</text>"
    )];
    for (y, number) in (TOP..).step_by(usize::try_from(STEP).unwrap_or(1)).zip(&numbers) {
        let (start, baseline, label) = (LABELS - 10, y + 13, escaped(&label(number)));
        let (fill, width, words) = match number.organisations {
            Some(count) => ("#1d70b8", count.max(0) * (WIDTH - LABELS - 90) / most, count.to_string()),
            None => ("url(#left-out)", 60, LEFT_OUT.to_owned()),
        };
        let end = LABELS + width + 8;
        parts.push(format!(
            "<text x=\"{start}\" y=\"{baseline}\" text-anchor=\"end\">{label}</text>\
             <rect x=\"{LABELS}\" y=\"{y}\" width=\"{width}\" height=\"{BAR}\" fill=\"{fill}\"/>\
             <text x=\"{end}\" y=\"{baseline}\">{words}</text>"
        ));
    }
    for (y, line) in (bottom..).step_by(16).zip(&rule) {
        parts.push(format!("<text x=\"16\" y=\"{y}\" font-size=\"11\" fill=\"#505a5f\">{}</text>", escaped(line)));
    }
    parts.push("</svg>\n".to_owned());
    parts.join("\n")
}

/// The text in lines of at most so many characters, broken between words.
fn lines(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::chart::tests::table;
    use super::*;

    #[test]
    fn what_is_left_out_is_marked_and_what_others_wrote_is_text() {
        let svg = chart(&table());
        assert_eq!(svg.matches("url(#left-out)").count(), 1);
        assert!(svg.contains("Sector by &lt;type&gt;") && !svg.contains("<type>"));
        assert!(svg.contains("The rule."));
    }
}
