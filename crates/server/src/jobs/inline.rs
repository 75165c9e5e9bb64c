//! An export as a reply: streamed as it is made, or whole if it is short.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use paceline_files::{FileFormat, Writer};
use tokio::sync::mpsc;

use super::blocking;
use super::export::{Export, cannot_write, value_bytes};
use crate::App;
use crate::error::{ApiError, Result};

/// Parts of a reply that are ready while the caller reads.
const PARTS_AHEAD: usize = 2;

/// What a writer wrote since it was last taken.
#[derive(Clone, Debug, Default)]
struct Taken(Arc<Mutex<Vec<u8>>>);

impl Taken {
    fn take(&self) -> Bytes {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

impl Write for Taken {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The bytes of an export as they are made, no further ahead than the caller reads. A caller that reads nothing for longer
/// than a request may take is left.
pub(crate) fn stream(
    app: &App,
    format: FileFormat,
    mut export: Export,
) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(PARTS_AHEAD);
    let app = app.clone();
    tokio::spawn(async move {
        if let Err(error) = send(&app, format, &mut export, &sender).await {
            tracing::warn!(error = %error.0.message, internal = ?error.0.internal, "an export broke off");
            // A reply that breaks off is not taken for a whole one.
            let _ = sender.try_send(Err(io::Error::other("the export broke off")));
        }
    });
    stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) })
}

async fn send(
    app: &App,
    format: FileFormat,
    export: &mut Export,
    sender: &mpsc::Sender<io::Result<Bytes>>,
) -> Result<()> {
    let taken = Taken::default();
    let mut writer =
        Writer::new(format, export.columns.clone(), taken.clone()).map_err(cannot_write)?;
    loop {
        let rows = export.page(app).await?;
        if rows.is_empty() {
            break;
        }
        let written = blocking(app, move || {
            rows.iter().try_for_each(|row| writer.write(row)).map(|()| writer)
        });
        writer = written.await?.map_err(cannot_write)?;
        pass(app, &taken, sender).await?;
    }
    writer.finish().map_err(cannot_write)?;
    pass(app, &taken, sender).await
}

/// Hands on what was written.
async fn pass(app: &App, taken: &Taken, sender: &mpsc::Sender<io::Result<Bytes>>) -> Result<()> {
    let bytes = taken.take();
    if bytes.is_empty() {
        return Ok(());
    }
    tokio::select! {
        sent = sender.send(Ok(bytes)) => sent.map_err(|_| ApiError::internal("the caller has gone")),
        () = app.clock.sleep(app.config.request_timeout) => {
            Err(ApiError::internal("the caller reads nothing any more"))
        }
    }
}

/// The whole of a small export as text; none if it is longer than `bytes_max`.
///
/// # Errors
/// The store's.
pub(crate) async fn text(
    app: &App,
    format: FileFormat,
    export: &mut Export,
    bytes_max: usize,
) -> Result<Option<String>> {
    let mut writer =
        Writer::new(format, export.columns.clone(), Vec::new()).map_err(cannot_write)?;
    let mut bytes = 0_usize;
    loop {
        let rows = export.page(app).await?;
        if rows.is_empty() {
            break;
        }
        bytes += rows.iter().flatten().map(value_bytes).sum::<usize>() / 32;
        if bytes > bytes_max {
            return Ok(None);
        }
        rows.iter().try_for_each(|row| writer.write(row)).map_err(cannot_write)?;
    }
    let text = String::from_utf8(writer.finish().map_err(cannot_write)?).ok();
    Ok(text.filter(|text| text.len() <= bytes_max))
}
