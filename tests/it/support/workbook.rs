//! Reads what we need of an XLSX file: its sheets, and of each cell its type, its format and its value.

use std::collections::BTreeMap;
use std::io::Read as _;

/// A cell: whether it is text, how it is shown, what is in it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cell {
    pub(crate) is_text: bool,
    pub(crate) pattern: String,
    pub(crate) value: String,
}

/// The files within, by name.
pub(crate) struct Workbook(BTreeMap<String, String>);

impl Workbook {
    pub(crate) fn open(zip: &[u8]) -> Self {
        let two = |at: usize| usize::from(u16::from_le_bytes([zip[at], zip[at + 1]]));
        let four = |at: usize| two(at) + (two(at + 2) << 16);
        let ends = zip.windows(4).rposition(|bytes| bytes == b"PK\x05\x06");
        let end = ends.expect("the end of a ZIP file");
        let mut entry = four(end + 16);
        let mut files = BTreeMap::new();
        for _ in 0..two(end + 10) {
            assert!(zip[entry..].starts_with(b"PK\x01\x02"), "an entry of a ZIP file");
            let (method, size, place) = (two(entry + 10), four(entry + 20), four(entry + 42));
            let name = String::from_utf8_lossy(&zip[entry + 46..][..two(entry + 28)]).into_owned();
            let packed = &zip[place + 30 + two(place + 26) + two(place + 28)..][..size];
            let mut text = String::new();
            let read = match method {
                0 => std::io::Cursor::new(packed).read_to_string(&mut text),
                8 => flate2::read::DeflateDecoder::new(packed).read_to_string(&mut text),
                other => panic!("{name} is packed by method {other}"),
            };
            read.unwrap_or_else(|error| panic!("{name}: {error}"));
            files.insert(name, text);
            entry += 46 + two(entry + 28) + two(entry + 30) + two(entry + 32);
        }
        Self(files)
    }

    /// Whether a text is anywhere in it.
    pub(crate) fn has(&self, text: &str) -> bool {
        self.0.values().any(|file| file.contains(text))
    }

    /// The names of the sheets, in order.
    pub(crate) fn sheets(&self) -> Vec<&str> {
        let tags = between(&self.0["xl/workbook.xml"], "<sheet ", ">");
        tags.into_iter().map(|tag| attribute(tag, "name").expect("a name")).collect()
    }

    /// The patterns of numbers, by the number of the style.
    fn patterns(&self) -> Vec<String> {
        let styles = &self.0["xl/styles.xml"];
        let own = between(styles, "<numFmt ", "/>");
        let pattern = |tag: &str| match attribute(tag, "numFmtId").expect("an id") {
            "0" => String::new(),
            "1" => "0".to_owned(),
            "3" => "#,##0".to_owned(),
            "4" => "#,##0.00".to_owned(),
            "49" => "@".to_owned(),
            id => {
                let own = own.iter().find(|tag| attribute(tag, "numFmtId") == Some(id));
                unescaped(own.and_then(|tag| attribute(tag, "formatCode")).expect("a format of its own"))
            }
        };
        let formats = between(styles, "<cellXfs ", "</cellXfs>");
        between(formats[0], "<xf ", ">").into_iter().map(pattern).collect()
    }

    /// The rows of a sheet by the names in its first row; none of its cells is a formula.
    pub(crate) fn rows(&self, sheet: &str) -> Vec<BTreeMap<String, Cell>> {
        let number = 1 + self.sheets().iter().position(|name| *name == sheet).expect("a sheet");
        let text = &self.0[&format!("xl/worksheets/sheet{number}.xml")];
        assert!(!text.contains("<f>") && !text.contains("<f "), "a formula");
        let shared = self.0.get("xl/sharedStrings.xml");
        let shared: Vec<String> = shared.map_or_else(Vec::new, |text| {
            between(text, "<si>", "</si>").into_iter().map(|one| unescaped(text_in(one))).collect()
        });
        let patterns = self.patterns();
        let cell = |tag: &&str| {
            let style = attribute(tag, "s").map_or(0, |style| style.parse().expect("a number"));
            let value = || between(tag, "<v>", "</v>")[0];
            let (is_text, value) = match attribute(tag, "t") {
                Some("s") => (true, shared[value().parse::<usize>().expect("a number")].clone()),
                Some("inlineStr") => (true, unescaped(text_in(tag))),
                _ => (false, value().to_owned()),
            };
            let place = attribute(tag, "r").expect("a place").trim_end_matches(|c: char| c.is_ascii_digit());
            (place.to_owned(), Cell { is_text, pattern: patterns[style].clone(), value })
        };
        let mut rows = between(text, "<row ", "</row>")
            .into_iter()
            .map(|row| between(row, "<c ", "</c>").iter().map(cell).collect::<BTreeMap<_, _>>());
        let header = rows.next().expect("a first row");
        rows.map(|row| row.into_iter().map(|(place, cell)| (header[&place].value.clone(), cell)).collect())
            .collect()
    }
}

/// What stands between two words, each time.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> Vec<&'a str> {
    text.split(begin).skip(1).filter_map(|rest| rest.split(end).next()).collect()
}

/// An attribute of the tag whose inside this begins with.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let tag = tag.split('>').next()?;
    let begun = [tag.strip_prefix(&format!("{name}=\"")), tag.split(&format!(" {name}=\"")).nth(1)];
    begun.into_iter().flatten().next()?.split('"').next()
}

/// The text within `<t>`.
fn text_in(xml: &str) -> &str {
    let begun = xml.split_once("<t>").or_else(|| xml.split_once("<t xml:space=\"preserve\">"));
    begun.map_or("", |(_, rest)| rest.split("</t>").next().unwrap_or_default())
}

fn unescaped(xml: &str) -> String {
    let marks = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("_x000D_", "\r"),
        ("_x0009_", "\t"),
        ("&amp;", "&"),
    ];
    marks.iter().fold(xml.to_owned(), |text, (mark, plain)| text.replace(mark, plain))
}
