//! Where the server is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use url::Url;

use crate::cli::failure::Failure;

/// An address as somebody writes it.
pub(super) fn read_url(text: &str) -> Result<Url, Failure> {
    let url =
        Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| {
        Failure::usage(
            format!("{text:?} is no address of a server"),
            "write e.g. http://127.0.0.1:8080 or https://sms.example.com.",
        )
    })
}

/// The URL of this machine's own listener, and its address. A certificate is for the name that users type, so with TLS that
/// name is asked for, at this machine.
pub(super) fn local_url(config: &runtime::config::Http) -> Result<(Url, Option<SocketAddr>), Failure> {
    let listen = config.listen;
    if listen.port() == 0 {
        let hint = "the server's greeting told it: give it with --url or SWITCHBOARD_URL.";
        return Err(Failure::usage("http.listen has port 0, so the server's port is not known", hint));
    }
    let here = reachable(listen);
    if !config.tls.is_on() {
        return Ok((read_url(&format!("http://{here}"))?, Some(here)));
    }
    let public = Url::parse(&config.public_url).ok();
    let url = match public.as_ref().and_then(Url::host_str) {
        Some(name) => format!("https://{name}:{}", here.port()),
        None => format!("https://{here}"),
    };
    Ok((read_url(&url)?, Some(here)))
}

/// The address by which this machine reaches its own listener: one that listens everywhere listens here.
pub(in crate::cli) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// Whether it is on this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_everywhere_is_reached_here() {
        let mut config = runtime::Config::for_tests("/nowhere").http;
        let mut reached = |listen: &str| {
            config.listen = listen.parse().unwrap();
            local_url(&config).map(|(url, _)| url.to_string())
        };
        assert_eq!(reached("0.0.0.0:80").unwrap(), "http://127.0.0.1/");
        assert_eq!(reached("[::]:8080").unwrap(), "http://[::1]:8080/");
        assert_eq!(reached("10.1.2.3:8080").unwrap(), "http://10.1.2.3:8080/");
        assert!(reached("127.0.0.1:0").is_err());
    }

    #[test]
    fn with_tls_the_name_in_the_certificate_is_asked_for() {
        let mut config = runtime::Config::for_tests("/nowhere").http;
        config.listen = "0.0.0.0:8443".parse().unwrap();
        config.tls.certificate = "cert.pem".into();
        assert_eq!(local_url(&config).unwrap().0.as_str(), "https://127.0.0.1:8443/");
        config.public_url = "https://sms.example.com".to_owned();
        let (url, here) = local_url(&config).unwrap();
        assert_eq!(url.as_str(), "https://sms.example.com:8443/");
        assert_eq!(here, Some("127.0.0.1:8443".parse().unwrap()));
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for bad in ["", "host:80", "ftp://host", "http://"] {
            assert!(read_url(bad).is_err(), "{bad}");
        }
        assert!(is_loopback(&read_url("http://127.0.0.9:1").unwrap()));
        assert!(!is_loopback(&read_url("http://10.0.0.1").unwrap()));
    }
}
