// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// The temporary server of this process, started for whoever asks first.
final class SharedTemporaryServer: Sendable {
    func url() async throws -> String {
        throw TestKitError(.noServer, "not yet")
    }
}
