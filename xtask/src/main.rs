//! The commands for contributors: `cargo xtask`.

mod bench;
mod deny;
mod docs;
mod fuzz;
mod peers;
mod prepare;
mod readme;
mod service;
mod soak;
mod step;
mod test;
mod wheel;

use std::process::ExitCode;

const HELP: &str = "\
The commands for contributors to Callgate.

Usage: cargo xtask <COMMAND>

Commands:
  test      Run everything that must pass, in order, up to the first failure
  docs      Build one site of the libraries and the documents, in target/doc, and check its links
  readme    Follow the code blocks of every README in a new project, and build, run and test it
              PATH         check this one only, such as toolkit/README.md; may be repeated
  bench     Compare the server and the channel layer with others, side by side, over loopback, and write
            benches/RESULTS.md
              --only WORK  measure this only, such as hello, idle or group-1k, and print the result,
                           without writing it; may be repeated
              --channels   measure the works of the channel layer only, and write their section
              --quick      measure for half a second, in two rounds, and print the result
              --count      count the instructions and the allocations of a plain exchange, and print them
              --seconds N  how long each measurement takes (default 2)
              --rounds N   how often (default 7)
              --python     build the wheel `callgate`, measure it beside other servers of Python only, and write
                           benches/PYTHON.md; with the other arguments, but for --channels and --count
  peers     Check other servers, of ASGI, beside ours, in cleartext and over TLS, and axum, actix-web, hyper
            and nginx from outside, and write conformance-tests/RESULTS.md
              NAME         check this one only and print the result, without writing it
              http         check those from outside only, and write their section
  deny      Check the licenses, the origin, the duplicates and the advisories of all dependencies
  fuzz      Fuzz with libFuzzer what reads octets of others
              --seconds N  how long each target runs (default 60)
              NAME         one of decode, encode, round_trip (HTTP/1), serialised, proxy_headers,
                           proxy_protocol and settings; may be repeated
  soak      Load the server with floods, faults and restarts, and write server/RELIABILITY.md; load the
            channel layer while its Redis fails, and write channels/RELIABILITY.md
              --only NAME  run this scenario only, such as restarts or channels, and print the result; it is
                           written only if all scenarios of its file have run; may be repeated
              --quick      run all with small numbers, and print the result
              --seconds N  how long the mixed load takes (default 3600); that of the channels takes a tenth
              --seed N     the seed of the faults of Redis
              --python     in place of all that, send 10 million requests, and clients that disconnect, to the
                           wheel, and fail when its memory or its objects grow; then --requests N, --seconds N
                           (the longest time, default 7200), --loop LOOP and --seed N
  wheel     Build the wheel `callgate` in target/wheel, and run its tests in Python
              --python V   for this Python in place of `python3`, a version such as 3.12 or the path of an
                           interpreter: build the file of the wheel, install it and test it; may be repeated
              --all        the same for each version of Python that the machine has, of those that are supported
              --published  the same with the file as it is published, which is optimised under a load; for `python3`
                           if no other is named
              ARGUMENT     an argument of pytest, such as `-k websocket` or `--every-loop`; may be repeated
  postgres COMMAND...
            Run a command, such as `cargo test`, with a PostgreSQL of its own, whose URL is in
            CALLGATE_POSTGRES_URL
  redis COMMAND...
            Run a command with a Redis of its own, whose URL is in CALLGATE_REDIS_URL
  help      Print this

Missing Debian packages are installed with apt-get when this runs as root, and named otherwise.
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let command = args.first().map_or("help", String::as_str);
    // What `postgres` and `redis` run has flags of its own.
    let has_own_flags = matches!(command, "postgres" | "redis");
    let is_help = |arg: &String| arg == "-h" || arg == "--help";
    let asks_for_help = command == "help" || (!has_own_flags && args.iter().any(is_help));
    let result = match command {
        _ if asks_for_help => {
            print!("{HELP}");
            Ok(())
        }
        "test" if args.len() == 1 => test::run(),
        "test" => Err("`cargo xtask test` takes no arguments".into()),
        "bench" => bench::run(&args[1..]),
        "deny" if args.len() == 1 => deny::run(),
        "deny" => Err("`cargo xtask deny` takes no arguments".into()),
        "docs" if args.len() == 1 => docs::run(),
        "docs" => Err("`cargo xtask docs` takes no arguments".into()),
        "fuzz" => fuzz::run(&args[1..]),
        "peers" => peers::run(&args[1..]),
        "postgres" => service::run(&service::POSTGRES, &args[1..]),
        "redis" => service::run(&service::REDIS, &args[1..]),
        "soak" => soak::run(&args[1..]),
        "wheel" => wheel::run(&args[1..]),
        "readme" => readme::run(&args[1..]),
        other => {
            eprintln!("{HELP}");
            Err(format!("there is no command `{other}`"))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}
