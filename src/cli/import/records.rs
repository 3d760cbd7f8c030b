//! Cuts a file of JSON into records without holding more than one of them: lines, or the elements of one array.
//!
//! Nothing is parsed here, so a broken record spoils no other: a line ends at its line's end, and an element where its
//! own brackets close.

use std::io::{self, BufRead, Bytes};

/// The longest record. The node takes content of at most 256 KiB.
const LONGEST_BYTES: usize = 4 << 20;

/// Where a record stands, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Place {
    /// The number of a line.
    Line(u64),
    /// The number of an array's element.
    Element(u64),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::Element(number) => write!(f, "element {number}"),
        }
    }
}

/// One record.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) struct Record {
    pub(in crate::cli) place: Place,
    /// Its text, or why it has none.
    pub(in crate::cli) text: Result<Vec<u8>, &'static str>,
    /// How many bytes of the file have been read.
    pub(in crate::cli) end: u64,
}

/// The records of a file, one after the other.
#[derive(Debug)]
pub(in crate::cli) struct Records<R: BufRead> {
    bytes: Bytes<R>,
    read: u64,
    number: u64,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Nothing has been read yet.
    Unknown,
    Lines,
    Array,
    /// The array has ended.
    Ended,
}

/// Text of a bounded length.
#[derive(Default)]
struct Text {
    bytes: Vec<u8>,
    too_long: bool,
}

impl Text {
    fn push(&mut self, byte: u8) {
        if self.bytes.len() < LONGEST_BYTES {
            self.bytes.push(byte);
        } else {
            self.too_long = true;
        }
    }

    fn is_blank(&self) -> bool {
        self.bytes.iter().all(u8::is_ascii_whitespace)
    }

    fn whole(self) -> Result<Vec<u8>, &'static str> {
        if self.too_long { Err("has more than 4 MiB") } else { Ok(self.bytes) }
    }
}

impl<R: BufRead> Records<R> {
    pub(in crate::cli) fn new(input: R) -> Self {
        Self { bytes: input.bytes(), read: 0, number: 0, form: Form::Unknown }
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.bytes.next().transpose()?;
        self.read += u64::from(byte.is_some());
        Ok(byte)
    }

    fn record(&self, text: Result<Vec<u8>, &'static str>) -> Record {
        let place = if self.form == Form::Lines { Place::Line(self.number) } else { Place::Element(self.number) };
        Record { place, text, end: self.read }
    }

    /// The first byte that is no space, nor a byte order mark, says which form it is. It is the first line's.
    fn begin(&mut self) -> io::Result<Option<Record>> {
        self.form = Form::Lines;
        self.number = 1;
        while let Some(byte) = self.byte()? {
            match byte {
                b'[' => {
                    self.form = Form::Array;
                    self.number = 0;
                    return self.element();
                }
                b'\n' => self.number += 1,
                0xef | 0xbb | 0xbf => {}
                byte if byte.is_ascii_whitespace() => {}
                byte => {
                    let mut text = Text::default();
                    text.push(byte);
                    return self.rest_of_line(text);
                }
            }
        }
        Ok(None)
    }

    /// The next line that is not blank.
    fn line(&mut self) -> io::Result<Option<Record>> {
        self.number += 1;
        self.rest_of_line(Text::default())
    }

    fn rest_of_line(&mut self, mut text: Text) -> io::Result<Option<Record>> {
        loop {
            match self.byte()? {
                Some(b'\n') if text.is_blank() => {
                    text = Text::default();
                    self.number += 1;
                }
                None if text.is_blank() => return Ok(None),
                Some(b'\n') | None => return Ok(Some(self.record(text.whole()))),
                Some(byte) => text.push(byte),
            }
        }
    }

