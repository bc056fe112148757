// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// Decides when a reader who fell behind needs to be reminded to look for itself.
///
/// One reminder in the buffer covers every older event that was dropped. Another one is needed only once that reminder
/// has itself been dropped, or has been read (which shows in events finding room again).
struct ListenerOverflow {
    private var isReminded = false

    /// Whether a reminder has to follow the event that displaced another.
    mutating func dropped(isReminder: Bool) -> Bool {
        if isReminder { isReminded = false }
        defer { isReminded = true }
        return !isReminded
    }

    /// An event found room. Never asks for a reminder.
    mutating func enqueued() -> Bool {
        isReminded = false
        return false
    }
}
