//! The markup of messages, as strict as Telegram's own parser: same rules, same texts of errors.

const TAGS: [&str; 18] = [
    "a",
    "b",
    "strong",
    "i",
    "em",
    "s",
    "strike",
    "del",
    "u",
    "ins",
    "tg-spoiler",
    "tg-emoji",
    "span",
    "pre",
    "code",
    "blockquote",
    "tg-time",
    "tg-mention",
];

/// The text without its markup, or why it cannot be parsed.
pub fn plain_text(source: &str) -> Result<String, String> {
    let mut parser = Parser { source: source.as_bytes(), at: 0, open: Vec::new() };
    // Byte offsets as in the real parser; text is copied in whole characters.
    let mut text = String::with_capacity(source.len());
    while let Some(byte) = parser.byte() {
        match byte {
            b'&' => {
                let (character, length) = entity(&source[parser.at..]).unwrap_or(('&', 1));
                text.push(character);
                parser.at += length;
            }
            b'<' if source[parser.at..].starts_with("</") => parser.end_tag()?,
            b'<' => parser.start_tag()?,
            _ => {
                let rest = &source[parser.at..];
                let length = rest.find(['&', '<']).unwrap_or(rest.len());
                text.push_str(&rest[..length]);
                parser.at += length;
            }
        }
    }
    match parser.open.last() {
        None => Ok(text),
        Some(tag) => Err(format!("Can't find end tag corresponding to start tag \"{tag}\"")),
    }
}

/// A character reference at the start of `text`, and its length. Others stay as they are.
fn entity(text: &str) -> Option<(char, usize)> {
    let body = &text[1..];
    let length = body.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'#').count();
    let name = &body[..length];
    let character = match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code).filter(|character| *character != '\0')?
        }
    };
    let semicolon = usize::from(body[length..].starts_with(';'));
    Some((character, 1 + length + semicolon))
}

struct Parser<'a> {
    source: &'a [u8],
    at: usize,
    open: Vec<String>,
}