    /// The next element, up to its comma or the array's end.
    fn element(&mut self) -> io::Result<Option<Record>> {
        self.number += 1;
        let mut text = Text::default();
        let (mut depth, mut in_string, mut escaped) = (0_u64, false, false);
        while let Some(byte) = self.byte()? {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                _ if in_string => {}
                b'{' | b'[' => depth += 1,
                b']' if depth == 0 => {
                    self.form = Form::Ended;
                    if self.number == 1 && text.is_blank() {
                        return self.after();
                    }
                    return Ok(Some(self.record(text.whole())));
                }
                b'}' | b']' => depth = depth.saturating_sub(1),
                b',' if depth == 0 => return Ok(Some(self.record(text.whole()))),
                _ => {}
            }
            text.push(byte);
        }
        self.form = Form::Ended;
        Ok(Some(self.record(Err("the array does not end: is the file cut off?"))))
    }

    /// Nothing but space may follow an array.
    fn after(&mut self) -> io::Result<Option<Record>> {
        while let Some(byte) = self.byte()? {
            if !byte.is_ascii_whitespace() {
                while self.byte()?.is_some() {}
                self.number += 1;
                return Ok(Some(self.record(Err("there is something after the array's end"))));
            }
        }
        Ok(None)
    }
}

impl<R: BufRead> Iterator for Records<R> {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = match self.form {
            Form::Unknown => self.begin(),
            Form::Lines => self.line(),
            Form::Array => self.element(),
            Form::Ended => self.after(),
        };
        record.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each record's place and text, or the problem.
    fn cut(text: &str) -> Vec<(Place, String)> {
        let said = |text: Result<Vec<u8>, &str>| match text {
            Ok(text) => String::from_utf8(text).unwrap().trim().to_owned(),
            Err(problem) => format!("! {problem}"),
        };
        Records::new(text.as_bytes()).map(Result::unwrap).map(|record| (record.place, said(record.text))).collect()
    }

    fn lines(all: &[(u64, &str)]) -> Vec<(Place, String)> {
        all.iter().map(|(number, text)| (Place::Line(*number), (*text).to_owned())).collect()
    }

    fn elements(all: &[(u64, &str)]) -> Vec<(Place, String)> {
        all.iter().map(|(number, text)| (Place::Element(*number), (*text).to_owned())).collect()
    }

    #[test]
    fn lines_keep_their_numbers_and_blank_ones_are_none() {
        assert_eq!(cut("\n{\"a\":1}\r\n\n  \n{broken\n3"), lines(&[(2, "{\"a\":1}"), (5, "{broken"), (6, "3")]));
        assert_eq!(cut("\u{feff}{}\n"), lines(&[(1, "{}")]));
        assert_eq!(cut(" \n\n"), lines(&[]));
    }

    #[test]
    fn an_array_is_cut_where_its_elements_end() {
        let text = r#" [ {"a":[1,{"b":"]},\"{"}]} , {"c":tru}, [2] ]  "#;
        let expected = [(1, r#"{"a":[1,{"b":"]},\"{"}]}"#), (2, r#"{"c":tru}"#), (3, "[2]")];
        assert_eq!(cut(text), elements(&expected));
        assert_eq!(cut("[]"), elements(&[]));
        assert_eq!(cut("[1,]"), elements(&[(1, "1"), (2, "")]));
    }

    #[test]
    fn what_is_cut_off_or_follows_is_said() {
        let cut_off = "! the array does not end: is the file cut off?";
        assert_eq!(cut("[1,{\"a\":2"), elements(&[(1, "1"), (2, cut_off)]));
        assert_eq!(cut("[1,"), elements(&[(1, "1"), (2, cut_off)]));
        assert_eq!(cut("[1] {}"), elements(&[(1, "1"), (2, "! there is something after the array's end")]));
        assert_eq!(cut("[]\n[]"), elements(&[(2, "! there is something after the array's end")]));
    }

    #[test]
    fn a_record_that_is_too_long_spoils_no_other() {
        let long = format!("1\n{}\n3", "x".repeat(LONGEST_BYTES + 1));
        assert_eq!(cut(&long), lines(&[(1, "1"), (2, "! has more than 4 MiB"), (3, "3")]));
    }
}
