//! The settings of what the server tells about itself.

use std::time::Duration;

use super::kind::{One, Parsed, Shape};
use super::listen::{BindAddress, Listen, bind};
use super::setting::settings;
use super::values::SECONDS;
use crate::error::ServeError;

settings! {
    /// What the server tells its operators and balancers about itself.
    admin: Admin {
        /// The address of the admin listener, such as 127.0.0.1:9000, `unix:PATH` or `fd:N`; never one of those
        /// that clients use.
        ///
        /// The listener answers `/livez`, `/readyz`, `/connections` and `/metrics`, from before the start-up of
        /// the application until after its shutdown. A peer that reaches this address sees the addresses of all
        /// clients.
        admin => bind: (Option<BindAddress>) = "none" as ADDRESS;

        /// The path of a health check on the public addresses, which the server answers itself; `none` for no
        /// such path.
        ///
        /// The response is 200, or 503 as soon as the server has been told to stop. The check is an exchange as
        /// any other: it is logged and counted, and it gets 503 when `limit-concurrency` is reached. It is
        /// answered in cleartext where `redirect-to-https` redirects other requests. A balancer that can reach
        /// the admin listener asks `/readyz` there.
        health_path => health_path: (Option<String>) = "none" as HEALTH_PATH;

        /// Keep serving for this long after being told to stop.
        ///
        /// `/readyz` and the health check tell at once that the server is not ready, and balancers have this
        /// time to notice it before connections are closed. A second signal ends the server as always. A server
        /// whose successor has taken over does not wait.
        shutdown_delay => shutdown_delay: (Duration) = "0" as SECONDS;
    }
}

impl Admin {
    pub(super) fn check(&self, listen: &Listen) -> Result<(), ServeError> {
        let Some(address) = &self.bind else {
            return Ok(());
        };
        let given = [
            ("bind", listen.bind.contains(address)),
            ("insecure_bind", listen.insecure_bind.contains(address)),
            (
                "uds",
                listen.uds.clone().map(BindAddress::Unix).as_ref() == Some(address),
            ),
            (
                "fd",
                listen.fd.map(BindAddress::Fd).as_ref() == Some(address),
            ),
        ];
        match given.into_iter().find(|(_, is_same)| *is_same) {
            Some((name, _)) => conflict(address, name),
            None => Ok(()),
        }
    }

    /// Checks the address against the host and the port. The server listens there only if no other address
    /// is given and no listener exists.
    pub(crate) fn check_port(&self, listen: &Listen) -> Result<(), ServeError> {
        match &self.bind {
            Some(address) if listen.addresses().contains(address) => conflict(address, "port"),
            _ => Ok(()),
        }
    }
}

/// Returns the error of an admin listener with an address of another setting.
fn conflict(address: &BindAddress, name: &'static str) -> Result<(), ServeError> {
    match address {
        // Each listener gets a port of its own.
        BindAddress::Tcp(_, 0) => Ok(()),
        _ => Err(ServeError::Conflict {
            names: ["admin", name],
            remedy: "give the admin listener an address that clients do not reach",
        }),
    }
}

const ADDRESS: One<Option<BindAddress>> = One {
    name: "ADDRESS",
    shape: Shape::Text,
    parse: |text| match text {
        "none" => Ok(None),
        _ => bind(text).map(Some),
    },
    show: |address| (address.as_ref()).map_or_else(|| "none".into(), ToString::to_string),
};

const HEALTH_PATH: One<Option<String>> = One {
    name: "PATH",
    shape: Shape::Text,
    parse: health_path,
    show: |path| path.clone().unwrap_or_else(|| "none".into()),
};

fn health_path(text: &str) -> Parsed<Option<String>> {
    let is_path = text.starts_with('/')
        && text
            .bytes()
            .all(|octet| octet.is_ascii_graphic() && !matches!(octet, b'?' | b'#' | b'%'));
    match text {
        "none" => Ok(None),
        _ if is_path => Ok(Some(text.into())),
        _ => Err("give a path, such as /health, or none"),
    }
}

#[cfg(test)]
mod tests {
    use crate::Config;
    use crate::config::BindAddress;

    #[test]
    fn the_admin_listener_has_an_address_of_its_own() {
        let tcp = |port| BindAddress::Tcp("127.0.0.1".into(), port);
        let unix = BindAddress::Unix("/a.sock".into());
        let admin = |address: &BindAddress| Config::new().admin(Some(address.clone()));
        for (config, name) in [
            (admin(&tcp(80)).bind(tcp(80)), "bind"),
            (admin(&tcp(80)).insecure_bind(tcp(80)), "insecure_bind"),
            (admin(&unix).uds(Some("/a.sock".into())), "uds"),
            (admin(&BindAddress::Fd(5)).fd(Some(5)), "fd"),
        ] {
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains("`admin`"), "{error}");
            assert!(error.contains(&format!("`{name}`")), "{error}");
        }
        for config in [admin(&tcp(8001)), admin(&tcp(0)).port(0), admin(&unix)] {
            config.check().unwrap();
            config.admin.check_port(&config.listen).unwrap();
        }
    }

    #[test]
    fn the_port_is_no_conflict_where_the_server_does_not_listen_on_it() {
        let tcp = |port| BindAddress::Tcp("127.0.0.1".into(), port);
        let config = Config::new().admin(Some(tcp(8000)));
        // The server may have sockets of systemd.
        config.check().unwrap();
        let error = config.admin.check_port(&config.listen).unwrap_err();
        assert!(error.to_string().contains("`admin` and `port`"), "{error}");
        let config = config.bind(tcp(80));
        config.admin.check_port(&config.listen).unwrap();
    }
}
