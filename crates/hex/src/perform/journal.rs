//! What a POST came to, put on record before the job goes on.

use std::sync::atomic::Ordering::Relaxed;

use super::Performance;
use super::watch::Started;
use crate::{End, EndKind, Note, PostRecord};

impl Performance<'_> {
    /// The POST is on record as one that started nothing, and the job goes on.
    pub(super) async fn void(&mut self, post: &PostRecord) -> Result<(), End> {
        if self.host.started(&Note::Resend, post).await.is_err() {
            let note = Some(Note::Resend);
            return Err(End { kind: EndKind::Stopped, post: Some(post.clone()), note });
        }
        self.note = Some(Note::Resend);
        Ok(())
    }

    /// The run is on record.
    pub(super) async fn on_record(
        &mut self,
        started: &Started,
        post: &PostRecord,
    ) -> Result<(), End> {
        self.session.triggered.fetch_add(1, Relaxed);
        let note = self.started_note(started);
        if self.host.started(&note, post).await.is_err() {
            let kind = EndKind::Stopped;
            return Err(End { kind, post: Some(post.clone()), note: Some(note) });
        }
        self.note = Some(note);
        Ok(())
    }
}
