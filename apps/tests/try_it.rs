//! Every command on the gallery's page works as shipped.

use std::process::{Command, Stdio};
use std::time::Duration;

use tokio_tungstenite::connect_async;

#[path = "sockets/test_server.rs"]
mod test_server;

use test_server::TestServer;

/// Runs a command of `curl` in a shell, as a reader would, in a directory with the file that some upload.
///
/// An endless response is read up to its tenth line, and a status of failure is a failure.
fn run(command: &str, directory: &std::path::Path) {
    let rest = command.strip_prefix("curl ").unwrap();
    let command = format!("curl --fail --show-error --max-time 120 {rest}");
    let is_endless = command.contains(" -N ");
    let script = match is_endless {
        true => format!("{command} | head -n 10"),
        false => command.clone(),
    };
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {stderr}");
    let is_discarded = command.contains("/dev/null");
    // The standard input, which `echo` sends back, is empty.
    let is_empty = command.contains(" -sNT . ");
    assert_eq!(
        output.stdout.is_empty(),
        is_discarded || is_empty,
        "{command}: {stderr}"
    );
}

/// Returns the command with the addresses of an application.
fn with_addresses(command: &str, server: &TestServer, name: &str) -> String {
    let mount = match name {
        "gallery" => "/".to_owned(),
        name => format!("/{name}/"),
    };
    let http = server.url(&mount);
    let ws = http.replacen("http", "ws", 1);
    command.replace("{http}", &http).replace("{ws}", &ws)
}

#[tokio::test]
async fn every_command_of_every_card_works_as_shipped() {
    let server = TestServer::start("gallery");
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("FILE"), "some content").unwrap();
    for entry in callgate_apps::all() {
        for &command in entry.try_it {
            let command = with_addresses(command, &server, entry.name);
            if let Some(address) = command.strip_prefix("python -m websockets ") {
                let opened = tokio::time::timeout(Duration::from_secs(60), connect_async(address));
                let opened = opened.await.unwrap();
                assert!(opened.is_ok(), "{command}: {opened:?}");
                continue;
            }
            let command = match command.starts_with("curl ") {
                true => command,
                // The address of a page.
                false => format!("curl {command}"),
            };
            let directory = directory.path().to_owned();
            let ran = tokio::task::spawn_blocking(move || run(&command, &directory));
            ran.await.unwrap();
        }
    }
    server.stop().await;
}
