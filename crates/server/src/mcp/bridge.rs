//! MCP over stdin and stdout for a server that runs elsewhere: what the client asks goes to its `/mcp` and comes back as it
//! is. The client may speak any revision of MCP; towards the server it is always the same one.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use paceline_model::limits::API_BODY_BYTES_MAX;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::{info, stdio};

/// Carries one message of MCP to a server and its answer back.
#[async_trait]
pub trait McpUpstream: Send + Sync {
    /// Posts a JSON-RPC request; answers the body of the reply.
    ///
    /// # Errors
    /// In one line: what was tried, what went wrong, what to do.
    async fn post(&self, message: Bytes) -> Result<Bytes, String>;
}

/// Serves MCP on stdin and stdout, as [`mcp_stdio`](crate::mcp_stdio) does, with another server's answers.
///
/// # Errors
/// The server cannot be reached or refuses the key, or what the client did wrong; in one line.
pub async fn mcp_bridge(
    upstream: Arc<dyn McpUpstream>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), String> {
    let bridge = Bridge(upstream);
    // A wrong address or key is told now, not at the first call.
    bridge.ask::<Json>("ping", json!({})).await.map_err(|error| error.message.into_owned())?;
    stdio::speak(bridge, API_BODY_BYTES_MAX, shutdown).await
}

struct Bridge(Arc<dyn McpUpstream>);

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bridge")
    }
}

impl Bridge {
    async fn ask<T: DeserializeOwned>(&self, method: &str, params: Json) -> Result<T, ErrorData> {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let reply = self.0.post(message.to_string().into()).await;
        let reply = reply.map_err(|message| ErrorData::internal_error(message, None))?;
        let strange = |what: String| {
            ErrorData::internal_error(format!("the server answers what is not MCP: {what}"), None)
        };
        let mut reply: Json =
            serde_json::from_slice(&reply).map_err(|error| strange(error.to_string()))?;
        if let Some(error) = reply.get_mut("error") {
            return Err(serde_json::from_value(error.take())
                .unwrap_or_else(|error| strange(error.to_string())));
        }
        serde_json::from_value(reply["result"].take()).map_err(|error| strange(error.to_string()))
    }
}

impl ServerHandler for Bridge {
    fn get_info(&self) -> ServerConfig {
        info()
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        self.ask("tools/list", json!({})).await
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let params =
            json!({"name": request.name, "arguments": request.arguments.unwrap_or_default()});
        let result = self.ask::<CallToolResult>("tools/call", params).await;
        // A server that is away for a moment is something that the agent has to know.
        let result = result
            .unwrap_or_else(|error| CallToolResult::error(vec![ContentBlock::text(error.message)]));
        Ok(result.into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        self.ask("resources/list", json!({})).await
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        self.ask("resources/templates/list", json!({})).await
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let read: ReadResourceResult =
            self.ask("resources/read", json!({"uri": request.uri})).await?;
        Ok(read.into())
    }
}
