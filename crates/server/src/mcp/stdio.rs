//! MCP over stdin and stdout: one client, which started this process.

use std::future::Future;

use rmcp::service::{QuitReason, ServerInitializeError};
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::{RoleServer, ServerHandler, serve_server};

use super::{Desk, Toolsets, Visitor};
use crate::App;
use crate::auth::caller::Face;
use crate::catalog::Caller;

/// Serves MCP on stdin and stdout until stdin ends or `shutdown` does. Whoever started this process may do everything.
///
/// # Errors
/// What the client did wrong, in one line.
pub async fn mcp_stdio(
    app: App,
    toolsets: Toolsets,
    shutdown: impl Future<Output = ()>,
) -> Result<(), String> {
    let line_bytes_max = app.config.body_bytes_max;
    let visitor = Visitor {
        caller: Caller::of_this_process(Face::Mcp),
        toolsets,
        page_rows_max: app.config.limits.mcp_page_rows_max,
    };
    let (audit, clock, drain) =
        (app.access.audit.clone(), app.clock.clone(), app.config.drain_timeout);
    let ended = speak(Desk { app, visitor }, line_bytes_max, shutdown).await;
    tokio::select! {
        () = audit.written() => {}
        () = clock.sleep(drain) => {}
    }
    ended
}

/// Speaks for `handler` on stdin and stdout.
pub(super) async fn speak(
    handler: impl ServerHandler,
    line_bytes_max: usize,
    shutdown: impl Future<Output = ()>,
) -> Result<(), String> {
    let transport =
        AsyncRwTransport::<RoleServer, _, _>::new(tokio::io::stdin(), tokio::io::stdout())
            .with_max_line_length(line_bytes_max);
    let mut shutdown = std::pin::pin!(shutdown);
    let service = tokio::select! {
        begun = serve_server(handler, transport) => match begun {
            Ok(service) => service,
            Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
            Err(error) => return Err(format!("the client did not begin as MCP has it: {error}")),
        },
        () = &mut shutdown => return Ok(()),
    };
    let stop = service.cancellation_token();
    let mut ended = std::pin::pin!(service.waiting());
    let quit = tokio::select! {
        quit = &mut ended => quit,
        () = shutdown => {
            stop.cancel();
            ended.await
        }
    };
    match quit {
        Ok(QuitReason::JoinError(error)) | Err(error) => Err(format!("MCP ended: {error}")),
        Ok(_) => Ok(()),
    }
}
