//! The guides and the code of this package say the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Returns the code of a file without the comment at its beginning.
fn code(path: &str) -> String {
    let text = read(path);
    let lines = text
        .lines()
        .skip_while(|line| line.starts_with("//!") || line.is_empty());
    lines.fold(String::new(), |code, line| code + line + "\n")
}

/// Returns the names of the recipes.
fn recipes() -> BTreeSet<String> {
    fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/recipes"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn the_recipes_are_quoted_word_for_word() {
    let guide = read("recipes.md");
    let mut quoted = BTreeSet::new();
    for section in guide.split("\n## ").skip(1) {
        let heading = section.lines().next().unwrap();
        let (_, after) = section.split_once("[`").expect(heading);
        let (file, _) = after.split_once('`').unwrap();
        let (_, block) = section.split_once("```rust\n").expect(heading);
        let (block, _) = block.split_once("```\n").unwrap();
        let path = format!("src/recipes/{file}");
        assert_eq!(block, code(&path), "{heading} and {path} differ");
        quoted.insert(file.to_owned());
    }
    assert_eq!(quoted, recipes());
}

#[test]
fn the_difference_to_axum_is_that_of_the_two_programs() {
    let guide = read("coming-from-axum.md");
    let (_, diff) = guide.split_once("```diff\n").unwrap();
    let (diff, _) = diff.split_once("```\n").unwrap();
    let side = |other: char| {
        let lines = diff.lines().filter(|line| !line.starts_with(other));
        lines.fold(String::new(), |code, line| code + &line[1..] + "\n")
    };
    assert_eq!(side('+'), code("examples/axum_before.rs"));
    assert_eq!(side('-'), code("examples/axum_after.rs"));
}

#[test]
fn each_flag_that_is_called_the_same_or_different_is_a_setting() {
    let guide = read("porting-from-asgi.md");
    let settings = read("../server/SETTINGS.md");
    let (_, table) = guide.split_once("## uvicorn's flags").unwrap();
    let mut rows = 0;
    for row in table.lines().filter(|line| line.starts_with("| `--")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, flags, here, ..] = cells[..] else {
            panic!("{row}");
        };
        rows += 1;
        for flag in flags.split('`').filter(|word| word.starts_with("--")) {
            // The first lines of a command line that has no settings.
            if matches!(flag, "--version" | "--help") {
                continue;
            }
            let name = flag.replace("--no-", "--");
            let heading = |name: &str| {
                settings.lines().any(|line| {
                    let line = line
                        .strip_prefix("### `")
                        .and_then(|line| line.strip_prefix(name));
                    line.is_some_and(|rest| rest.starts_with([' ', '`']))
                })
            };
            let is_here = heading(flag) || heading(&name);
            match here {
                "same" => assert!(is_here, "{flag} is no setting"),
                "absent" => assert!(!is_here, "{flag} is a setting"),
                _ => assert_eq!(here, "different", "{row}"),
            }
        }
    }
    assert!(rows > 30, "{rows}");
}
