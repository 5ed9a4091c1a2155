//! Prepares the documents for rustdoc, where each is a module and not a file.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=docs");
    let target = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    for entry in fs::read_dir("docs")? {
        let path = entry?.path();
        let name = path
            .file_name()
            .expect("an entry of a directory has a name");
        let text = fs::read_to_string(&path)?;
        fs::write(Path::new(&target).join(name), for_rustdoc(&text))?;
    }
    Ok(())
}

/// Lets links lead to modules, and gives each rule an anchor with its ID.
fn for_rustdoc(text: &str) -> String {
    let mut result = String::new();
    for line in text.lines() {
        let mut rest = line;
        if let Some((id, sentence)) = line
            .strip_prefix("- **")
            .and_then(|rule| rule.split_once("**"))
            && id
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-')
        {
            result.push_str(&format!("- <a id=\"{id}\"></a>**{id}**"));
            rest = sentence;
        }
        // `](http.md#head)` becomes `](../http/index.html#head)`.
        while let Some((before, link)) = rest.split_once("](") {
            result.push_str(before);
            result.push_str("](");
            rest = link;
            if let Some((file, after)) = link.split_once(".md")
                && file.chars().all(|c| c.is_ascii_lowercase() || c == '-')
            {
                result.push_str(&format!("../{}/index.html", file.replace('-', "_")));
                rest = after;
            }
        }
        result.push_str(rest);
        result.push('\n');
    }
    result
}