impl Parser<'_> {
    fn byte(&self) -> Option<u8> {
        self.source.get(self.at).copied()
    }

    fn skip_until(&mut self, stop: impl Fn(u8) -> bool) {
        while self.byte().is_some_and(|byte| !stop(byte)) {
            self.at += 1;
        }
    }

    fn skip_spaces(&mut self) {
        self.skip_until(|byte| !byte.is_ascii_whitespace());
    }

    fn slice(&self, from: usize) -> String {
        String::from_utf8_lossy(&self.source[from..self.at]).to_lowercase()
    }

    fn start_tag(&mut self) -> Result<(), String> {
        let begin = self.at;
        self.skip_until(|byte| byte.is_ascii_whitespace() || byte == b'>');
        let unclosed = || format!("Unclosed start tag at byte offset {begin}");
        self.byte().ok_or_else(unclosed)?;
        let tag = String::from_utf8_lossy(&self.source[begin + 1..self.at]).to_lowercase();
        if !TAGS.contains(&tag.as_str()) {
            return Err(format!("Unsupported start tag \"{tag}\" at byte offset {begin}"));
        }
        let mut class = None;
        loop {
            self.skip_spaces();
            match self.byte() {
                None => return Err(unclosed()),
                Some(b'>') => break,
                Some(_) => {
                    if let Some(value) = self.attribute(&tag, begin)? {
                        class = Some(value);
                    }
                }
            }
        }
        if tag == "span" && class.as_deref() != Some("tg-spoiler") {
            return Err(format!("Tag \"span\" must have class \"tg-spoiler\" at byte offset {begin}"));
        }
        self.at += 1;
        self.open.push(tag);
        Ok(())
    }

    /// Reads one attribute; its value, if it is `class`.
    fn attribute(&mut self, tag: &str, begin: usize) -> Result<Option<String>, String> {
        let unclosed = || format!("Unclosed start tag \"{tag}\" at byte offset {begin}");
        let name_at = self.at;
        self.skip_until(|byte| byte.is_ascii_whitespace() || byte == b'=' || byte == b'>');
        let name = self.slice(name_at);
        if name.is_empty() {
            return Err(format!("Empty attribute name in the tag \"{tag}\" at byte offset {begin}"));
        }
        self.skip_spaces();
        if self.byte() != Some(b'=') {
            return Ok(None);
        }
        self.at += 1;
        self.skip_spaces();
        let quote = self.byte().ok_or_else(unclosed)?;
        let value_at = if matches!(quote, b'"' | b'\'') {
            self.at += 1;
            let at = self.at;
            self.skip_until(|byte| byte == quote);
            at
        } else {
            let at = self.at;
            self.skip_until(|byte| byte.is_ascii_whitespace() || byte == b'>');
            at
        };
        let value = self.slice(value_at);
        self.byte().ok_or_else(unclosed)?;
        if matches!(quote, b'"' | b'\'') {
            self.at += 1;
            // An attribute that was ended too early by a quote in its value.
            if !self.byte().is_some_and(|byte| byte.is_ascii_whitespace() || byte == b'>') {
                return Err(format!(
                    "Expected equal sign in declaration of an attribute of the tag \"{tag}\" at byte offset {begin}"
                ));
            }
        }
        Ok((name == "class").then_some(value))
    }

    fn end_tag(&mut self) -> Result<(), String> {
        let begin = self.at;
        let Some(expected) = self.open.pop() else {
            return Err(format!("Unexpected end tag at byte offset {begin}"));
        };
        self.at += 2;
        let name_at = self.at;
        self.skip_until(|byte| byte.is_ascii_whitespace() || byte == b'>');
        let found = self.slice(name_at);
        self.skip_spaces();
        if self.byte() != Some(b'>') {
            return Err(format!("Unclosed end tag at byte offset {begin}"));
        }
        if !found.is_empty() && found != expected {
            return Err(format!(
                "Unmatched end tag at byte offset {begin}, expected \"</{expected}>\", found \"</{found}>\""
            ));
        }
        self.at += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::plain_text;

    #[test]
    fn reads_what_telegram_reads() {
        let cases = [
            ("plain", "plain"),
            ("<b>bold <i>both</i></b> &lt;tag&gt; &amp;amp", "bold both <tag> &amp"),
            ("<a href=\"https://x/?a=1&amp;b=2\">link</a>", "link"),
            ("&#128512; &nbsp; a & b", "\u{1F600} &nbsp; a & b"),
            ("<blockquote expandable>q</blockquote>", "q"),
            ("<span class=\"tg-spoiler\">s</span>", "s"),
            ("שלום <code>x</code>", "שלום x"),
        ];
        for (source, text) in cases {
            assert_eq!(plain_text(source).as_deref(), Ok(text), "{source}");
        }
    }

    #[test]
    fn refuses_what_telegram_refuses() {
        let cases = [
            ("a <b", "Unclosed start tag at byte offset 2"),
            ("a < b >", "Unsupported start tag \"\" at byte offset 2"),
            ("<h1>x</h1>", "Unsupported start tag \"h1\" at byte offset 0"),
            ("<b>x", "Can't find end tag corresponding to start tag \"b\""),
            ("x</b>", "Unexpected end tag at byte offset 1"),
            ("<b>x</i>", "Unmatched end tag at byte offset 4, expected \"</b>\", found \"</i>\""),
            ("<span>x</span>", "Tag \"span\" must have class \"tg-spoiler\" at byte offset 0"),
            (
                "<a href=\"x\"y\">z</a>",
                "Expected equal sign in declaration of an attribute of the tag \"a\" at byte offset 0",
            ),
            ("<br/>", "Unsupported start tag \"br/\" at byte offset 0"),
        ];
        for (source, reason) in cases {
            assert_eq!(plain_text(source), Err(reason.to_owned()), "{source}");
        }
    }
}
