//! The MCP face: every operation of the catalogue as a tool, a guide and the tables as resources, over HTTP and stdio.
//!
//! There are no sessions: each request stands for itself, with its key and its toolsets, so that nothing has to be kept,
//! bounded or resumed, and a revoked key is refused from the next request on.

mod arguments;
mod bridge;
mod call;
mod http;
mod others;
mod reply;
mod resources;
mod stdio;
mod tools;
mod toolsets;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CustomRequest, CustomResult, ErrorCode,
    Implementation, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};

pub use bridge::{McpUpstream, mcp_bridge};
pub(crate) use http::routes;
pub use stdio::mcp_stdio;
pub use toolsets::{Toolsets, UnknownToolset};

use crate::App;
use crate::catalog::Caller;

/// What a client reads before anything else.
const INSTRUCTIONS: &str = "Tables whose smart columns call external APIs, row by row, inside the vendors' rate limits. \
     Usual path: create_table, insert_rows, add_smart_column (with rate_limit), run_column, get_run until it ends, \
     query_rows. Every reply is {success, data, meta, hints}; hints are calls that work as they stand. An error says in \
     `fix` what to do. A cell is empty? explain_cell says why. Read the resource hypertab://guide before the first run.";

/// Who asks, and which tools it sees.
#[derive(Clone, Debug)]
struct Visitor {
    caller: Caller,
    toolsets: Toolsets,
    /// Rows of one page: the setting of the server.
    page_rows_max: usize,
}

/// Answers one client of MCP.
#[derive(Clone, Debug)]
struct Desk {
    app: App,
    visitor: Visitor,
}

/// What this server says of itself.
fn info() -> ServerConfig {
    let capabilities = ServerCapabilities::builder().enable_tools().enable_resources().build();
    ServerConfig::new(capabilities)
        .with_server_info(
            Implementation::new("paceline", env!("CARGO_PKG_VERSION")).with_title("Paceline"),
        )
        .with_instructions(INSTRUCTIONS)
}

impl ServerHandler for Desk {
    fn get_info(&self) -> ServerConfig {
        info()
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::listed(&self.visitor)))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        Ok(call::call(&self.app, &self.visitor, &request.name, arguments).await.into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(resources::listed()))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(resources::templates()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        resources::read(&self.app, &self.visitor, &request.uri).await.map(Into::into)
    }

    /// A call whose arguments are no object does not look like a call to the SDK. It is one to the agent, which is to be
    /// told what is wrong.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let params = request.params.filter(|_| request.method == "tools/call");
        let Some(result) = params.and_then(|params| call::misshapen(&self.visitor, &params)) else {
            return Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, request.method, None));
        };
        serde_json::to_value(result)
            .map(CustomResult::new)
            .map_err(|error| ErrorData::internal_error(error.to_string(), None))
    }
}
