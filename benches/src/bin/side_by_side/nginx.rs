//! nginx as one process, which serves what the other servers serve.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;

use crate::server::Place;
use crate::work::HELLO;

/// Returns the version of nginx, if it is installed.
pub(crate) fn version() -> Option<String> {
    let output = Command::new("nginx").arg("-v").output().ok()?;
    let text = String::from_utf8(output.stderr).ok()?;
    let (_, version) = text.trim().split_once('/')?;
    Some(version.to_owned())
}

/// The configuration of one start.
#[derive(Debug)]
pub(crate) struct Configured {
    pub(crate) file: PathBuf,
    pub(crate) http1: SocketAddr,
    pub(crate) http2: SocketAddr,
}

/// Writes a configuration with free ports.
pub(crate) fn configure(place: &Place) -> io::Result<Configured> {
    // Both listeners are open at once, so that the ports differ.
    let listeners = [
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
    ];
    let http1 = listeners[0].local_addr()?;
    let http2 = listeners[1].local_addr()?;
    // nginx gives the directory of its temporary files to its user.
    std::fs::create_dir_all(place.directory.join("nginx"))?;
    let file = place.directory.join("nginx.conf");
    std::fs::write(&file, configuration(place, http1, http2))?;
    Ok(Configured { file, http1, http2 })
}

fn configuration(place: &Place, http1: SocketAddr, http2: SocketAddr) -> String {
    let directory = place.directory.display();
    let locations = format!(
        "location = / {{ default_type text/plain; return 200 \"{}\"; }}
    location /file/ {{ alias {directory}/files/; }}",
        HELLO.replace('\n', "\\n")
    );
    format!(
        "# One process, which is easy to measure and to end.
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log stderr error;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  default_type application/octet-stream;
  sendfile on;
  tcp_nopush on;
  keepalive_timeout 75;
  keepalive_requests 1000000000;
  client_body_temp_path {directory}/nginx;
  proxy_temp_path {directory}/nginx;
  fastcgi_temp_path {directory}/nginx;
  uwsgi_temp_path {directory}/nginx;
  scgi_temp_path {directory}/nginx;
  server {{
    listen {http1};
    {locations}
  }}
  server {{
    listen {http2} http2;
    {locations}
  }}
}}
"
    )
}
