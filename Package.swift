// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import PackageDescription

var settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

// `ops/test` sets this. It stays off for everyone else: a newer compiler's new warning must not break their builds.
if Context.environment["HOLDFAST_STRICT"] == "1" {
    settings.append(.treatAllWarnings(as: .error))
}

let package = Package(
    name: "holdfast",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "Holdfast", targets: ["Holdfast"]),
        .library(name: "HoldfastTestKit", targets: ["HoldfastTestKit"]),
        .executable(name: "holdfast", targets: ["HoldfastTool"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.5.0"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.2.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.8.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.1.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CLibPQ",
            pkgConfig: "libpq",
            providers: [.apt(["libpq-dev", "libssl-dev"]), .brew(["libpq"])]
        ),
        .target(
            name: "HoldfastPostgres",
            dependencies: ["CLibPQ", .product(name: "Logging", package: "swift-log")],
            swiftSettings: settings
        ),
        .target(
            name: "HoldfastCore",
            dependencies: [.product(name: "DequeModule", package: "swift-collections")],
            swiftSettings: settings
        ),
        .target(
            name: "Holdfast",
            dependencies: [
                "HoldfastPostgres",
                "HoldfastCore",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "HoldfastTool",
            dependencies: [
                "Holdfast",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        // With what users test their own workflows.
        .target(
            name: "HoldfastTestKit",
            dependencies: [
                "Holdfast", "HoldfastCore", "HoldfastPostgres",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "HoldfastTestKitTests",
            dependencies: [
                "HoldfastTestKit", "Holdfast", "HoldfastPostgres",
                .product(name: "Logging", package: "swift-log"),
            ],
            exclude: ["Histories", "Replay/Histories"],
            swiftSettings: settings
        ),
        // What the tests of several targets need.
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: settings),
        .testTarget(
            name: "HoldfastPostgresTests",
            dependencies: ["HoldfastPostgres", "TestSupport", .product(name: "Logging", package: "swift-log")],
            swiftSettings: settings
        ),
        // A fleet, its network and its database, simulated around the machines of the core.
        .target(
            name: "FleetSimulation",
            dependencies: ["HoldfastCore", .product(name: "HeapModule", package: "swift-collections")],
            path: "Tests/FleetSimulation",
            swiftSettings: settings
        ),
        // Runs any number of its schedules: ops/simulate.
        .executableTarget(
            name: "FleetSimulator",
            dependencies: ["FleetSimulation", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Tests/FleetSimulator",
            swiftSettings: settings
        ),
        .testTarget(
            name: "HoldfastCoreTests",
            dependencies: ["HoldfastCore", "FleetSimulation"],
            swiftSettings: settings
        ),
        // A process for the tests to kill.
        .executableTarget(
            name: "TestWorker",
            dependencies: [
                "Holdfast",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            path: "Tests/TestWorker",
            swiftSettings: settings
        ),
        .testTarget(
            name: "HoldfastTests",
            dependencies: [
                "Holdfast", "HoldfastCore", "HoldfastPostgres", "HoldfastTestKit", "FleetSimulation", "TestSupport",
                "TestWorker",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "MetricsTestKit", package: "swift-metrics"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            exclude: ["Fixtures"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "HoldfastToolTests",
            dependencies: [
                "HoldfastTool", "Holdfast", "HoldfastPostgres", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings
        ),
    ]
)
