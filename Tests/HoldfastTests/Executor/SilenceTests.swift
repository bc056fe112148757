// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastPostgres
import Testing

@testable import Holdfast

@Suite("Connections that fall silent")
struct SilenceTests {
    private static func configuration(isPooled: Bool = false) -> DatabaseConfiguration {
        var configuration = DatabaseConfiguration(
            url: "postgresql://127.0.0.1/none",
            directURL: isPooled ? "postgresql://127.0.0.2/none" : nil,
            isPooled: isPooled
        )
        configuration.silenceLimit = .seconds(7)
        return configuration
    }

    /// Or peers would take the work of who is cut off before he had to stop.
    @Test("the server keeps a lease session for longer than the lease", arguments: [1, 8, 10, 60, 600])
    func session(lease: Int) throws {
        for isPooled in [false, true] {
            let configuration = Self.configuration(isPooled: isPooled)
            let session = try #require(configuration.session(applicationName: "x", lease: .seconds(lease)))
            #expect(try #require(session.serverSilenceLimit) > .seconds(lease))
            #expect(session.silenceLimit == .seconds(7))
        }
    }

    /// Or their transactions would keep the work of who is cut off from his successors.
    @Test("the server ends other sessions as soon as the client gives them up")
    func statements() {
        let configuration = Self.configuration().statements(applicationName: "x")
        #expect(configuration.serverSilenceLimit == .seconds(7))
        #expect(configuration.silenceLimit == .seconds(7))
    }

    @Test("the session behind a pooler, which belongs to others as well, is left alone")
    func pooled() {
        #expect(Self.configuration(isPooled: true).statements(applicationName: "x").serverSilenceLimit == nil)
    }
}
