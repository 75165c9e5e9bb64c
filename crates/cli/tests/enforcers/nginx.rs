//! nginx `limit_req`: a bucket that leaks at a rate and holds `burst` calls above it. Its clock counts milliseconds.

use std::cell::RefCell;
use std::net::TcpListener;
use std::path::Path;

use tokio::process::Command;

use crate::process::Process;
use crate::support::{Bench, until};
use crate::verdict::{Decision, Verdict};
use crate::{RATE_PER_S, alone, enrich, tool};

/// Another program may take the free port before nginx does.
const STARTS_MAX: usize = 5;

/// nginx in a folder of its own: one process, nothing of the machine's configuration.
struct Nginx {
    bench: Bench,
    address: String,
    /// Killed when dropped.
    _process: Process,
}

impl Nginx {
    /// Serves `/calls`, as many as `limit_req` with these `parameters` lets through.
    async fn start(parameters: &str) -> Self {
        let bench = Bench::new();
        bench.write("calls", r#"{"ok":true}"#);
        let mut failure = String::new();
        for _ in 0..STARTS_MAX {
            let address = free_address();
            bench.write("nginx.conf", config(&address, parameters));
            let process = RefCell::new(Process::spawn(&mut command(&bench.path("")).await));
            let pid = bench.path("pid");
            // It writes its pid once its socket is bound.
            let is_running = || process.borrow_mut().is_running();
            until("nginx is there or has given up", || pid.exists() || !is_running()).await;
            let mut process = process.into_inner();
            if process.is_running() {
                return Self { bench, address, _process: process };
            }
            failure = process.ended().await.stderr;
        }
        panic!("nginx does not start:\n{failure}");
    }

    /// Its access log, once that is whole.
    async fn record(&self, calls: usize) -> Vec<Decision> {
        let lines = || self.bench.read("access.log").matches('\n').count();
        until("nginx has logged every call", || lines() >= calls).await;
        let decision = |line: &str| {
            let (at, status) = line.split_once(' ').unwrap();
            Decision { at_s: at.parse().unwrap(), status: status.parse().unwrap() }
        };
        self.bench.read("access.log").lines().map(decision).collect()
    }
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

async fn command(folder: &Path) -> Command {
    // Debian keeps it where only root's PATH looks.
    let debian = Path::new("/usr/sbin/nginx");
    let program = if debian.exists() { debian.to_str().unwrap() } else { "nginx" };
    let mut command = tool(program, "nginx-light").await;
    command.arg("-p").arg(folder).args(["-c", "nginx.conf", "-e", "error.log"]);
    command
}

fn config(address: &str, parameters: &str) -> String {
    format!(
        "daemon off;
master_process off;
pid pid;
events {{}}
http {{
    # One key for everybody: nginx does not count an empty one, so the server has a name.
    limit_req_zone $server_name zone=everybody:1m rate={RATE_PER_S}r/s;
    limit_req_status 429;
    log_format decisions '$msec $status';
    access_log access.log decisions;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    default_type application/json;
    server {{
        listen {address};
        server_name limited;
        root .;
        location = /calls {{
            limit_req zone=everybody {parameters};
        }}
    }}
}}
"
    )
}

async fn judge(parameters: &str) {
    let _alone = alone().await;
    let nginx = Nginx::start(parameters).await;
    let ended = enrich(&nginx.bench, &nginx.address).await;
    let calls = usize::try_from(ended.count("calls")).unwrap();
    let enforcer = format!("nginx limit_req, {RATE_PER_S}r/s {parameters}");
    Verdict::of(&nginx.record(calls).await).demand(enforcer.trim_end(), &ended);
}

/// The strictest pacer there is: two calls that arrive less than 10 ms apart are one too many.
#[tokio::test(flavor = "multi_thread")]

async fn nginx_without_a_burst_refuses_nothing_once_settled() {
    judge("").await;
}

#[tokio::test(flavor = "multi_thread")]

async fn nginx_with_a_burst_of_a_fifth_refuses_nothing_once_settled() {
    judge("burst=20 nodelay").await;
}
