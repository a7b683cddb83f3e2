//! Blocks put into as few messages as possible, split only between blocks.

use super::text::{Block, Cost};

/// What one message may use: below Telegram's own limits (4096 characters, about 100 entities, 32 KiB with
/// markup), so that what Telegram counts otherwise than we do still fits.
const LIMIT: Cost = Cost { units: 3500, entities: 80, bytes: 30_000 };

/// A blank line between sections, a line break between blocks.
const SECTION: &str = "\n\n";
const LINE: &str = "\n";

/// A block and whether a section begins with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The markup.
    pub block: Block,
    /// A blank line stands before it.
    pub begins_section: bool,
}

/// Packs pieces into messages. Each after the first begins with `title` and its number, as in `X 2/3`.
pub fn pack(title: &Block, pieces: &[Piece]) -> Vec<String> {
    // The room that the longest heading may take.
    let heading = title.cost().plus(Cost { units: 12, entities: 0, bytes: 12 });
    let mut parts: Vec<(String, Cost)> = Vec::new();
    for piece in pieces.iter().filter(|piece| !piece.block.is_empty()) {
        let separator = if piece.begins_section { SECTION } else { LINE };
        let cost = piece.block.cost();
        let added = cost.plus(Cost { units: separator.len(), entities: 0, bytes: separator.len() });
        match parts.last_mut() {
            Some((html, used)) if fits(used.plus(added)) => {
                html.push_str(separator);
                html.push_str(piece.block.html());
                *used = used.plus(added);
            }
            None => parts.push((piece.block.html().to_owned(), cost)),
            Some(_) => parts.push((piece.block.html().to_owned(), heading.plus(cost))),
        }
    }
    let count = parts.len();
    let number = |(at, (html, _)): (usize, (String, Cost))| match at {
        0 => html,
        at => format!("{} {}/{count}\n{html}", title.html(), at + 1),
    };
    parts.into_iter().enumerate().map(number).collect()
}

fn fits(cost: Cost) -> bool {
    cost.units <= LIMIT.units && cost.entities <= LIMIT.entities && cost.bytes <= LIMIT.bytes
}

/// How many pieces from the start fit into one message.
pub fn fitting(pieces: &[Piece]) -> usize {
    let mut used = Cost::default();
    pieces
        .iter()
        .take_while(|piece| {
            used = used.plus(piece.block.cost()).plus(Cost { units: 2, entities: 0, bytes: 2 });
            fits(used)
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(text: &str) -> Piece {
        Piece { block: Block::new().text(text, 4000), begins_section: false }
    }

    #[test]
    fn pieces_are_split_between_and_numbered() {
        let title = Block::new().code("SN", 10);
        let long = "x".repeat(2000);
        let parts = pack(&title, &[piece("a"), piece(&long), piece(&long), piece(&long)]);
        assert_eq!(parts.len(), 3);
        assert!(parts[0].starts_with("a\nxxx"));
        assert!(parts[1].starts_with("<code>SN</code> 2/3\nxxx"));
        assert!(parts[2].starts_with("<code>SN</code> 3/3\nxxx"));
        assert_eq!(fitting(&[piece("a"), piece(&long), piece(&long)]), 2);
    }
}
