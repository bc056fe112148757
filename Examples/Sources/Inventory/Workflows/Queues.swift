// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import Holdfast

/// One queue per kind of workflow: those that wait for others must not take the others' slots.
extension QueueName {
    static let scans: Self = "inventory.scans"
    static let batches: Self = "inventory.batches"
    static let files: Self = "inventory.files"
}
