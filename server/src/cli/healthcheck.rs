//! The command that asks a server whether it is ready, for the health check of a container without a shell.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use callgate_cli::fail;

use super::Flags;
use crate::config::{BindAddress, Config};
use crate::proxy::ProxyProtocol;

/// The longest time for a connection, and for each read and write.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The most of a response that is read, in octets.
const MAX_RESPONSE: u64 = 64 * 1024;

/// Asks the server with these settings whether it is ready, and prints the answer in one line. The exit
/// status is 0 if the server is ready, and otherwise 1.
///
/// The admin listener is asked for `/readyz` (`--admin`). Without it, the first address for clients is asked
/// for the path of the health check (`--health-path`). [`main`](super::main) has this as the command
/// `healthcheck`.
pub fn healthcheck(flags: Flags) -> ExitCode {
    match ask(&flags.into_config()) {
        Ok(()) => {
            // The exit status says the same.
            let _ = writeln!(io::stdout(), "ready");
            ExitCode::SUCCESS
        }
        Err(reason) => fail(1, reason),
    }
}

/// Asks whether the server is ready. The error says why it is not, or why it cannot be asked.
fn ask(config: &Config) -> Result<(), String> {
    let (address, path) = target(config)?;
    let response = exchange(&address, path)
        .map_err(|error| format!("the server does not answer at {address}: {error}"))?;
    let head = response.lines().next().unwrap_or_default();
    if head.split(' ').nth(1) == Some("200") {
        return Ok(());
    }
    let content = response.split_once("\r\n\r\n").map_or("", |(_, it)| it);
    let answer = content.lines().next().unwrap_or_default();
    Err(format!("the server is not ready: {head} {answer}"))
}

/// Returns the address that is asked, and the path.
fn target(config: &Config) -> Result<(BindAddress, &str), &'static str> {
    if let Some(address) = &config.admin.bind {
        return Ok((reachable(address)?, "/readyz"));
    }
    let Some(path) = &config.admin.health_path else {
        return Err("give --admin or --health-path, as for the server");
    };
    if config.proxy.protocol == ProxyProtocol::Required {
        return Err("the addresses for clients need a PROXY header; give --admin");
    }
    let mut cleartext = config.listen.insecure_bind.clone();
    if !config.tls.is_on() {
        cleartext.splice(..0, config.listen.addresses());
    }
    let address = cleartext
        .first()
        .ok_or("there is no address in cleartext; give --admin")?;
    Ok((reachable(address)?, path))
}

/// Returns the address at which a listener is reached from the same machine.
fn reachable(address: &BindAddress) -> Result<BindAddress, &'static str> {
    match address {
        BindAddress::Tcp(_, 0) => Err("the port is picked by the system; give one"),
        BindAddress::Tcp(host, port) => {
            let host = match host.as_str() {
                "0.0.0.0" => "127.0.0.1",
                "::" => "::1",
                host => host,
            };
            Ok(BindAddress::Tcp(host.into(), *port))
        }
        BindAddress::Unix(_) => Ok(address.clone()),
        BindAddress::Fd(_) => {
            Err("the address of a descriptor is not known; give --admin an address")
        }
    }
}

/// Sends a request to an address, and returns the response.
fn exchange(address: &BindAddress, path: &str) -> io::Result<String> {
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    match address {
        BindAddress::Tcp(host, port) => {
            let stream = connect(host, *port)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            stream.set_write_timeout(Some(TIMEOUT))?;
            exchange_over(stream, &request)
        }
        #[cfg(unix)]
        BindAddress::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            stream.set_write_timeout(Some(TIMEOUT))?;
            exchange_over(stream, &request)
        }
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Connects to the first address of a host that accepts.
fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::ErrorKind::AddrNotAvailable.into();
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn exchange_over(mut stream: impl Read + Write, request: &str) -> io::Result<String> {
    stream.write_all(request.as_bytes())?;
    let mut response = Vec::new();
    stream.take(MAX_RESPONSE).read_to_end(&mut response)?;
    Ok(String::from_utf8_lossy(&response).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> BindAddress {
        BindAddress::Tcp(host.into(), port)
    }

    #[test]
    fn the_admin_listener_is_asked_or_the_first_address_in_cleartext() {
        let checked = || Config::new().health_path(Some("/health".into()));
        let secured = || checked().ssl_self_signed(true);
        for (config, address, path) in [
            (
                checked().admin(Some(tcp("0.0.0.0", 9000))),
                tcp("127.0.0.1", 9000),
                "/readyz",
            ),
            (checked(), tcp("127.0.0.1", 8000), "/health"),
            (checked().host("::".into()), tcp("::1", 8000), "/health"),
            (
                checked()
                    .insecure_bind(tcp("a.test", 80))
                    .bind(tcp("b.test", 81)),
                tcp("b.test", 81),
                "/health",
            ),
            (
                secured().insecure_bind(tcp("a.test", 80)),
                tcp("a.test", 80),
                "/health",
            ),
        ] {
            assert_eq!(target(&config), Ok((address, path)));
        }
        for (config, reason) in [
            (Config::new(), "--admin or --health-path"),
            (secured(), "no address in cleartext"),
            (checked().port(0), "give one"),
            (checked().fd(Some(3)), "descriptor"),
            (
                checked().proxy_protocol(ProxyProtocol::Required),
                "PROXY header",
            ),
        ] {
            let error = target(&config).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
