//! Writes the output: every row of the kept input, in order, with its cell.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use paceline_engine::Engine;
use paceline_model::{RowId, RowQuery, Store, Value, limits};

use super::job::Job;
use super::request::Request;
use crate::exit::{Failure, usage};
use paceline_files::{Destination, write_columns};

type Page = Result<Vec<Value>, paceline_model::Error>;

/// Pages that wait for the writer.
const PAGES_AHEAD: usize = 2;

/// Writes the output, whole or not at all.
pub(crate) async fn write(engine: &Engine, job: &Job, request: &Request) -> Result<(), Failure> {
    let (sender, pages) = sync_channel(PAGES_AHEAD);
    let store = Arc::clone(engine.store());
    let query = RowQuery {
        columns: vec![job.column.id],
        after: RowId(0),
        limit: limits::PAGE_ROWS_MAX,
        ..RowQuery::of(job.table.id)
    };
    let reading = tokio::spawn(read_pages(store, query, sender));
    let spooled = job.spooled.clone();
    let (output, column) = (request.output.clone(), request.column.clone());
    let format = request.output_format.unwrap_or(spooled.format);
    let pipes_out = request.pipes_out();
    let writing = tokio::task::spawn_blocking(move || {
        let mut stdout = std::io::stdout();
        let destination =
            if pipes_out { Destination::Writer(&mut stdout) } else { Destination::Path(&output) };
        write_columns(&spooled, destination, format, &[&column], cells(pages))
    });
    let written =
        writing.await.map_err(|error| usage(format!("the output was not written: {error}")))?;
    reading.abort();
    Ok(written?)
}

async fn read_pages(store: Arc<dyn Store>, mut query: RowQuery, sender: SyncSender<Page>) {
    loop {
        let page = store.rows(query.clone()).await;
        let last = match &page {
            Ok(rows) if rows.is_empty() => return,
            Ok(rows) => rows.last().map(|row| row.id),
            Err(_) => None,
        };
        let cells = page.map(|rows| {
            rows.into_iter().map(|row| row.values.into_iter().next().unwrap_or_default()).collect()
        });
        // The writer takes pages as fast as it writes; it is on a thread of its own.
        if tokio::task::block_in_place(|| sender.send(cells)).is_err() {
            return;
        }
        match last {
            Some(last) => query.after = last,
            None => return,
        }
    }
}

fn cells(pages: Receiver<Page>) -> impl Iterator<Item = Result<[Value; 1], paceline_model::Error>> {
    pages.into_iter().flat_map(|page| match page {
        Ok(values) => values.into_iter().map(|value| Ok([value])).collect::<Vec<_>>(),
        Err(error) => vec![Err(error)],
    })
}
