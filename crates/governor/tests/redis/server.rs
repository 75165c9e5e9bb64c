//! A Redis server of a test's own, on a free port, in a folder of its own, killed with the test.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use redis::Connection;
use tempfile::TempDir;

pub(crate) struct Server {
    port: u16,
    folder: TempDir,
    options: Vec<String>,
    child: Option<Child>,
}

impl Server {
    /// A server that keeps nothing over its death.
    pub(crate) fn start() -> Self {
        Self::with(&["--save", "", "--appendonly", "no"])
    }

    /// A server with these options.
    pub(crate) fn with(options: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut server = Self { port, folder: TempDir::new().unwrap(), options, child: None };
        server.run();
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Starts it, again after a [`Server::kill`]; returns when it answers.
    pub(crate) fn run(&mut self) {
        let child = Command::new("redis-server")
            .args([
                "--bind",
                "127.0.0.1",
                "--port",
                &self.port.to_string(),
                "--loglevel",
                "warning",
            ])
            .arg("--dir")
            .arg(self.folder.path())
            .args(&self.options)
            .stdout(Stdio::null())
            .spawn()
            .expect("these tests need redis-server: install Debian's package of that name");
        self.child = Some(child);
        self.connection();
    }

    /// How often the script ran, and how many microseconds it took each time.
    pub(crate) fn questions(&self) -> (u64, f64) {
        let stats: String =
            redis::cmd("INFO").arg("commandstats").query(&mut self.connection()).unwrap();
        let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:")).unwrap();
        let field = |name: &str| {
            line.split(',').find_map(|field| field.strip_prefix(name)).unwrap().to_owned()
        };
        (field("calls=").parse().unwrap(), field("usec_per_call=").parse().unwrap())
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(crate) fn connection(&self) -> Connection {
        let client = redis::Client::open(self.url()).unwrap();
        for _ in 0..200 {
            if let Ok(mut connection) = client.get_connection()
                && redis::cmd("PING").query::<String>(&mut connection).is_ok()
            {
                return connection;
            }
            pause_ms(20);
        }
        panic!("the test's redis-server does not answer");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

#[expect(clippy::disallowed_methods, reason = "a real server takes real time to do things")]
pub(crate) fn pause_ms(millis: u64) {
    std::thread::sleep(std::time::Duration::from_millis(millis));
}
