//! A PostgreSQL server of this test process's own: in a folder that goes with it, without a disk to wait for, gone when
//! the process ends, however it ends. Each case gets a database. The command line's tests of real servers use it too.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio_postgres::NoTls;

/// Serves until nobody holds its input any more, and then leaves nothing behind.
const WATCHED: &str = r#"
"$1/postgres" -D "$2/data" -k "$2" -p "$3" >"$2/log" 2>&1 &
cat >/dev/null
kill -QUIT $!
wait
rm -rf "$2"
"#;

const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
max_connections = 200
ssl = on
ssl_cert_file = 'server.pem'
ssl_key_file = 'server.key'
";

const TLS: [(&str, &[u8]); 2] = [
    ("server.pem", include_bytes!("tls/server.pem")),
    ("server.key", include_bytes!("tls/server.key")),
];

/// Nothing here must survive a power cut, and the cases need not wait for the disk.
const HASTY: &str = "fsync = off\nfull_page_writes = off\nautovacuum_naptime = 5s\n";

/// Over the socket everybody who may open it, over the network with a password.
const ACCESS: &str = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";

/// The user of the cases over the network.
pub(crate) const NETWORK_USER: &str = "tester:hidden";

pub(crate) struct Server {
    folder: PathBuf,
    pub(crate) port: u16,
    databases: AtomicUsize,
    /// Its input closes with this process.
    _child: Child,
}

/// The server, if this machine has PostgreSQL. A run that must not leave anything out fails without it.
pub(crate) fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| find().map(|binaries| Server::start(&binaries, HASTY))).as_ref()
}

/// The server's programs, if this machine has them. A run that must not leave anything out fails without them.
pub(crate) fn find() -> Option<PathBuf> {
    let found = binaries();
    let complete = is_set("CI") || is_set("PACELINE_TEST_COMPLETE");
    assert!(
        found.is_some() || !complete,
        "these tests need PostgreSQL: install Debian's package postgresql"
    );
    if found.is_none() {
        println!("left out: this machine has no PostgreSQL (Debian's package postgresql)");
    }
    found
}

impl Server {
    /// A server with these settings beside those that all of them have.
    pub(crate) fn start(binaries: &Path, settings: &str) -> Self {
        // Not a TempDir: the one who removes it is the shell that outlives this process.
        let folder = tempfile::Builder::new().prefix("pg").tempdir().unwrap().keep();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        give_away(&folder);
        let mut made = as_user("sh");
        let initdb =
            "exec \"$1/initdb\" -D \"$2/data\" -U postgres -A trust -E UTF8 --locale=C --no-sync";
        made.args(["-c", initdb, "sh"]).arg(binaries).arg(&folder).stdout(Stdio::null());
        assert!(made.status().unwrap().success(), "initdb failed");
        let data = folder.join("data");
        for (name, content) in TLS {
            std::fs::write(data.join(name), content).unwrap();
            restrict(&data.join(name));
        }
        let settings = format!("{SETTINGS}{settings}");
        std::fs::write(data.join("postgresql.auto.conf"), settings).unwrap();
        std::fs::write(data.join("pg_hba.conf"), ACCESS).unwrap();
        let mut child = as_user("sh");
        child.args(["-c", WATCHED, "sh"]).arg(binaries).arg(&folder).arg(port.to_string());
        // A group of its own: Ctrl-C ends the tests, and their end ends the server.
        std::os::unix::process::CommandExt::process_group(&mut child, 0);
        let child = child.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let server = Self { folder, port, databases: AtomicUsize::new(0), _child: child.unwrap() };
        server.wait();
        let (user, password) = NETWORK_USER.split_once(':').unwrap();
        server
            .run("postgres", &format!("CREATE ROLE {user} SUPERUSER LOGIN PASSWORD '{password}'"));
        server
    }

    /// A new database with nothing in it; answers its name.
    pub(crate) fn database(&self) -> String {
        let name = format!("case{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.run("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    pub(crate) fn drop_database(&self, name: &str) {
        self.run("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"));
    }

    /// The address of a database over the socket.
    pub(crate) fn url(&self, database: &str) -> String {
        let folder = self.folder.to_str().unwrap().replace('/', "%2F");
        format!("postgres://postgres@{folder}:{}/{database}", self.port)
    }

    /// Runs statements as an SQL shell would; answers the first column of what they found.
    pub(crate) fn run(&self, database: &str, sql: &str) -> Vec<String> {
        self.try_run(database, sql).unwrap()
    }

    fn try_run(&self, database: &str, sql: &str) -> Result<Vec<String>, tokio_postgres::Error> {
        let (url, sql) = (self.url(database), sql.to_owned());
        // On a thread of its own: cases run inside a runtime, and one in which time stands still.
        let shell = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
                let connection = tokio::spawn(connection);
                let messages = client.simple_query(&sql).await?;
                drop(client);
                let _ = connection.await;
                Ok(messages.into_iter().filter_map(first_column).collect())
            })
        });
        shell.join().unwrap()
    }

    fn wait(&self) {
        for _ in 0..500 {
            if self.try_run("postgres", "SELECT 1").is_ok() {
                return;
            }
            pause(Duration::from_millis(20));
        }
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        panic!("the tests' PostgreSQL does not answer: {log}");
    }
}

fn first_column(message: tokio_postgres::SimpleQueryMessage) -> Option<String> {
    match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }
}

/// Where the server's programs are: in the path, or where Debian puts them, the newest.
fn binaries() -> Option<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).find(|folder| folder.join("initdb").is_file());
    let debian = || {
        let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
        let folders = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
        folders.filter(|folder| folder.join("initdb").is_file()).max()
    };
    in_path.or_else(debian)
}

#[expect(clippy::disallowed_methods, reason = "where programs are is told nowhere else")]
fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}

fn is_set(name: &str) -> bool {
    variable(name).is_some_and(|value| !value.is_empty())
}

/// A command as a user whom PostgreSQL serves: it refuses root.
fn as_user(program: &str) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "nobody", "--", program]).current_dir("/");
    command
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.starts_with(b"0\n")
}

fn give_away(folder: &Path) {
    if is_root() {
        let given = Command::new("chown").arg("nobody").arg(folder).status().unwrap();
        assert!(given.success());
    }
}

/// A key that others may read is refused by the server.
fn restrict(file: &Path) {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(file, mode).unwrap();
    give_away(file);
}

#[expect(clippy::disallowed_methods, reason = "a real server takes real time to do things")]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
