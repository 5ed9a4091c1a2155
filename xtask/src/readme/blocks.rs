//! The code blocks of a README, and the files that they belong to.

/// A fenced block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The line of the opening fence, counted from 1.
    pub(super) line: usize,
    /// The info string: the language, then what rustdoc reads.
    pub(super) info: String,
    /// The file that the sentence above the block names: ``In `src/main.rs`:``.
    pub(super) file: Option<String>,
    pub(super) text: String,
}

impl Block {
    pub(super) fn language(&self) -> &str {
        self.info.split(',').next().unwrap_or_default()
    }

    /// Returns whether rustdoc would neither compile the block nor run it.
    pub(super) fn is_ignored(&self) -> bool {
        self.info.split(',').any(|word| word.starts_with("ignore"))
    }

    /// Returns the commands of a console block, each with the lines that follow it.
    pub(super) fn commands(&self) -> Vec<(&str, String)> {
        let mut commands: Vec<(&str, String)> = Vec::new();
        for line in self.text.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                let command = command.split(" #").next().unwrap_or_default();
                commands.push((command.trim(), String::new()));
            } else if let Some((_, output)) = commands.last_mut() {
                output.push_str(line);
                output.push('\n');
            }
        }
        commands
    }
}

/// Returns the blocks of a Markdown text, in order.
///
/// # Errors
///
/// Names the line of a block that is not closed.
pub(super) fn blocks(markdown: &str) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    let mut above = "";
    let mut lines = markdown.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        let Some(info) = line.strip_prefix("```") else {
            if !line.trim().is_empty() {
                above = line;
            }
            continue;
        };
        let mut text = String::new();
        loop {
            match lines.next() {
                Some(("```", _)) => break,
                Some((line, _)) => {
                    text.push_str(line);
                    text.push('\n');
                }
                None => return Err(format!("{number}: this block is not closed")),
            }
        }
        let file = above
            .strip_prefix("In `")
            .and_then(|rest| rest.strip_suffix("`:"));
        blocks.push(Block {
            line: number,
            info: info.trim().to_owned(),
            file: file.map(str::to_owned),
            text,
        });
        above = "";
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_belongs_to_the_file_that_the_sentence_above_names() {
        let markdown = "In `src/lib.rs`:\n\n```rust,no_run\nfn f() {}\n\n```\n\nMore:\n\n```rust\n```\n```text\n```\n";
        let blocks = blocks(markdown).unwrap();
        let [first, second, third] = &blocks[..] else {
            panic!("{blocks:?}");
        };
        assert_eq!(first.file.as_deref(), Some("src/lib.rs"));
        assert_eq!((first.line, first.language()), (3, "rust"));
        assert_eq!(first.text, "fn f() {}\n\n");
        assert_eq!((second.line, &second.file), (10, &None));
        assert_eq!((third.line, &third.file), (12, &None));
    }

    #[test]
    fn a_block_that_is_not_closed_is_an_error() {
        assert_eq!(
            blocks("text\n```rust\nfn f() {}\n"),
            Err("2: this block is not closed".to_owned())
        );
    }

    #[test]
    fn a_command_comes_without_its_comment_and_with_its_output() {
        let markdown = "```console\n$ cargo new hello   # a project\n$ curl x\none\ntwo\n```\n";
        let blocks = blocks(markdown).unwrap();
        assert_eq!(
            blocks[0].commands(),
            [
                ("cargo new hello", String::new()),
                ("curl x", "one\ntwo\n".to_owned())
            ]
        );
    }

    #[test]
    fn a_block_that_rustdoc_ignores_is_told_from_others() {
        let blocks = blocks("```rust,ignore\n```\n```rust,no_run\n```\n").unwrap();
        assert!(blocks[0].is_ignored());
        assert!(!blocks[1].is_ignored());
    }
}
