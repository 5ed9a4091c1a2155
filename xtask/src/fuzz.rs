//! `cargo xtask fuzz`: the fuzz targets of the HTTP/1 codec, of the serialised form, and of the server.
//!
//! The coverage instrumentation is that of `cargo fuzz` without a sanitizer, which no safe code needs,
//! so that the targets also run where Rust is stable.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::prepare::{self, CXX};
use crate::step::{Step, root, shown, target};

/// A fuzz target.
#[derive(Debug)]
pub(crate) struct Target {
    name: &'static str,
    /// The folder of its crate, which has its dictionary.
    folder: &'static str,
    dictionary: &'static str,
    /// Returns the inputs with which it begins.
    seeds: fn() -> Result<Vec<Vec<u8>>, String>,
}

/// The fuzz targets.
pub(crate) const TARGETS: [Target; 7] = [
    Target {
        name: "decode",
        folder: "http1/fuzz",
        dictionary: "http.dict",
        seeds: || {
            Ok(corpus()?
                .iter()
                .map(|it| [&NO_SETTINGS, &it[..]].concat())
                .collect())
        },
    },
    Target {
        name: "encode",
        folder: "http1/fuzz",
        dictionary: "http.dict",
        seeds: || Ok(Vec::new()),
    },
    Target {
        name: "round_trip",
        folder: "http1/fuzz",
        dictionary: "http.dict",
        seeds: corpus,
    },
    Target {
        name: "serialised",
        folder: "spec/fuzz",
        dictionary: "json.dict",
        seeds: || blocks("spec/docs/serialised.md", "json"),
    },
    Target {
        name: "proxy_headers",
        folder: "server/fuzz",
        dictionary: "proxy.dict",
        seeds: || Ok(PROXY_SEEDS.map(<[u8]>::to_vec).into()),
    },
    Target {
        name: "proxy_protocol",
        folder: "server/fuzz",
        dictionary: "proxy.dict",
        seeds: || Ok(PROXY_SEEDS.map(<[u8]>::to_vec).into()),
    },
    Target {
        name: "settings",
        folder: "server/fuzz",
        dictionary: "settings.dict",
        seeds: || Ok(SETTINGS_SEEDS.map(<[u8]>::to_vec).into()),
    },
];

/// The inputs with which the targets for proxies begin.
const PROXY_SEEDS: [&[u8]; 6] = [
    b"\0\x00 9.9.9.9, 192.0.2.1:81, 127.0.0.1\n\x01https\n\x02a.example\n\x038443\n\x04/api/",
    b"\x01\x05for=_x, for=\"[2001:db8::1]:80\";proto=https;host=\"a:8\"\n\x05for=127.0.0.1",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 1025 443\r\n",
    b"PROXY UNKNOWN\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\x04\x01\x01\xbb",
    b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
];

/// The inputs with which the target for the settings file begins.
const SETTINGS_SEEDS: [&[u8]; 5] = [
    b"[listen]\nport = 80\nbind = [\"127.0.0.1:8000\", \"unix:/a\"]\n[log]\naccess = true\nlevel = \"info,a=off\"\n",
    b"[timeouts]\nkeep-alive = 7.05\ngraceful-shutdown = \"none\"\n[limits]\nmax-request-head = \"64KiB\"\n",
    b"[limits]\n\"\xc3\xa9\" = [true, {}]\n",
    b"[\"\"]\n\"\" = '\"'\n",
    b"[proxy]\nforwarded-allow-ips = \"10.0.0.0/8,unix\"\nroot-path = \"/a\"\n[http]\nheaders = [\"x-one: 1\"]\n",
];

/// The flags that instrument the code for libFuzzer.
const INSTRUMENTATION: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks";

/// The octets before an input of the target `decode`: the default settings, and no cuts.
const NO_SETTINGS: [u8; 3] = [0; 3];

/// A file of the corpus of `http1`, of which only the inputs are read.
#[derive(Debug, Deserialize)]
struct Corpus {
    entry: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    input: String,
}

/// How long a target runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Extent {
    /// For so many seconds, from a new seed at each run.
    Seconds(u64),
    /// For so many inputs, from the same seed at each run.
    Inputs(u64),
}

impl Extent {
    /// Returns the arguments of libFuzzer.
    fn args(self) -> Vec<String> {
        match self {
            Self::Seconds(seconds) => vec![format!("-max_total_time={seconds}")],
            Self::Inputs(inputs) => vec![format!("-runs={inputs}"), "-seed=1".to_owned()],
        }
    }
}

