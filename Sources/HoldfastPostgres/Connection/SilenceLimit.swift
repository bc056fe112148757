// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// How TCP is told, on both ends of a connection, to give up a peer that has fallen silent.
///
/// A cable that is cut tells nobody. Left to itself, the client waits for an answer as long as its kernel repeats what it sent,
/// a quarter of an hour. The server waits for as long, or for two hours where it has nothing to send: with the locks of the
/// transaction in whose middle the cable was cut, so that nobody else can take over the rows that the client held.
struct SilenceLimit: Equatable {
    /// How long nothing has to arrive before the peer is asked whether it lives, in seconds.
    let idle: Int
    /// How long it has to answer before it is asked again.
    let interval: Int
    /// How often it is asked.
    let count: Int
    /// How long what was sent may remain unconfirmed.
    let unconfirmedMilliseconds: Int

    /// The kernel counts in seconds, from 2 up to 32,767; fractions are dropped.
    init(_ duration: Duration) {
        let seconds = Int(min(max(duration.components.seconds, 2), 32_767))
        interval = max(1, seconds / 10)
        count = min(5, seconds / 2)
        idle = seconds - interval * count
        unconfirmedMilliseconds = seconds * 1000
    }

    /// For this end, as options of libpq.
    var clientOptions: [(String, String)] {
        [
            ("keepalives_idle", "\(idle)"),
            ("keepalives_interval", "\(interval)"),
            ("keepalives_count", "\(count)"),
            ("tcp_user_timeout", "\(unconfirmedMilliseconds)"),
        ]
    }

    /// For the server's end, as a script.
    var serverScript: String {
        """
        set tcp_keepalives_idle = \(idle); set tcp_keepalives_interval = \(interval);
        set tcp_keepalives_count = \(count); set tcp_user_timeout = \(unconfirmedMilliseconds)
        """
    }
}
