//! A minimal HTTP/1.1 client that shows what is really on the wire.

use std::io;
use std::net::SocketAddr;

use paceline_clock::Clock;
use paceline_lab::{Lab, Running, VendorConfig};
use serde_json::Value;
use tokio::io::AsyncBufReadExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A lab on a free port of loopback.
pub(crate) async fn start(config: VendorConfig) -> Running {
    start_with(config, Clock::system()).await
}

pub(crate) async fn start_with(config: VendorConfig, clock: Clock) -> Running {
    Lab::start(config, clock, ([127, 0, 0, 1], 0).into()).await.unwrap()
}

/// Lets others run until `happened`, which real sockets make soon; a test that waits in vain fails instead of hanging.
pub(crate) async fn until(what: &str, mut happened: impl FnMut() -> bool) {
    for _ in 0..1_000_000 {
        if happened() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{what} did not happen");
}

/// One connection, kept alive.
pub(crate) struct Client(BufReader<TcpStream>);

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The body ended before its announced length.
    pub(crate) is_cut: bool,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Client {
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(addr).await.unwrap()))
    }

    pub(crate) async fn get(&mut self, target: &str) -> io::Result<Response> {
        self.request("GET", target, &[], "").await
    }

    pub(crate) async fn post(&mut self, target: &str) -> io::Result<Response> {
        self.request("POST", target, &[], "").await
    }

    pub(crate) async fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> io::Result<Response> {
        self.send(method, target, headers, body).await?;
        self.receive().await
    }

    pub(crate) async fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> io::Result<()> {
        let mut head = format!("{method} {target} HTTP/1.1\r\nhost: lab\r\n");
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        if !body.is_empty() {
            head.extend(["content-length: ", &body.len().to_string(), "\r\n"]);
        }
        head.push_str("\r\n");
        head.push_str(body);
        self.0.get_mut().write_all(head.as_bytes()).await
    }

    /// The next response; an unexpected end of file if the connection ends before its first byte.
    pub(crate) async fn receive(&mut self) -> io::Result<Response> {
        let status_line = self.line().await?;
        let status = status_line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(": ").unwrap();
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let mut response = Response { status, headers, body: Vec::new(), is_cut: false };
        // 204 has neither body nor length.
        let length: u64 = match response.header("content-length") {
            Some(length) => length.parse().unwrap(),
            None if status == 204 => 0,
            None => panic!("no content-length: {response:?}"),
        };
        (&mut self.0).take(length).read_to_end(&mut response.body).await?;
        response.is_cut = (response.body.len() as u64) < length;
        Ok(response)
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}