/// Runs the targets that `args` name, or all.
///
/// # Errors
///
/// Returns which argument is wrong, or how to repeat the target that failed.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let mut seconds = 60;
    let mut chosen = Vec::new();
    let mut args = args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        if arg == "--seconds" {
            let value = args.next().and_then(|value| value.parse().ok());
            seconds = value.ok_or("`--seconds` needs a number")?;
        } else if let Some(target) = TARGETS.iter().find(|target| target.name == arg) {
            chosen.push(target);
        } else {
            let names = TARGETS.map(|target| target.name).join(", ");
            return Err(format!("there is no target `{arg}`, but {names}"));
        }
    }
    if chosen.is_empty() {
        chosen.extend(&TARGETS);
    }
    targets(chosen, Extent::Seconds(seconds))
}

/// Runs these targets.
///
/// # Errors
///
/// Returns how to repeat the target that failed.
pub(crate) fn targets(
    targets: impl IntoIterator<Item = &'static Target>,
    extent: Extent,
) -> Result<(), String> {
    prepare::tools(&[CXX])?;
    let directory = target()?.join("fuzz");
    let host = host()?;
    for Target {
        name,
        folder,
        dictionary,
        seeds,
    } in targets
    {
        let inputs = seeds()?;
        let seeds = directory.join("seeds").join(name);
        let found = directory.join("found").join(name);
        for path in [&seeds, &found] {
            fs::create_dir_all(path).map_err(|reason| format!("{}: {reason}", path.display()))?;
        }
        write_seeds(&seeds, &inputs)?;
        let step = Step::new(
            format!("fuzz target {name}"),
            "cargo run --release --manifest-path",
        )
        .arg(format!("{folder}/Cargo.toml"))
        .arg("--bin")
        .arg(*name)
        .arg("--target")
        .arg(&host)
        .arg("--target-dir")
        .arg(shown(&directory))
        .arg("--")
        .arg("-verbosity=0")
        .arg("-print_final_stats=1")
        .arg("-max_len=4096")
        .arg(format!("-dict={folder}/{dictionary}"))
        .arg(format!("-artifact_prefix={}/{name}-", shown(&directory)))
        .arg(shown(&found))
        .arg(shown(&seeds))
        .env("RUSTFLAGS", INSTRUMENTATION);
        extent.args().into_iter().fold(step, Step::arg).run()?;
    }
    Ok(())
}

/// Returns the platform of this machine. With a platform named, cargo builds its own programs, such as
/// build scripts, without the instrumentation.
fn host() -> Result<String, String> {
    let version = Step::new("the platform", "rustc -vV").silent_output();
    let version = version.ok_or("`rustc -vV` failed")?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| "`rustc -vV` names no host".into())
}

/// Returns the inputs of the corpus. A character is an octet.
fn corpus() -> Result<Vec<Vec<u8>>, String> {
    let directory = root().join("http1").join("corpus");
    let named = |reason: &dyn std::fmt::Display| format!("{}: {reason}", directory.display());
    let mut inputs = Vec::new();
    for file in fs::read_dir(&directory).map_err(|reason| named(&reason))? {
        let path = file.map_err(|reason| named(&reason))?.path();
        if path.extension().is_none_or(|it| it != "toml") {
            continue;
        }
        let text = fs::read_to_string(&path).map_err(|reason| named(&reason))?;
        let corpus: Corpus = toml::from_str(&text).map_err(|reason| named(&reason))?;
        let octets = |input: &str| {
            input
                .chars()
                .filter_map(|it| u8::try_from(it).ok())
                .collect()
        };
        inputs.extend(corpus.entry.iter().map(|entry| octets(&entry.input)));
    }
    Ok(inputs)
}

/// Returns the code blocks of this language in a document.
fn blocks(document: &str, language: &str) -> Result<Vec<Vec<u8>>, String> {
    let path = root().join(document);
    let text =
        fs::read_to_string(&path).map_err(|reason| format!("{}: {reason}", path.display()))?;
    let fence = format!("```{language}\n");
    let blocks = text.split(&fence).skip(1);
    let blocks = blocks.filter_map(|rest| Some(rest.split_once("```")?.0.as_bytes().to_vec()));
    Ok(blocks.collect())
}

/// Writes the inputs as files, with which libFuzzer begins.
fn write_seeds(directory: &Path, inputs: &[Vec<u8>]) -> Result<(), String> {
    for (number, input) in inputs.iter().enumerate() {
        let path = directory.join(format!("{number:04}"));
        fs::write(&path, input).map_err(|reason| format!("{}: {reason}", path.display()))?;
    }
    Ok(())
}
