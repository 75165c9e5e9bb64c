//! Why a WebSocket ends, and what its client is told of it.

/// Why. Each has a close code; those from 4000 on are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The client has gone, or said good-bye: there is nobody to tell.
    Gone,
    /// The server stops.
    Shutdown,
    /// The same client has opened a newer one.
    Replaced,
    /// Its key was revoked or has expired.
    KeyGone,
    /// Its table was deleted.
    TableDeleted,
    /// It did not take a message in time.
    TooSlow,
    /// It gave no sign of life.
    Silent,
    /// It sent a message beyond the limit.
    TooLarge,
    /// It sent too many messages.
    TooMany,
    /// The server could not go on.
    Fault,
}

impl End {
    /// The close code and the reason, which fits in a close frame (123 bytes); `None` if nobody is there to read them.
    pub(super) fn told(self) -> Option<(u16, &'static str)> {
        Some(match self {
            Self::Gone => return None,
            Self::Shutdown => (1001, "the server stops; connect again"),
            Self::TooLarge => (1009, "the message is larger than this server takes"),
            Self::Fault => {
                (1011, "the server could not go on because of a fault of its own; connect again")
            }
            Self::Replaced => {
                (4001, "a newer connection of this client took over; give each its own client_id")
            }
            Self::KeyGone => (4003, "the key was revoked or has expired"),
            Self::TableDeleted => (4004, "the table was deleted"),
            Self::TooSlow => (4008, "a message was not taken in time; connect again and resume"),
            Self::Silent => (4009, "pings were not answered; connect again and resume"),
            Self::TooMany => (4029, "too many messages came from this client"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_a_code_of_its_own_and_a_reason_that_fits() {
        let ends = [
            End::Shutdown,
            End::TooLarge,
            End::Fault,
            End::Replaced,
            End::KeyGone,
            End::TableDeleted,
            End::TooSlow,
            End::Silent,
            End::TooMany,
        ];
        let mut codes: Vec<u16> = Vec::new();
        for (code, reason) in ends.into_iter().filter_map(End::told) {
            assert!(reason.len() <= 123, "{reason}");
            codes.push(code);
        }
        codes.dedup();
        assert_eq!(codes.len(), ends.len());
    }
}
